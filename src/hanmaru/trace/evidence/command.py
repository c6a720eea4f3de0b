"""``hanmaru trace investigate``: a case's folder in, its results beside it."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hanmaru.platform.console import say
from hanmaru.trace.domain import TraceError
from hanmaru.trace.evidence import casedir, outputs
from hanmaru.trace.evidence.inputs import Case
from hanmaru.trace.evidence.investigate import investigate
from hanmaru.trace.evidence.scope import Grant

APPROVALS = "approval*.jwt"
AUTHORITY = "services/trace/authority.pem"
"""The public key of approvals, in the data folder."""


def run(folder: Path, authority: Path | None, data: Path, test_data: bool, out: Path | None, as_json: bool) -> None:
    """Investigate a case's folder; print what was found and where the time went.

    Raises TraceError without an approval that covers the case (unless it is test data), and for unreadable tables.
    """
    clock = _Clock()
    clock.stage("reading", 0.0)
    case = casedir.case(folder)
    if test_data and any(folder.glob(APPROVALS)):
        raise TraceError(f"{folder} has an approval, so its data is somebody's; leave out --test-data")
    grants = None if test_data else approvals(folder, case, authority or data / AUTHORITY)
    with Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=as_json,
    ) as bar:
        task = bar.add_task("reading", total=1.0)

        def progress(stage: str, share: float) -> None:
            clock.stage(stage, share)
            bar.update(task, description=stage, completed=0.1 + 0.8 * share)

        inputs = casedir.read(folder, case, grants, test_data=test_data)
        results = investigate(inputs, progress)
        progress("writing", 1.0)
        target = out or folder / "results"
        files = outputs.write(target, results)
        progress("reports", 1.0)
        facts: dict[str, Any] = tomllib.loads((folder / "case.toml").read_text("utf-8"))
        warnings: list[str] = []
        try:
            files += outputs.reports(target, facts, results)
        except TraceError as error:  # the findings are there all the same
            warnings.append(f"no report: {error}")
    seconds = clock.seconds()
    summary = {
        "case": case.id,
        "test_data": test_data,
        "out": str(target),
        "files": [path.name for path in files],
        "counts": results["counts"],
        "refused": results["refused"],
        "warnings": warnings,
        "seconds": seconds,
    }
    say(summary, _told(summary), as_json)


def approvals(folder: Path, case: Case, authority: Path) -> list[Grant]:
    """Return what the signed approvals in a case's folder grant: ``approval.jwt``, or ``approval-….jwt`` for several.

    Raises TraceError where there is none, one does not verify, or none is for the case's subject.
    """
    from hanmaru.trace.cases import approval

    files = sorted(folder.glob(APPROVALS))
    if not files:
        raise TraceError(
            f"{folder} has no approval.jwt; have the request approved and put the approval there, "
            "or say --test-data if nobody's real data is in it"
        )
    if not authority.exists():
        raise TraceError(f"{authority} is not there; name the public key of approvals with --authority FILE.pem")
    granted: list[Grant] = []
    for path in files:
        try:
            found = approval.verify_file(path, authority, datetime.now(UTC), case.id)
        except TraceError as error:
            raise TraceError(f"{path.name}: {error}") from None
        granted.append(
            Grant(
                found.request,
                frozenset(found.kinds),
                frozenset(found.subjects),
                int(found.period.start.timestamp()),
                int(found.period.end.timestamp()),
                found.area,
            )
        )
    if not any(case.subject in grant.subjects for grant in granted):
        raise TraceError(f"no approval in {folder} names the subject {case.subject}; ask for one that does")
    return granted


class _Clock:
    """How long each stage took."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, float]] = []

    def stage(self, name: str, share: float) -> None:
        """Note that a stage begins."""
        del share
        self._marks.append((name, perf_counter()))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage up to now, and of all."""
        ends = [at for _, at in self._marks[1:]] + [perf_counter()]
        each = {name: round(end - at, 3) for (name, at), end in zip(self._marks, ends, strict=True)}
        return {**each, "total": round(ends[-1] - self._marks[0][1], 3)}


def _told(summary: dict[str, Any]) -> str:
    counts, refused = summary["counts"], summary["refused"]
    lines = [
        f"Case {summary['case']}: {counts['stays']} stays, {counts['moves']} moves, {counts['contacts']} contacts "
        f"among {counts['subjects'] - 1} people, {counts['hotspots']} hotspots, {counts['cameras']} cameras",
        "Refused: " + (", ".join(f"{n:,} {why.replace('_', ' ')}" for why, n in refused.items()) or "nothing"),
        "Seconds: " + ", ".join(f"{stage} {s:.2f}" for stage, s in summary["seconds"].items()),
        f"Results: {summary['out']}",
        *(f"Warning: {text}" for text in summary["warnings"]),
    ]
    return "\n".join((["TEST DATA"] if summary["test_data"] else []) + lines)
