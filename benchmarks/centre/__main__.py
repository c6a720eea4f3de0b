"""The integrated city information centre beside its peers.

``python -m benchmarks.centre`` prints every part and writes ``benchmarks/results/centre.json``; name parts to run only
those; ``QUICK=1`` takes a short form. Parts that this commit has measured already are not run again.
"""

from benchmarks.parts import run

PARTS = ("live", "anomaly", "replay", "rules", "cctv")

if __name__ == "__main__":
    run("centre", PARTS)
