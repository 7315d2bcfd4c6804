"""Doors for devices and device groups."""
