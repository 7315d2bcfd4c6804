"""Doors for update checks and their explanation."""
