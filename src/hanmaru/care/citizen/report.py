"""The report of a visit in words: what was found, where each value lies, what it cannot tell, what to do next.

Pure: the visit's resources in, values out. The words of a finding are those that the citizen was told at the visit.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from hanmaru.care.citizen import scale
from hanmaru.care.citizen.scale import unit
from hanmaru.care.citizen.visit import LEVEL, Grade, Resource, code, grades, instant, measured, part, taken, told
from hanmaru.care.hospital import schedule
from hanmaru.care.rules.catalogue import RULES, Graded
from hanmaru.care.rules.catalogue import scale as scale_of_value
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.rules.core import Level
from hanmaru.platform.services import Text

LEVELS: Final = ("good", "info", "watch", "act", "urgent")
"""From what asks for nothing to what asks for most."""
OPEN: Final = ("requested", "received", "accepted", "ready", "in-progress", "on-hold")
"""The states of a Task that somebody still has to do."""
OWN: Final = "urn:hanmaru:care:"
QUIET: Final = "no"
"""The band of a rule that asks whether something is so: it is not, and nothing needs to be said."""
YEARLY_DAYS: Final = 365
"""When to measure again where nothing asks for it: once a year, as everybody's check-up."""
DECIMALS: Final[Mapping[str, int]] = {"mmHg": 0, "": 2, "m/s": 2, "초": 2}


@dataclass(frozen=True, slots=True)
class Value:
    """A value beside its name, as it was used."""

    column: str
    title: Text
    shown: str
    unit: Text


@dataclass(frozen=True, slots=True)
class Earlier:
    """The same finding at an earlier visit."""

    at: str
    shown: str
    level: str


