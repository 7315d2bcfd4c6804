"""Apps and their settings: channels, kill switch, trusted signers, the two-person rule."""
