"""What policy and audit cost the hub."""
