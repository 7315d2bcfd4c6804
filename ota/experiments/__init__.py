"""A/B experiments between versions."""
