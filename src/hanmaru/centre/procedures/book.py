"""Procedures as TOML: read and checked in one readable line, and the ready ones that come along. Pure but for files."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from hanmaru.centre.domain import CentreError, Text
from hanmaru.centre.procedures.model import Procedure, Step

READY = Path(__file__).with_name("ready")
MOST_STEPS = 60
MOST_CHARACTERS = 100_000
MOST_S = 7 * 86_400.0
"""Longest timer: a week."""
ROLES = ("operator", "supervisor", "cctv-officer", "all")
AGENCIES = ("police", "fire", "disaster", "medical", "construction")
_ID = re.compile(r"[a-z][a-z0-9-]{0,39}")


def parse(text: str) -> Procedure:
    """Read a procedure. Raises CentreError that names the step and what is wrong with it."""
    if len(text) > MOST_CHARACTERS:
        raise CentreError(f"a procedure has at most {MOST_CHARACTERS} characters")
    try:
        procedure = msgspec.convert(tomllib.loads(text), Procedure)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise CentreError(f"this is no procedure: {error}") from None
    _check(procedure)
    return procedure


@cache
def ready() -> Mapping[str, tuple[Procedure, str]]:
    """Return the procedures that come along, by id, each with its TOML."""
    found: dict[str, tuple[Procedure, str]] = {}
    for path in sorted(READY.glob("*.toml")):
        text = path.read_text("utf-8")
        procedure = parse(text)
        found[procedure.id] = procedure, text
    return found


def _check(procedure: Procedure) -> None:
    _id(procedure.id, "the procedure")
    _text(procedure.name, "the procedure's name")
    if not 0 < len(procedure.steps) <= MOST_STEPS:
        raise CentreError(f"a procedure has 1 to {MOST_STEPS} steps")
    _within("fold_m", procedure.fold_m, 0, 50_000)
    _within("fold_s", procedure.fold_s, 0, MOST_S)
    last = 0.0
    for rung in procedure.escalation:
        _within("escalation.after_s", rung.after_s, last, MOST_S)
        last = rung.after_s
        if rung.to not in (*ROLES, *(f"agency:{kind}" for kind in AGENCIES)):
            raise CentreError(f"escalation.to is one of {', '.join(ROLES)} or agency:<kind>, not {rung.to!r}")
    before: dict[str, frozenset[str]] = {}
    decisions: dict[str, set[str]] = {}
    previous: tuple[str, ...] = ()
    for step in procedure.steps:
        where = f"step {step.id!r}"
        _id(step.id, where)
        if step.id in before:
            raise CentreError(f"{where} is there twice: give each an id of its own")
        for other in step.after or ():
            if other not in before:
                raise CentreError(f"{where} comes after {other!r}, which is no earlier step")
        needed = previous if step.after is None else step.after
        before[step.id] = frozenset(needed).union(*(before[other] for other in needed))
        previous = (step.id,)
        for each in step.only:
            decision, _, option = each.partition(":")
            if option not in decisions.get(decision, ()) or decision not in before[step.id]:
                raise CentreError(f"{where} has only = {each!r}: name decision:option of a decision that comes before")
        if step.kind == "decision":
            decisions[step.id] = {one.id for one in step.options}
        _step(step, where)


def _step(step: Step, where: str) -> None:
    _text(step.title, f"{where}: title")
    if step.due_s is not None:
        _within(f"{where}: due_s", step.due_s, 0.05, MOST_S)
    wants = {
        "checklist": (bool(step.items), "items, at least one"),
        "decision": (len(step.options) >= 2, "options, at least two"),
        "message": (step.to in ROLES, f"to, one of {', '.join(ROLES)}"),
        "handover": (step.agency is not None, f"agency, one of {', '.join(AGENCIES)}"),
        "wait": (step.wait_s is not None, "wait_s"),
    }
    fine, what = wants.get(step.kind, (True, ""))
    if not fine:
        raise CentreError(f"{where} is a {step.kind}: give {what}")
    if step.wait_s is not None:
        _within(f"{where}: wait_s", step.wait_s, 0.05, MOST_S)
    if step.auto and step.kind not in ("message", "handover"):
        raise CentreError(f"{where}: auto is for a message or a handover")
    if step.kind == "handover" and "cameras" in step.include and not step.basis:
        raise CentreError(f"{where} hands over cameras: give basis, the lawful ground, in every language")
    for kind, choices in (("item", step.items), ("option", step.options)):
        ids = [one.id for one in choices]
        if len(ids) != len({*ids}) or len(ids) > MOST_STEPS:
            raise CentreError(f"{where}: every {kind} has an id of its own, and there are at most {MOST_STEPS}")
        for one in choices:
            _id(one.id, f"{where}: {kind} {one.id!r}")
            _text(one.text, f"{where}: {kind} {one.id!r}")


def _id(id: str, where: str) -> None:
    if not _ID.fullmatch(id):
        raise CentreError(f"{where}: an id is small letters, digits and hyphens, at most 40, not {id[:60]!r}")


def _text(text: Text, where: str) -> None:
    if not text.get("en", "").strip():
        raise CentreError(f"{where} needs a text in en (and in the city's other languages)")


def _within(what: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise CentreError(f"{what} is {least:g} to {most:g}, not {value:g}")
