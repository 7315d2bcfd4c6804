"""Experiments: versions compared on the devices of a channel."""
