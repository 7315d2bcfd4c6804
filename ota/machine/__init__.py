"""The machine: processes, processor cores and the message queue."""
