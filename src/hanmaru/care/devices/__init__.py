"""What devices send."""
