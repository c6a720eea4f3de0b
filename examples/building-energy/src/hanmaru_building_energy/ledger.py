"""The service's own copy of what meters said, in its data folder, and the results that its routes answer with.

A hub may forget history sooner than a baseline needs it, so readings are kept here: a file for each meter, replaced
whole, which the engine worker writes and web workers read.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hanmaru_building_energy.domain import Floats, Ints


@dataclass(frozen=True, eq=False)
class Readings:
    """Readings of one attribute: instants (n,) in Unix seconds, ascending, and values (n,)."""

    times_s: Ints
    values: Floats

    def merged(self, other: "Readings") -> "Readings":
        """Return both; of two with one instant the other's."""
        times = np.concatenate((self.times_s, other.times_s))
        values = np.concatenate((self.values, other.values))
        unique, last = np.unique(times[::-1], return_index=True)
        return Readings(unique, values[::-1][last])


NONE = Readings(np.empty(0, np.int64), np.empty(0))


class Ledger:
    """Readings and results by entity and attribute, under a folder."""

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder, which is made when something is written."""
        self._folder = folder

    def readings(self, id: str, attribute: str) -> Readings:
        """Return what is kept; nothing where there is nothing or the file is damaged."""
        try:
            with np.load(self._path("readings", f"{id} {attribute}", ".npz"), allow_pickle=False) as file:
                return Readings(file["times_s"], file["values"])
        except (OSError, ValueError, KeyError, EOFError):
            return NONE

    def keep(self, id: str, attribute: str, readings: Readings) -> None:
        """Replace what is kept; on return it is the new readings, whole, for everyone who reads."""

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.savez(file, times_s=readings.times_s, values=readings.values)

        self._replace(self._path("readings", f"{id} {attribute}", ".npz"), write)

    def result(self, id: str) -> dict[str, Any] | None:
        """Return a building's result; None where there is none."""
        try:
            return msgspec.json.decode(self._path("results", id, ".json").read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def publish(self, id: str, result: dict[str, Any]) -> None:
        """Replace a building's result."""
        body = msgspec.json.encode(result)
        self._replace(self._path("results", id, ".json"), lambda path: path.write_bytes(body))

    def _path(self, kind: str, name: str, suffix: str) -> Path:
        return self._folder / kind / (hashlib.sha256(name.encode()).hexdigest()[:32] + suffix)

    @staticmethod
    def _replace(path: Path, write: Callable[[Path], object]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        write(beside)
        beside.replace(path)
