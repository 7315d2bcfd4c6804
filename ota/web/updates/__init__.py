"""Doors for update checks, and for their explanation."""
