"""What the centre puts on paper: the situation of an area over a period, and what was done about an event."""
