"""Benchmarks of demand-responsive transit, beside its peers.

Peers live in an environment of their own, so that neither side's dependencies bend the other's: `python` names it.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OWN = HERE.parents[1] / ".venv-peers" / "bin" / "python"


def commit() -> str:
    """Return the commit that is measured, ``-dirty`` where the sources differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=HERE, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../src", ".")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def python() -> Path:
    """Return the peers' Python: the one that HANMARU_PEERS names, else ``.venv-peers``, which is made where absent."""
    if named := os.environ.get("HANMARU_PEERS"):
        return Path(named)
    if not OWN.exists():
        print("Setting up .venv-peers …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(OWN.parents[1])], check=True)
        install = [str(OWN), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", str(HERE / "peers.txt")], check=True)
    return OWN
