"""Connectors: bring the outside in as entities, from files, HTTP and MQTT, by declarative mappings."""
