"""Answers to update checks, and their explanation."""
