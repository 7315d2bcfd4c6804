"""The install page and share links."""
