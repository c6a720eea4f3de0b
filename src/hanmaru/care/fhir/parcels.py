"""What a file to import holds, as Bundles to send: each is done whole or not at all."""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from uuid import UUID, uuid5

from hanmaru.care.domain import CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.bundle import MOST_ENTRIES
from hanmaru.care.fhir.negotiation import MOST_BYTES
from hanmaru.platform.problems import Problem

TOGETHER: Final = 500
"""Resources of one transaction that a file without requests is made into."""
_LISTS: Final = ("collection", "searchset")
_OWN: Final = UUID("5b0e1c52-6f3c-4d0a-9c5e-0d5a3c1f7a10")
"""Names the ids of resources that come without one."""


class Parcel(NamedTuple):
    """A Bundle to send, the key under which it is done once, and how many entries it has."""

    body: bytes
    key: str
    entries: int


def parcels(path: Path) -> Iterator[Parcel]:
    """Yield what a file holds.

    A transaction or batch goes as it is. The resources of a collection or searchset, of an NDJSON file (``.ndjson``),
    or one resource by itself, are put under their own ids, `TOGETHER` at once; what has no id gets one made from what
    it says, so that a file that is imported again changes nothing. Raises CareError for what cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CareError(f"{path} cannot be read: {error.strerror}") from None
    if path.suffix == ".ndjson":
        lines = [line for line in raw.splitlines() if line.strip()]
        yield from _put(path, [_read(line, f"{path}, line {n}") for n, line in enumerate(lines, 1)])
        return
    whole = _read(raw, str(path))
    kind = whole.get("type") if whole.get("resourceType") == "Bundle" else ""
    entries = cast("list[Mapping[str, Any]]", whole.get("entry")) if isinstance(whole.get("entry"), list) else []
    if kind in ("transaction", "batch"):
        if len(entries) > MOST_ENTRIES or len(raw) > MOST_BYTES:
            raise CareError(
                f"{path} has {len(entries)} entries in {len(raw):,} bytes, and one Bundle has at most {MOST_ENTRIES} in"
                f" {MOST_BYTES:,}; split it"
            )
        yield Parcel(raw, _key(raw), len(entries))
    elif kind in _LISTS:
        held = [each.get("resource") for each in entries]
        yield from _put(path, [cast("dict[str, Any]", one) for one in held if isinstance(one, dict)])
    elif "resourceType" in whole:
        yield from _put(path, [whole])
    else:
        raise CareError(f"{path} is no FHIR resource: it has no resourceType")


def _read(raw: bytes, where: str) -> dict[str, Any]:
    try:
        return text.decode(raw)
    except Problem as problem:
        raise CareError(f"{where}: {problem.detail}") from None


def _put(path: Path, resources: list[dict[str, Any]]) -> Iterator[Parcel]:
    for start in range(0, len(resources), TOGETHER):
        entries = [_entry(path, one) for one in resources[start : start + TOGETHER]]
        body = text.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        yield Parcel(body, _key(body), len(entries))


def _entry(path: Path, resource: dict[str, Any]) -> dict[str, Any]:
    type = resource.get("resourceType")
    if not isinstance(type, str):
        raise CareError(f"{path} has a resource without a resourceType")
    if "id" not in resource:
        made = uuid5(_OWN, sha256(text.encode(resource)).hexdigest())
        resource = {**resource, "id": str(made)}
    return {"resource": resource, "request": {"method": "PUT", "url": f"{type}/{resource['id']}"}}


def _key(body: bytes) -> str:
    return f"import-{sha256(body).hexdigest()}"
