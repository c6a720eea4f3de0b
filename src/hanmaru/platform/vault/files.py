"""Where the vaults' files lie in a data folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VAULTS: Final = "vaults"


@dataclass(frozen=True, slots=True)
class Room:
    """The files of one room's vault."""

    data: Path
    name: str

    @property
    def records(self) -> Path:
        """The encrypted records."""
        return self.data / VAULTS / f"{self.name}.db"

    @property
    def index(self) -> Path:
        """The blind index: made from the records, in no backup."""
        return self.data / VAULTS / f"{self.name}.index.db"

    @property
    def folder(self) -> Path:
        """The folder of the subjects' encrypted files."""
        return self.data / VAULTS / self.name

    def blobs(self, subject: str) -> Path:
        """The folder of a subject's encrypted files."""
        return self.folder / "blobs" / subject

    def lake(self, subject: str) -> Path:
        """The folder of a subject's encrypted Parquet files."""
        return self.folder / "lake" / subject


def rooms(data: Path) -> Iterator[Room]:
    """Yield the rooms that have a vault in a data folder, by name."""
    for path in sorted((data / VAULTS).glob("*.db")):
        if not path.name.endswith(".index.db"):
            yield Room(data, path.name.removesuffix(".db"))
