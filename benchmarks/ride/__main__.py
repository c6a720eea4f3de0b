"""Demand-responsive transit beside its peers.

``python -m benchmarks.ride`` prints every part and writes ``benchmarks/results/ride.json``; name parts to run only
those; ``QUICK=1`` takes a short form. Parts that this commit has measured already are not run again. Peers run in
an environment of their own, ``.venv-peers``, which is made where it is absent.
"""

from benchmarks.parts import run
from benchmarks.ride import python

PARTS = ("roads", "insertion", "acceptance", "pdptw", "darp", "fleetpy", "manhattan", "http")

if __name__ == "__main__":
    python()
    run("ride", PARTS)
