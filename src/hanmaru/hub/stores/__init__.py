"""Where the hub keeps entities, history, outbox and documents: one interface, one contract, several databases."""
