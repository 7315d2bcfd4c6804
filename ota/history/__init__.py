"""What happened: the audit log, and the outbox that alerts are written to in the same transaction."""
