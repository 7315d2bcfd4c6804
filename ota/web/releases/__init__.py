"""Doors for releases."""
