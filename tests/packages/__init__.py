"""What is read from builds."""
