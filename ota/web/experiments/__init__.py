"""Doors for experiments."""
