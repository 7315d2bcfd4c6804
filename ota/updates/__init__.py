"""Answers to update checks, and their explanation.

`ota.core.decision` decides; this room reads what it needs.
"""
