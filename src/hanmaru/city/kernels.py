"""Compiled loops: Numba's `njit` with the types of what it compiles kept for the reader and the type checker.

Numba keeps machine code beside a kernel's file and makes it anew when that file changes, but not when a kernel of
another file changes that was compiled into it. So the folder of the machine code is named after all kernels' files.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]
import numpy as np

PACKAGE = Path(__file__).parents[1]

F = TypeVar("F", bound=Callable[..., Any])
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""What splitmix64 adds in each step."""


def version(package: Path) -> str:
    """Return a name for what all files under a folder that hold kernels say."""
    files = sorted(package.rglob("*.py"))
    texts = [text for text in (file.read_bytes() for file in files) if b"kernels import" in text or b"njit" in text]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def _keep() -> None:
    """Have Numba keep machine code in the package's cache, or in the user's where that cannot be written."""
    if numba.config.CACHE_DIR:  # pyright: ignore
        return
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    name = f"kernels-{version(PACKAGE)}"
    for folder in (PACKAGE / "__pycache__" / name, Path(home).expanduser() / "hanmaru" / name):
        with suppress(OSError, RuntimeError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                numba.config.CACHE_DIR = str(folder)  # pyright: ignore
                return


_keep()


def kernel(function: F) -> F:
    """Compile a function of numbers and arrays on its first call; the machine code is kept."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))  # pyright: ignore[reportUnknownMemberType]


def bare(function: F) -> F:
    """Compile like `kernel`, but do not count references to arrays, which may take most of a small function's time.

    Such a function must not make or return arrays.
    """
    options: dict[str, Any] = {"_nrt": False}
    return cast(F, numba.njit(cache=True, nogil=True, **options)(function))  # pyright: ignore[reportUnknownMemberType]


@kernel
def mixed(state: np.uint64, key: int) -> np.uint64:
    """Return a state with one more key hashed into it: a step of splitmix64 (Steele, Lea & Flood 2014)."""
    state = (state ^ np.uint64(key)) + GOLDEN
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@kernel
def unit(state: np.uint64) -> float:
    """Return a state as a number in (0, 1)."""
    return (float(state >> np.uint64(11)) + 0.5) * 2.0**-53


@kernel
def stream(seed: int, who: int, owner: int, day: int) -> np.uint64:
    """Return where the random numbers start that an owner has on a day; ``who`` says what the owner is.

    As in `noise.uniform`, a number depends on its keys alone.
    """
    return mixed(mixed(mixed(np.uint64(seed), who), owner), day)


@kernel
def draw(start: np.uint64, what: int) -> float:
    """Return the number in (0, 1) for a purpose from a stream."""
    return unit(mixed(start, what))
