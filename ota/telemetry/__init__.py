"""Reports from devices: accept them, count each one once, delete them when they are old."""
