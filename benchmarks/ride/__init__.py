"""Benchmarks of demand-responsive transit, beside its peers.

Peers live in an environment of their own, so that neither side's dependencies bend the other's: `python` names it.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OWN = HERE.parents[1] / ".venv-peers" / "bin" / "python"


def python() -> Path:
    """Return the peers' Python: the one that HANMARU_PEERS names, else ``.venv-peers``, which is made where absent.

    A peer that cannot be installed is said and left out: RidePy is compiled, which needs a C++ compiler and Boost.
    """
    if named := os.environ.get("HANMARU_PEERS"):
        return Path(named)
    if not OWN.exists():
        print("Setting up .venv-peers …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(OWN.parents[1])], check=True)
        for peer in (HERE / "peers.txt").read_text().split():
            install = [str(OWN), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer]
            if subprocess.run(install, capture_output=True).returncode:
                print(f"{peer} cannot be installed here, and is left out", file=sys.stderr)
    return OWN
