"""The API for reports from devices."""
