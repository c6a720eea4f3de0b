"""Scans and joins of what is too large for memory, as Ibis expressions on DuckDB or Apache Spark."""
