"""What must not be in the project's files."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("registry", "npmjs", "org"),
        ("files", "pythonhosted", "org"),
        ("pypi", "org"),
        ("deb", "debian", "org"),
    )
]
"""Built from parts, so that this file does not hold what it looks for."""


def test_no_file_names_a_package_registrys_host() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    hosts = [host.encode() for host in REGISTRIES]
    found = []
    for name in filter(None, tracked):
        path = ROOT / name.decode()
        content = path.read_bytes() if path.is_file() else b""
        found += [(name.decode(), host.decode()) for host in hosts if host in content]
    assert found == []
