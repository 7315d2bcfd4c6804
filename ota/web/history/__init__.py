"""Pages for the audit log."""
