"""Epidemiological investigation: from a confirmed case to route, contacts and hotspots, lawfully.

`hanmaru.trace.cases` holds the case records and the lawful requests, `hanmaru.trace.evidence` turns what providers
answer into observations, `hanmaru.trace.engine` computes (pure: arrays in, arrays out), `hanmaru.trace.lake` scans what
is too large for memory, and `hanmaru.trace.synth` makes the test city whose truth is known.
"""
