"""The health room beside its peers.

``python -m benchmarks.care`` prints every part and writes ``benchmarks/results/care.json``; name parts to run only
those; ``QUICK=1`` takes a short form. Parts that this commit has measured already are not run again.
"""

from benchmarks.parts import run

PARTS = ("records", "search", "grading", "risk", "alerts", "http")

if __name__ == "__main__":
    run("care", PARTS)
