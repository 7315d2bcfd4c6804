"""Alerts: receivers, deliveries, and the transports that carry them."""
