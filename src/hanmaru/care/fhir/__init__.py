"""FHIR R4: records and their versions, the search index, the REST API."""
