"""The NGSI-LD HTTP API under ``/ngsi-ld/v1``: thin routes over the store (ETSI GS CIM 009, clause 6)."""
