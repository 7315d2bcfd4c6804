"""Releases: starting, changing, watching and ending them."""
