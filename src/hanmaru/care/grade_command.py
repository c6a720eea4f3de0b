"""``hanmaru care grade``: a file of visits in, every rule's answer for each out."""

import csv
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, get_args

import numpy as np

from hanmaru.care.domain import CareError
from hanmaru.care.rules import plausibility
from hanmaru.care.rules.catalogue import RULES, grade
from hanmaru.care.rules.core import UNKNOWN, Level, Result, Rule
from hanmaru.care.screening_file import Block, Problem, Screenings
from hanmaru.platform.console import say

SHOWN: Final = 20
"""Problems that are told one by one; all of them are counted."""

_LEVELS: Final = get_args(Level)
_MARKS: Final = {plausibility.UNLIKELY: "unlikely", plausibility.IMPOSSIBLE: "impossible"}


@dataclass(slots=True)
class Summary:
    """What a file came to."""

    visits: int = 0
    out: str = ""
    seconds: float = 0.0
    classes: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    levels: Counter[str] = field(default_factory=Counter[str])
    flags: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    problems: int = 0
    first_problems: list[Problem] = field(default_factory=list[Problem])
    columns: dict[str, str] = field(default_factory=dict[str, str])
    passed_on: list[str] = field(default_factory=list[str])


def run(source: Path, out: Path, as_json: bool) -> None:
    """Grade every row of ``source`` by all rules and write them to ``out``; bad cells and rows are told and flagged.

    Raises:
        CareError: for a file that cannot be read or written, no known column, or a column in another unit.
    """
    began = time.perf_counter()
    summary = Summary(out=str(out))
    if out.resolve() == source.resolve():
        raise CareError(f"{out} is the file to grade; name another one for the result")
    temporary = out.with_name(f"{out.name}.part")
    try:
        with ExitStack() as files:
            screenings = Screenings(source, files)
            summary.columns = {screenings.header[place]: name for place, name in screenings.names.items()}
            others = [place for place in range(len(screenings.header)) if place not in screenings.names]
            summary.passed_on = [screenings.header[place] for place in others]
            writer = csv.writer(files.enter_context(temporary.open("w", encoding="utf-8", newline="")))
            writer.writerow([*screenings.header, "level", "flags", *_headings()])
            for block in _watched(screenings, files, as_json):
                writer.writerows(_graded(block, summary))
                for problem in block.problems[: max(0, SHOWN - summary.problems)]:
                    summary.first_problems.append(problem)
                    print(f"{source}, row {problem.row}{_named(problem)}: {problem.message}", file=sys.stderr)
                summary.problems += len(block.problems)
        temporary.replace(out)
    except OSError as error:
        raise CareError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    summary.seconds = round(time.perf_counter() - began, 3)
    say(summary, _told(summary), as_json)


def _named(problem: Problem) -> str:
    return f", column {problem.column}" if problem.column else ""


def _watched(screenings: Screenings, files: ExitStack, as_json: bool) -> Iterator[Block]:
    """Yield the file's blocks, with a bar on a terminal."""
    if as_json or not sys.stderr.isatty():
        yield from screenings.blocks()
        return
    from rich.console import Console
    from rich.progress import Progress

    bar = files.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = bar.add_task("grading", total=screenings.size)
    for block in screenings.blocks():
        yield block
        bar.update(task, completed=block.position)


def _headings() -> list[str]:
    """Return ``rule`` for its value and ``rule:class`` for its class; the first is empty where it judges several."""
    return [heading for rule in RULES.values() for heading in (rule.id, f"{rule.id}:class")]


def _graded(block: Block, summary: Summary) -> Iterable[list[str]]:
    results = grade(block.columns)
    flags = _flags(block, summary)
    levels = _levels(results)
    summary.visits += len(block.cells)
    summary.levels.update(levels)
    cells = [column for name, result in results.items() for column in _cells(RULES[name], result, summary)]
    return (
        [*row, level, flag, *graded]
        for row, level, flag, graded in zip(block.cells, levels, flags, zip(*cells, strict=True), strict=True)
    )


def _cells(rule: Rule, result: Result, summary: Summary) -> tuple[list[str], list[str]]:
    bands = result.band
    places: list[int] = (bands + 1).tolist()
    counts = np.bincount(bands + 1, minlength=len(rule.bands) + 1).tolist()
    codes = ["", *(band.code for band in rule.bands)]
    counter = summary.classes.setdefault(rule.id, Counter())
    counter.update(dict(zip(("not told", *codes[1:]), counts, strict=True)))
    classes = [codes[place] for place in places]
    if result.value is None or counts[0] == len(bands):
        return [""] * len(bands), classes
    values = np.where(bands == UNKNOWN, np.nan, result.value).tolist()
    return ["" if value != value else f"{value:.6g}" for value in values], classes


def _levels(results: Mapping[str, Result]) -> list[str]:
    """Return each visit's most pressing level over all rules that are advice; empty where nothing could be told."""
    worst: np.ndarray[tuple[int], np.dtype[np.int8]] | None = None
    for name, result in results.items():
        rule = RULES[name]
        if rule.beside:
            continue
        table = np.array([*(_LEVELS.index(band.level) for band in rule.bands), UNKNOWN], np.int8)
        level = table[result.band]  # -1 takes the last
        worst = level if worst is None else np.maximum(worst, level)
    assert worst is not None
    return [*(_LEVELS[i] if i >= 0 else "" for i in worst.tolist())]


def _flags(block: Block, summary: Summary) -> list[str]:
    marks = block.unreadable
    for name, flagged in plausibility.flags(block.columns).items():
        counter = summary.flags.setdefault(name, Counter())
        for i in np.flatnonzero(flagged).tolist():
            mark = _MARKS[int(flagged[i])]
            counter[mark] += 1
            marks[i].append(f"{name}={mark}")
    return [" ".join(found) for found in marks]


def _told(summary: Summary) -> str:
    speed = summary.visits / max(summary.seconds, 1e-9)
    lines = [f"{summary.visits:,} visits graded in {summary.seconds:.2f} s ({speed:,.0f}/s), in {summary.out}"]
    levels = [f"{summary.levels[level]:,} {level}" for level in reversed(_LEVELS) if summary.levels[level]]
    lines.append(f"most pressing: {', '.join(levels) or 'nothing could be told'}")
    for name, counter in summary.flags.items():
        lines.append(f"{name}: " + ", ".join(f"{count:,} {mark}" for mark, count in counter.items()))
    if summary.problems:
        lines.append(f"{summary.problems:,} cells or rows could not be read; each is flagged in its row")
    if summary.passed_on:
        lines.append(f"passed on as they are: {', '.join(summary.passed_on[:20])}")
    return "\n".join(lines)
