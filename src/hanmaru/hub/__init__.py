"""The NGSI-LD context broker."""
