"""Whole days of service under a simulated clock: demand, vans that move, policies side by side."""
