"""Evidence: what providers answer, one module per source, and the investigation that combines it."""
