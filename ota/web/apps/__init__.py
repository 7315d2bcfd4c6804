"""Doors for apps, channels and their settings."""
