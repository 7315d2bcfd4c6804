"""Doors for proposals that wait for another person's approval."""
