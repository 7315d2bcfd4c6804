"""A self-hosted over-the-air update server for Android and iOS builds."""

__version__ = "0.1.0"
