"""Doors for alert receivers and deliveries."""
