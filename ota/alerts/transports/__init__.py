"""Transports of alerts: HTTP requests and e-mail. They use neither the database nor the settings."""
