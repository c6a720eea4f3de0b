"""Health screening and follow-up: a FHIR server, kiosks, rules, the citizen's report, nurses and hospitals."""
