"""Pages for accounts, people and tokens."""
