"""The audit trail: append-only, hash-chained, signed at every checkpoint."""
