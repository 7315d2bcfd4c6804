"""The fleet: adoption by version, and the figures on the fleet page."""
