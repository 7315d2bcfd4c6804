"""Reports from devices: accepted, kept in the journal, counted once, pruned."""
