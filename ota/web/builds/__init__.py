"""Doors for uploads, versions and downloads."""
