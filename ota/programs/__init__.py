"""Programs that run as separate processes."""
