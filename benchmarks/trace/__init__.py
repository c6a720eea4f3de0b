"""Benchmarks of the investigation engine, beside its peers."""
