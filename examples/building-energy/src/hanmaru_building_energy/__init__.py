"""What a building would have used, what it used, and what was saved: a service for Hanmaru."""
