"""All of one patient's record: ``Patient/id/$everything`` (R4, patient-operation-everything.html), in pages.

It is a search of the patient's compartment with what its resources refer to, under the reader's sight as every search.
"""

from typing import Any, Final, cast

from starlette.requests import Request

from hanmaru.care.fhir import negotiation, operations, targets
from hanmaru.care.fhir.records import Records
from hanmaru.care.fhir.targets import Query
from hanmaru.care.fhir.values import Found, Reader
from hanmaru.platform.problems import Problem

_TAKEN: Final = frozenset({"_since", "_type", "_count", "_cursor", "_format", "_pretty"})


async def parameters(request: Request) -> Query:
    """Return the parameters of a POST's Parameters resource, or of no body. Raises Problem 400."""
    if not (source := await negotiation.body(request)):
        return ()
    from hanmaru.care.fhir import text

    given = text.decode(source)
    if given.get("resourceType") != "Parameters":
        raise Problem(400, "Not understood", "A POST of $everything comes with Parameters, or with nothing.")
    named: list[tuple[str, str]] = []
    for one in cast("list[Any]", given.get("parameter") or []):
        if isinstance(one, dict):
            part = cast("dict[str, Any]", one)
            value = next((value for name, value in part.items() if name.startswith("value")), None)
            if isinstance(value, str | int) and not isinstance(value, bool):
                named.append((str(part.get("name")), str(value)))
    return tuple(named)


async def found(records: Records, reader: Reader, patient: str, query: Query = ()) -> Found:
    """Return a page of a patient's record: their compartment as matches, what that refers to as included.

    Raises Problem 400 for what it cannot be asked, 404 where the patient is not to be seen.
    """
    if unknown := sorted({name for name, _ in query} - _TAKEN):
        shown = ", ".join(unknown)[:80]
        raise Problem(400, "Not understood", f"$everything takes _since, _type, _count and _cursor, not {shown}.")
    await records.read(reader, "Patient", patient)
    asked: list[tuple[str, str]] = [("_compartment", f"Patient/{patient}")]
    wanted: set[str] = set()
    for name, value in query:
        if name == "_type":
            wanted |= {targets.known(one) for one in value.split(",") if one}
        elif name == "_since":
            targets.moment(value)
            asked.append(("_lastUpdated", f"ge{value}"))
        elif name == "_count":
            asked.append(("_count", str(operations.count(value))))
        elif name == "_cursor":
            asked.append((name, value))
    if wanted:
        asked.append(("_type", ",".join(sorted(wanted))))
    else:
        asked.append(("_include", "*"))
    return await records.search(reader, None, asked)


async def page(records: Records, reader: Reader, patient: str, query: Query, base: str) -> bytes:
    """Return a page as a Bundle. Raises as `found` does."""
    some = await found(records, reader, patient, query)
    return operations.searchset(some, base, f"Patient/{patient}/$everything", query)
