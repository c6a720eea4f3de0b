"""A visit at a kiosk: who it is, what was measured, and the FHIR transaction that keeps it."""
