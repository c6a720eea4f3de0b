"""What a start makes before anybody is answered: the city's map, once for each profile.

Drawing loads the whole city, so it runs in a process of its own that gives its memory back: ``python -m hanmaru.prepare
PROFILE FOLDER``.
"""

import hashlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec

from hanmaru.city.profile import load
from hanmaru.config import Settings

STAMP = ".made-of"


class DrawError(Exception):
    """Why the map cannot be drawn."""


def map_folder(settings: Settings) -> Path:
    """Return the folder of the city's map, a GeoJSON file for each layer."""
    return settings.data / "city" / "basemap"


def draw_map(settings: Settings) -> None:
    """Draw the map unless it is there and made of this profile; raises DrawError with the reason when that fails."""
    stamp = map_folder(settings) / STAMP
    made_of = _made_of(settings.city)
    if stamp.is_file() and stamp.read_text() == made_of:
        return
    command = [sys.executable, "-P", "-m", "hanmaru.prepare", settings.city, str(map_folder(settings))]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise DrawError(f"the map of {settings.city!r} cannot be drawn: {reason or done.returncode}")
    stamp.write_text(made_of)


def _made_of(profile: str) -> str:
    facts = msgspec.json.encode(load(profile), order="sorted")
    return hashlib.sha256(version("hanmaru").encode() + facts).hexdigest()


def main() -> None:
    """Draw a profile's map into a folder."""
    from hanmaru.city import basemap
    from hanmaru.city.build import build

    profile, folder = sys.argv[1:]
    basemap.write(build(load(profile)), Path(folder))


if __name__ == "__main__":
    main()
