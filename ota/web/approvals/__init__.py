"""Doors for proposals that wait for a second person."""
