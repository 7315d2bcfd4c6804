"""Doors for devices and groups."""
