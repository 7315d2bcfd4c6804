"""People and programs that manage the server: accounts, passwords, API tokens."""
