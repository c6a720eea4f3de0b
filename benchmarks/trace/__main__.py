"""The investigation engine beside its peers.

``python -m benchmarks.trace`` prints every part and writes ``benchmarks/results/trace.json``; name parts to run only
those; ``QUICK=1`` takes a short form. Parts that this commit has measured already are not run again.
"""

from benchmarks.parts import run

PARTS = ("stays", "contacts", "links", "investigate", "lake")

if __name__ == "__main__":
    run("trace", PARTS)
