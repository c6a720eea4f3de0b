"""``hanmaru care risk``: one person or a table in, the risk models' answers out, and why a model says nothing."""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hanmaru.care.domain import CareError
from hanmaru.care.rules import plausibility, risk
from hanmaru.care.rules.columns import COLUMNS, Columns
from hanmaru.care.rules.core import UNKNOWN, Level, Result, Rule, Text
from hanmaru.care.rules.risk.scopes import Gap, gaps
from hanmaru.care.screening_file import Screenings, numbers, why_not
from hanmaru.platform.console import say

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 20
"""Problems of a file that are printed; all are counted."""


@dataclass(slots=True)
class Summary:
    """What a file came to: how many people, how many of them each model told, how much could not be read."""

    people: int = 0
    out: str = ""
    told: dict[str, int] = field(default_factory=dict[str, int])
    problems: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """One model's answer about one person, as JSON gives it."""

    rule: str
    version: str
    title: Text
    value: float
    unit: str
    band: str
    level: Level
    text: Text
    cannot: Text
    source: str
    beside: bool


@dataclass(frozen=True, slots=True)
class Untold:
    """A model that says nothing of somebody, and why."""

    rule: str
    title: Text
    gaps: list[Gap]


def run(people: Sequence[str], out: Path | None, compare: bool, as_json: bool) -> None:
    """Tell the risks of one person (``name=value`` …) or of a CSV file's rows.

    Raises:
        CareError: for a file that cannot be read, an unknown name or a value that is no number.
    """
    rules = (*risk.RULES, *risk.COMPARED) if compare else risk.RULES
    if all("=" in word for word in people):
        if out is not None:
            raise CareError("--out is for a file of people; one person's risks are printed")
        _one(dict(word.split("=", 1) for word in people), rules, as_json)
    elif len(people) == 1:
        _file(Path(people[0]), out, rules, as_json)
    else:
        raise CareError("give one person as name=value words, or one CSV file")


def _number(name: str, text: str) -> float:
    """A word's value as a number; an empty one is not known."""
    (value,), bad = numbers(name, [text])
    if bad:
        raise CareError(f"{name}: {why_not(name, text).partition(';')[0]}")
    return float(value)


def _results(columns: Columns, rules: Sequence[Rule]) -> dict[str, Result]:
    with np.errstate(all="ignore"):  # NaN is "not known" and carried along
        return {rule.id: rule.run(columns) for rule in rules}


def _unknown(name: str) -> CareError:
    from difflib import get_close_matches

    near = get_close_matches(name, COLUMNS, 1)
    return CareError(f"there is no column {name[:40]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _one(person: Mapping[str, str], rules: Sequence[Rule], as_json: bool) -> None:
    for name in person:
        if name not in COLUMNS:
            raise _unknown(name)
    given = Columns({name: [_number(name, text)] for name, text in person.items()}, 1)
    flagged = [name for name, flags in plausibility.flags(given).items() if flags[0] == plausibility.IMPOSSIBLE]
    columns = plausibility.possible(given)
    results = _results(columns, rules)
    told = [_told(rule, results[rule.id]) for rule in rules if results[rule.id].band[0] != UNKNOWN]
    untold = [
        Untold(rule.id, rule.title, gaps(rule.id, columns)) for rule in rules if results[rule.id].band[0] == UNKNOWN
    ]
    if as_json:
        say({"risks": told, "untold": untold, "impossible": flagged}, "", True)
        return
    from rich.console import Console

    console = Console(highlight=False)
    for name in flagged:
        console.print(f"note: {name} is impossible and taken as not known")
    console.print(_table(told))
    for model in untold:
        console.print(f"{model.title['en']}: {'; '.join(map(_gap, model.gaps))}")


def _told(rule: Rule, result: Result) -> Told:
    band = rule.bands[int(result.band[0])]
    value = np.nan if result.value is None else float(result.value[0])
    return Told(
        rule=rule.id,
        version=rule.version,
        title=rule.title,
        value=round(value, 4),
        unit=rule.unit,
        band=band.code,
        level=band.level,
        text=band.text,
        cannot=rule.cannot,
        source=rule.source,
        beside=rule.beside,
    )


def _gap(gap: Gap) -> str:
    if gap.why == "missing":
        return f"{gap.column} not given"
    if gap.low == gap.high:
        return f"only for {gap.column}={'yes' if gap.low else 'no'}"
    return (
        f"{gap.column} must be {gap.low:g} to {gap.high:g}"
        if gap.high is not None
        else f"{gap.column} from {gap.low:g}"
    )


def _table(told: Sequence[Told]) -> "Table":
    from rich.table import Table

    table = Table("model", "value", "class", "what it says", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for answer in told:
        value = f"{answer.value:.1f} {'%' if answer.unit == '%' else 'points'}"
        table.add_row(answer.title["en"], value, answer.band, answer.text["en"])
    return table


def _file(source: Path, out: Path | None, rules: Sequence[Rule], as_json: bool) -> None:
    if out is None:
        raise CareError("say where the risks go: --out RISKS.csv")
    if out.resolve() == source.resolve():
        raise CareError(f"{out} is the file of people; name another one for the result")
    summary = Summary(out=str(out), told=dict.fromkeys((rule.id for rule in rules), 0))
    temporary = out.with_name(f"{out.name}.part")
    try:
        with ExitStack() as files:
            people = Screenings(source, files)
            writer = csv.writer(files.enter_context(temporary.open("w", encoding="utf-8", newline="")))
            writer.writerow([*people.header, *(f"{rule.id}{end}" for rule in rules for end in ("", ":class"))])
            for block in people.blocks():
                for problem in block.problems[: max(0, SHOWN - summary.problems)]:
                    where = f", column {problem.column}" if problem.column else ""
                    print(f"{source}, row {problem.row}{where}: {problem.message}", file=sys.stderr)
                results = _results(plausibility.possible(block.columns), rules)
                for rule in rules:
                    summary.told[rule.id] += int((results[rule.id].band != UNKNOWN).sum())
                rows = zip(block.cells, _cells(results, rules), strict=True)
                writer.writerows([*row, *cells] for row, cells in rows)
                summary.people += len(block.cells)
                summary.problems += len(block.problems)
        temporary.replace(out)
    except OSError as error:
        raise CareError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    say(summary, f"{summary.people} people, risks in {out}; {summary.problems} problems", as_json)


def _cells(results: Mapping[str, Result], rules: Sequence[Rule]) -> Iterator[list[str]]:
    columns: list[list[str]] = []
    for rule in rules:
        value, bands = results[rule.id]
        assert value is not None
        columns.append([f"{number:.4g}" if number == number else "" for number in value.tolist()])
        codes = ["", *(band.code for band in rule.bands)]
        places: list[int] = (bands + 1).tolist()
        columns.append([codes[place] for place in places])
    return (list(cells) for cells in zip(*columns, strict=True))
