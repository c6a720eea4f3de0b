"""``_include`` and ``_revinclude``: resources that the matches refer to, and that refer to the matches."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from hanmaru.care.fhir.database import Database
from hanmaru.care.fhir.definitions import parameters, types
from hanmaru.care.fhir.filters import Filters
from hanmaru.care.fhir.parameters import shown, wrong

MOST: Final = 1000
"""Included resources of one page."""
DEPTH: Final = 5
"""How often ``:iterate`` goes on from what was included."""


class Include(NamedTuple):
    """``numbers`` are the parameters that are followed, ``target`` the type that they must lead to (0: any).

    ``urls`` are the parameters of the addresses that canonicals among them name; empty where none are.
    """

    reverse: bool
    numbers: tuple[int, ...]
    target: int
    iterate: bool
    urls: tuple[int, ...]


def include(name: str, value: str) -> Include:
    """Take ``_include=Observation:subject:Patient`` apart. Raises Problem 400."""
    way, _, modifier = name.partition(":")
    if modifier not in ("", "iterate", "recurse"):
        raise wrong(f"{way} takes :iterate alone.")
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if value == "*":
        source, code = "", "*"
    elif source not in parameters() or (target and target not in types()):
        raise wrong(f"{way} is written Observation:subject or Observation:subject:Patient.")
    tables = [parameters()[source]] if source else list(parameters().values())
    references = [p for table in tables for p in table.values() if p.type == "reference"]
    chosen = tuple({n for p in references if code in ("*", p.code) for n in p.numbers})
    if not chosen:
        raise wrong(f"{source} has no reference {shown(code)} to include by.")
    only = next((p.only for p in references if p.code == code), 0)
    canonical = any(p.canonical for p in references if code in ("*", p.code))
    led = [target] if target else list(types())
    urls = tuple(parameters()[t]["url"].number for t in led if "url" in parameters()[t]) if canonical else ()
    return Include(way == "_revinclude", chosen, types().get(target, only), bool(modifier), urls)


def included(db: Database, maker: Filters, wanted: Sequence[Include], matches: Sequence[int]) -> list[int]:
    """Return the keys to include beside a page's matches, each once, at most :data:`MOST`."""
    seen = set(matches)
    found: list[int] = []
    newest: Sequence[int] = matches
    for depth in range(DEPTH):
        asked = [i for i in wanted if i.iterate or not depth]
        fresh = [key for i in asked for key in _follow(db, maker, i, newest)]
        newest = []
        for key in fresh:
            if key not in seen and len(found) < MOST:
                seen.add(key)
                found.append(key)
                newest.append(key)
        if not newest:
            break
    return found


def _follow(db: Database, maker: Filters, wanted: Include, keys: Sequence[int]) -> list[int]:
    numbers = ", ".join(map(str, wanted.numbers))
    listed = msgspec.json.encode(keys).decode()
    urls = f"t.number IN ({', '.join(map(str, wanted.urls))})"
    if wanted.reverse:
        key, shows = "f.key", maker.visible("f.key")
        target = f" AND t.type = {wanted.target}" if wanted.target else ""
        ways = [f"resource t ON t.key = k.value{target} CROSS JOIN ix.reference f ON f.id = t.id AND f.type = t.type"]
        if wanted.urls:
            ways.append(
                f"token t ON t.key = k.value AND {urls} CROSS JOIN ix.reference f ON f.id = t.code AND f.type = 0"
            )
    else:
        key, shows = "t.key", maker.visible("t.key")
        target = f" AND f.type = {wanted.target}" if wanted.target else ""
        ways = [f"reference f ON f.key = k.value{target} CROSS JOIN ix.resource t ON t.type = f.type AND t.id = f.id"]
        if wanted.urls:
            ways.append(
                f"reference f ON f.key = k.value AND f.type = 0 CROSS JOIN ix.token t ON t.code = f.id AND {urls}"
            )
    sqls = [
        f"SELECT DISTINCT {key} FROM json_each(?) k CROSS JOIN ix.{way} WHERE f.number IN ({numbers}) AND {shows.text}"
        f" LIMIT {MOST + 1}"
        for way in ways
    ]
    return [row[0] for sql in sqls for row in db.execute(sql, (listed, *shows.values))]
