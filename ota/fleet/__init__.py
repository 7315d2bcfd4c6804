"""The fleet as a whole: adoption by version and the figures on the fleet page."""
