"""Doors for the fleet page."""
