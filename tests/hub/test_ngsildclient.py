"""A real NGSI-LD client works unchanged: ngsildclient from PyPI, in an environment of its own (it pins old ones)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import running

HERE = Path(__file__).parent / "ngsildclient"


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the interpreter of an environment with nothing but ngsildclient in it."""
    uv = str(Path(sys.executable).with_name("uv"))
    folder = tmp_path_factory.mktemp("ngsildclient")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    requirements = str(HERE / "requirements.lock")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", requirements], check=True
    )
    return python


def test_the_documented_journey(interpreter: str, tmp_path: Path) -> None:
    with running(tmp_path, AUTH="off") as hub:
        port = hub.url.rsplit(":", 1)[1]
        journey = subprocess.run(
            [interpreter, str(HERE / "journey.py"), port], capture_output=True, text=True, timeout=120, check=False
        )
    assert journey.returncode == 0, journey.stderr
    assert "every step passed" in journey.stdout
