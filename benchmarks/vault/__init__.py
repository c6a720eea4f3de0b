"""What keeping personal data in a vault costs."""
