"""Pick-up and delivery with time windows: as few vehicles as can be, then as little driving."""
