"""Sending to strangers: HTTP requests and e-mail. Nothing here knows of databases or settings."""
