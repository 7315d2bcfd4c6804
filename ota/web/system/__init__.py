"""Doors for the health of the server itself."""