@dataclass(frozen=True, slots=True)
class Item:
    """One finding. ``shown`` is its value as it is read out; ``beside`` marks another country's class."""

    rule: str
    version: str
    title: Text
    value: float | None
    shown: str
    unit: Text
    band: str
    level: str
    word: Text
    text: Text
    cannot: Text
    source: str
    beside: bool
    inputs: tuple[Value, ...]
    scales: tuple[scale.Scale, ...]
    previous: Earlier | None


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that belong together, the gravest level among them, and the rest in one line."""

    id: str
    title: Text
    level: str
    word: Text
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Next:
    """What to do, as the finding said it, about which group, from which day on and by which (ISO 8601, city's zone).

    ``set``: it stands in the record, so that somebody at the health centre knows of it.
    """

    what: Text
    text: Text
    about: Text
    start: str
    when: str
    level: str
    set: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The one sentence at the top."""

    level: str
    word: Text
    text: Text


@dataclass(frozen=True, slots=True)
class Report:
    """A visit's report. ``urgent`` are the findings that need a doctor today; they are in their groups, too.

    ``seen`` says when the nurse acknowledged the alert about them, None where there is none or nobody has yet.
    """

    encounter: str
    at: str
    place: Text
    summary: Summary
    urgent: tuple[Item, ...]
    alerted: bool
    seen: str | None
    groups: tuple[Group, ...]
    measurements: tuple[Value, ...]
    next: tuple[Next, ...]


@cache
def words() -> Mapping[str, Any]:
    """Return the report's own sentences."""
    return tomllib.loads(Path(__file__).with_name("report.toml").read_text("utf-8"))


def word(level: str) -> Text:
    """Return a level's name."""
    return words()["levels"].get(level, words()["levels"]["info"])


def shown(value: float, of: str) -> str:
    """Return a value with as many decimals as its unit deserves, no zeros at the end."""
    text = f"{value:.{DECIMALS.get(of, 1)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def gravest(levels: Iterable[str]) -> str:
    """Return the level that asks for most; ``info`` where nothing else is there."""
    known = [LEVELS.index(level) for level in levels if level in LEVELS]
    return LEVELS[max(known)] if known and max(known) != 1 else "good" if 0 in known else "info"


def assemble(
    encounter: Resource,
    observations: Sequence[Resource],
    before: Sequence[Resource],
    *,
    sex: str,
    place: Text,
    zone: tzinfo,
    others: Sequence[Resource] = (),
    newest: bool = True,
) -> Report:
    """Return a visit's report.

    ``observations`` are the visit's, ``before`` the grades of earlier visits, ``others`` Communications and Tasks; the
    citizen's ``sex`` is FHIR's code, ``zone`` the city's. Only the ``newest`` visit says what to do next. What is not
    understood is left out.
    """
    found = sorted(grades(observations), key=_order)
    earlier: dict[str, Grade] = {}
    for one in sorted(grades(before), key=lambda grade: grade.at):
        earlier[one.rule] = one
    person: dict[str, float] = {} if sex not in ("male", "female") else {"sex": float(sex == "female")}
    for value in taken(measured(observations)):
        person[value.column] = value.value
    for grade in found:
        person = {**grade.inputs, **person}
    items = _drawn_once([_item(grade, person, earlier.get(grade.rule), sex) for grade in found if not _quiet(grade)])
    groups = _grouped(items, found)
    urgent = tuple(item for item in items if item.level == "urgent")
    alerts = [one for one in others if one.get("resourceType") == "Communication"]
    at = instant(part(encounter, "period").get("start"))
    level = gravest(item.level for item in items if not item.beside) if items else "info"
    return Report(
        encounter=str(encounter.get("id", "")),
        at=at,
        place=place,
        summary=_summary(level, groups, found),
        urgent=urgent,
        alerted=bool(alerts),
        seen=next((str(one["received"]) for one in alerts if one.get("received")), None),
        groups=groups,
        measurements=_values(observations),
        next=_next(items, others, at, zone) if newest else (),
    )


def _quiet(grade: Grade) -> bool:
    return grade.band == QUIET and grade.level in ("good", "info")


def _order(grade: Grade) -> int:
    ids = list(RULES)
    return ids.index(grade.rule) if grade.rule in RULES else len(ids)


def _item(grade: Grade, person: Mapping[str, float], earlier: Grade | None, sex: str) -> Item:
    rule = RULES.get(grade.rule)
    ours = rule if rule is not None and rule.version == grade.version else None
    of = rule.unit if rule else grade.unit
    return Item(
        rule=grade.rule,
        version=grade.version,
        title=rule.title if rule else grade.title,
        value=grade.value,
        shown=_shown(grade, of),
        unit=unit(of),
        band=grade.band,
        level=grade.level,
        word=word(grade.level),
        text=grade.text,
        cannot=ours.cannot if ours else {"ko": grade.cannot, "en": grade.cannot},
        source=grade.source,
        beside=bool(rule and rule.beside),
        inputs=tuple(_value(name, value) for name, value in grade.inputs.items() if name in COLUMNS),
        scales=_scales(grade, {**person, **grade.inputs}, sex) if ours and not ours.beside else (),
        previous=Earlier(earlier.at, _shown(earlier, of), earlier.level) if earlier and _shown(earlier, of) else None,
    )


def _shown(grade: Grade, of: str) -> str:
    if {"sbp_mmhg", "dbp_mmhg"} == {*grade.inputs}:
        return f"{grade.inputs['sbp_mmhg']:.0f}/{grade.inputs['dbp_mmhg']:.0f}"
    return "" if grade.value is None else shown(grade.value, of)


def _value(column: str, value: float) -> Value:
    about = COLUMNS[column]
    title = {"ko": about.ko, "en": about.en}
    if about.kind == "number":
        return Value(column, title, shown(value, about.unit), unit(about.unit))
    if about.kind == "sex":
        return Value(column, title, "female" if value else "male", unit(""))
    return Value(column, title, "yes" if value else "no", unit(""))


def _values(observations: Iterable[Resource]) -> tuple[Value, ...]:
    newest = {value.column: value.value for value in taken(measured(observations))}
    return tuple(_value(name, newest[name]) for name in COLUMNS if name in newest)


def _scales(grade: Grade, person: Mapping[str, float], sex: str) -> tuple[scale.Scale, ...]:
    """Return where the value lies: along the columns that were measured, else along the rule's own value."""
    rule = RULES[grade.rule]
    if along := scale.drawn(rule, person):
        return along
    steps = scale_of_value(rule, sex)
    if grade.value is None or not steps:
        return ()
    segments = tuple(scale.Segment(s.start, s.end, s.band.code, s.band.level, s.band.text) for s in steps)
    return (scale.of_segments("", rule.title, rule.unit, grade.value, segments),)


def _drawn_once(items: Sequence[Item]) -> list[Item]:
    """Draw each column once, by the finding that tells most of it apart."""
    best: dict[str, tuple[int, str]] = {}
    for item in items:
        for one in item.scales:
            if one.column and len(one.segments) > best.get(one.column, (0, ""))[0]:
                best[one.column] = len(one.segments), item.rule
    return [
        replace(item, scales=tuple(s for s in item.scales if not s.column or best[s.column][1] == item.rule))
        for item in items
    ]


def _group(rule: str) -> str:
    known = RULES.get(rule)
    return known.group if known and known.group in words()["groups"] else "other"


def _grouped(items: Sequence[Item], found: Sequence[Grade]) -> tuple[Group, ...]:
    groups: list[Group] = []
    for id, title in words()["groups"].items():
        own = tuple(item for item in items if _group(item.rule) == id)
        quiet = [grade.level for grade in found if _group(grade.rule) == id and _quiet(grade)]
        if own:
            level = gravest([*(item.level for item in own if not item.beside), *quiet])
            groups.append(Group(id, title, level, word(level), own))
    return tuple(groups)


def _summary(level: str, groups: Sequence[Group], found: Sequence[Grade]) -> Summary:
    if not found:
        return Summary("info", word("info"), words()["summary"]["nothing"])
    level = "good" if level == "info" else level
    named = [group.title for group in groups if group.level == level]
    sentence: Text = words()["summary"][level]
    text = {tag: said.format(groups=", ".join(name[tag] for name in named)) for tag, said in sentence.items()}
    return Summary(level, word(level), text)


def _next(items: Sequence[Item], others: Sequence[Resource], at: str, zone: tzinfo) -> tuple[Next, ...]:
    """Return what to do, first what is due first: what stands in the record, else what the findings ask for."""
    groups, said = words()["groups"], words()["next"]
    found: list[Next] = []
    for task in others:
        days = part(task, "executionPeriod")
        if task.get("resourceType") == "Task" and task.get("status") in OPEN and days.get("start"):
            reason = task.get("reasonCode")
            about = groups.get(code(reason, f"{OWN}follow-up").removeprefix("check-"), groups["other"])
            what = said.get(code(reason, f"{OWN}what"), said["check-up"])
            by = str(days.get("end") or days["start"])[:10]
            level = code(reason, LEVEL) or "watch"
            found.append(Next(what, told(reason), about, str(days["start"])[:10], by, level, True))
    if not found and at:
        day = datetime.fromisoformat(at).astimezone(zone).date()
        for one in schedule.follow_ups(_graded(item) for item in items):
            start, by = day + timedelta(days=one.days), day + timedelta(days=one.by)
            about = groups.get(one.group, groups["other"])
            found.append(Next(said[one.what], one.text, about, f"{start}", f"{by}", one.level, False))
        if not found:
            year = f"{day + timedelta(days=YEARLY_DAYS)}"
            found.append(Next(said["check-up"], said["yearly"], {"ko": "", "en": ""}, year, year, "good", False))
    return tuple(sorted(found, key=lambda one: (one.when, one.start)))


def _graded(item: Item) -> Graded:
    level = cast("Level", item.level)
    return Graded(
        *(item.rule, item.version, _group(item.rule), item.title, item.value, item.unit["ko"], item.band),
        *(level, item.text, item.cannot, item.source, item.beside, dict[str, float]()),
    )
