"""First installation: the install page and share links."""
