"""The verbs, one module per noun. Plain functions on a session that they are given; they never commit."""
