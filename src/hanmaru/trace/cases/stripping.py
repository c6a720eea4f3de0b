"""What results say once the data of a request is destroyed: the request's rows leave, and what rests on them alone.

A stay, move or contact that other rows speak for stays, without naming the rows that went.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

Results = dict[str, Any]
OTHERS = "others"
"""Member of results: of each request that brought rows of other people, whose."""


def without(results: Results, request: str) -> Results | None:
    """Return results without what a request brought, None where they hold nothing of it.

    Rows of a table that several requests brought name all of these; they go with the first. People whom only this
    request brought are no contacts any more, and hotspots, which are counts of people, go with the last request that
    brought people.
    """
    gone = {row["id"] for row in results.get("evidence", ()) if request in (row.get("request") or "").split(",")}
    brought: Mapping[str, Sequence[str]] = results.get(OTHERS) or {}
    if not gone and request not in brought:
        return None
    left = {id: who for id, who in brought.items() if id != request}
    people = {*brought.get(request, ())} - {subject for who in left.values() for subject in who}

    stays, lost = _parted(results.get("stays", ()), gone)
    ends = {stay["start"] for stay in lost} | {stay["end"] for stay in lost}
    moving, _ = _parted(results.get("moves", ()), gone)
    moves = [one for one in moving if one["evidence"] or not ends & {one["start"], one["end"]}]
    contacts = [_contact(one, gone) for one in results.get("contacts", ()) if one["subject"] not in people]
    there = {one["id"] for one in (*stays, *moves)}
    hotspots = [] if brought and not left else _at(results.get("hotspots", ()), there)
    made = {
        **results,
        "evidence": [row for row in results.get("evidence", ()) if row["id"] not in gone],
        "stays": stays,
        "moves": moves,
        "contacts": [one for one in contacts if one is not None],
        "hotspots": hotspots,
        "cameras": _cameras(results.get("cameras", ()), there),
        OTHERS: left,
    }
    counts = cast("Mapping[str, int]", results.get("counts", {}))
    return {**made, "counts": {name: len(made[name]) if name in _COUNTED else n for name, n in counts.items()}}


_COUNTED = ("stays", "moves", "contacts", "hotspots", "cameras")


def _kept(ids: Sequence[str], gone: set[str]) -> list[str]:
    return [id for id in ids if id not in gone]


def _parted(found: Sequence[Results], gone: set[str]) -> tuple[list[Results], list[Results]]:
    """Return what some row still speaks for, or never did, and what rested on rows that went alone."""
    kept: list[Results] = []
    lost: list[Results] = []
    for one in found:
        evidence = _kept(one.get("evidence", ()), gone)
        (kept if evidence or not one.get("evidence") else lost).append({**one, "evidence": evidence})
    return kept, lost


def _contact(contact: Results, gone: set[str]) -> Results | None:
    reasons, lost = _parted(contact.get("reasons", ()), gone)
    # what never named a row, such as that they met repeatedly, is no reason of its own
    if lost and not any(reason["evidence"] for reason in reasons):
        return None
    return {**contact, "reasons": reasons}


def _at(hotspots: Sequence[Results], there: set[str]) -> list[Results]:
    kept: list[Results] = []
    for one in hotspots:
        stays = [id for id in one.get("stays", ()) if id in there]
        if stays or not one.get("stays"):
            kept.append({**one, "stays": stays})
    return kept


def _cameras(cameras: Sequence[Results], there: set[str]) -> list[Results]:
    kept: list[Results] = []
    for camera in cameras:
        windows = [w for w in camera["windows"] if (w.get("stay") or w.get("move")) in there]
        if windows:
            kept.append({**camera, "windows": windows})
    return kept
