"""The room's HTTP routes, thin."""
