"""The pure part: what the server decides. No Flask, no database, no clock, no randomness, no I/O."""
