"""Doors for release health and its policy."""
