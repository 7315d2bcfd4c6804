"""The API that devices report to."""
