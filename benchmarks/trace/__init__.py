"""Benchmarks of the investigation engine, beside its peers."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def commit() -> str:
    """Return the commit that is measured, ``-dirty`` where the sources differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=HERE, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../src", ".")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")
