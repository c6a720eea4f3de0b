"""What the audit trail costs: appending, verifying, searching a million records."""
