"""A stranger's package, built as a wheel and installed into an environment of its own beside the hub. No network."""

import os
import site
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that sees this one's packages, the hub's among them."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """Where its own packages are."""
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def run(self, *arguments: str, cwd: Path, stdin: str = "", timeout_s: float = 240) -> str:
        """Run its Python and return what was printed; raises AssertionError with it on a failure."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HANMARU_", "PYTHON"))}
        told = {name: os.environ[name] for name in ("HANMARU_TEST_DATA",) if name in os.environ}
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={**kept, **told},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def hanmaru(self, *arguments: str, cwd: Path, stdin: str = "") -> str:
        """Run the command line in the environment."""
        return self.run("-c", "from hanmaru.cli import main; main()", *arguments, cwd=cwd, stdin=stdin)


def environment(folder: Path) -> Environment:
    """Make an environment that sees the packages of the one that runs the tests."""
    venv.create(folder, symlinks=True, with_pip=False)
    made = Environment(folder)
    lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
    (made.packages / "beside.pth").write_text("\n".join([str(ROOT / "src"), *lines]) + "\n")
    return made


def build(package: Path, out: Path) -> Path:
    """Build a package's wheel and return it."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


def install(wheel: Path, into: Environment) -> None:
    """Install a wheel and nothing else."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(into.python), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
