"""Finding whatever was changed, put in or cut out of the trail: every line, every file, every sealed head.

The hub may run meanwhile: what is checked is what was there at the start.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hanmaru.platform.audit.anchor import read_anchor
from hanmaru.platform.audit.lines import LINE_BYTES, chains, now_text, segment, segments
from hanmaru.platform.audit.seal import Head, TrailError, genuine, private_key, public_key, public_pem, read_head
from hanmaru.platform.audit.walk import Finding, Walker

MOST_FINDINGS = 1000
BESIDE = frozenset({"public.pem", "index.db", "index.db-wal", "index.db-shm", "verified.json", "verify.lock"})
"""What lies beside the chains: the public key and what can be made again from them."""
DRAFTS = (".public.pem.", "verified.json.")
IN_FLIGHT_S = 0.2
STEP_LINES = 1000

Progress = Callable[[int, int], None]


class Report(msgspec.Struct, frozen=True):
    """What a verification found, when, over how much. ``more`` counts findings beyond those listed."""

    at: str
    seconds: float
    records: int
    bytes: int
    chains: int
    findings: tuple[Finding, ...]
    more: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing grave was found."""
        return not self.more and not any(finding.grave for finding in self.findings)


@dataclass(slots=True)
class _Findings:
    kept: list[Finding] = field(default_factory=list[Finding])
    more: int = 0

    def add(self, finding: Finding) -> None:
        if len(self.kept) < MOST_FINDINGS:
            self.kept.append(finding)
        else:
            self.more += 1

    def about(self, file: str, what: str, *, grave: bool = True) -> None:
        self.add(Finding(file, 0, 0, what, grave))


def verify(
    data: Path,
    keys: Path | None,
    *,
    public: Path | None = None,
    anchors: Sequence[Path] = (),
    progress: Progress = lambda done, total: None,
    pause_s: float = 0.0,
) -> Report:
    """Check the whole trail under ``<data>/audit`` against itself, its key, its sealed heads and the anchors given.

    Without ``keys``, as on an auditor's machine, signatures are checked by the ``public`` key's file and sealed heads
    not at all. ``progress`` is told bytes done and in all; ``pause_s`` is slept every 1,000 lines, to leave room for
    others in the same process. Raises TrailError where there is no trail or a given file cannot be used.
    """
    started, folder, findings = time.monotonic(), data / "audit", _Findings()
    if not folder.is_dir() and not (keys and (keys / "audit").is_dir()):
        raise TrailError(f"no audit trail in {folder}")
    names = chains(folder)
    key = _key(folder, keys, public, findings)
    expected = _expected(keys, key, names, anchors, findings)
    sizes = {name: {path: path.stat().st_size for path in segments(folder / name)} for name in chains(folder)}
    total, done, records, lines = sum(sum(each.values()) for each in sizes.values()), 0, 0, 0
    _strangers(folder, sizes, findings)

    def signed(head: Head, signature: str) -> bool:
        return key is None or genuine(key, head.message(), signature)

    for name, heads in expected.items():
        if name not in sizes and (last := max((head.seq for head in heads.values()), default=0)):
            findings.about(name, f"the whole chain is missing, with at least {last} records")
    for name, files in sizes.items():
        walker = Walker(name, findings.add, expected=expected.get(name), signed=signed)
        for path, size in files.items():
            for taken in walker.walk(path, _settled(path, size)):
                done += taken
                lines += 1
                if lines % STEP_LINES == 0:
                    progress(min(done, total), total)
                    if pause_s:
                        time.sleep(pause_s)
        walker.finish()
        records += walker.seq
    progress(total, total)
    seconds = round(time.monotonic() - started, 3)
    return Report(now_text(), seconds, records, done, len(sizes), tuple(findings.kept), findings.more)


def _key(folder: Path, keys: Path | None, public: Path | None, findings: _Findings) -> Ed25519PublicKey | None:
    """Return the key that checkpoints must be signed by, and say where the trail's copy differs from it."""
    beside = folder / "public.pem"
    try:
        if public:
            key = public_key(public.read_bytes())
        elif keys:
            key = private_key(keys).public_key()
        else:
            key = public_key(beside.read_bytes())
    except TrailError as error:
        if public:
            raise
        findings.about("signing.key" if keys else beside.name, str(error))
        return None
    if not beside.is_file() or beside.read_bytes() != public_pem(key):
        findings.about(beside.name, "missing, or not the public key of the key that signs this trail")
    return key


def _expected(
    keys: Path | None,
    key: Ed25519PublicKey | None,
    names: Sequence[str],
    anchors: Sequence[Path],
    findings: _Findings,
) -> dict[str, dict[str, Head]]:
    """Return, by chain, the heads that it must contain, by who states them."""
    expected: dict[str, dict[str, Head]] = {}
    if key is None:
        return expected
    folder = keys / "audit" / "heads" if keys else None
    sealed = {path.name for path in folder.iterdir()} if folder and folder.is_dir() else set[str]()
    for name in sorted({*names, *sealed} if keys else ()):
        assert keys
        try:
            head = read_head(keys, name, key)
        except TrailError as error:
            findings.about(f"heads/{name}", str(error))
            continue
        if head:
            expected.setdefault(name, {})["the sealed head"] = head
        elif name in names:
            findings.about(f"heads/{name}", "missing: nothing says how far this chain had come")
    for path in anchors:
        for head in read_anchor(path, key).heads:
            expected.setdefault(head.chain, {})[str(path)] = head
    return expected


def _strangers(folder: Path, sizes: Mapping[str, Mapping[Path, int]], findings: _Findings) -> None:
    """Report segments that are missing and files that nobody of ours wrote."""
    for name, files in sizes.items():
        due = [segment(folder / name, number) for number in range(1, len(files) + 1)]
        if list(files) != due:
            absent = next(path for path in due if path not in files)
            findings.about(f"{name}/{absent.name}", "this segment is missing")
        for path in sorted((folder / name).iterdir()):
            if path not in files and path not in segments(folder / name):
                findings.about(f"{name}/{path.name}", "does not belong to the audit trail")
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name not in BESIDE and not path.name.startswith(DRAFTS):
                findings.about(path.name, "does not belong to the audit trail")


def _settled(path: Path, size: int) -> Iterator[bytes]:
    """Yield a segment's lines up to the one that crosses ``size``, waiting a moment for one that is being written."""
    with path.open("rb") as file:
        while file.tell() < size and (line := file.readline(LINE_BYTES + 1)):
            if not line.endswith(b"\n") and len(line) <= LINE_BYTES:
                until = time.monotonic() + IN_FLIGHT_S
                while not line.endswith(b"\n") and len(line) <= LINE_BYTES and time.monotonic() < until:
                    time.sleep(IN_FLIGHT_S / 10)
                    line += file.readline(LINE_BYTES + 1 - len(line))
            yield line
