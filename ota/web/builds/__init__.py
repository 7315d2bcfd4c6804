"""Doors for uploads, versions, release notes and downloads."""
