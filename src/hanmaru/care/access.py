"""Whose records a request's caller may see: decided from roles and bindings, then part of every query."""

from starlette.requests import Request

from hanmaru.care import people
from hanmaru.care.fhir.records import HEALTH_CENTRE, Records
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.identity.identity import OWNER
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import caller_of, purpose_of
from hanmaru.platform.problems import Problem

TREATMENT = "treatment"
STAFF = ("nurse", "physician")


async def reader(records: Records, request: Request) -> Reader:
    """Return the reader that a request's caller is. Takes microseconds.

    Nurses and physicians see with the eyes of the Organization that they are bound to, else of the health centre;
    hospitals' machines with those of theirs; citizens see themselves. Who is several of these is the first of them.
    Raises Problem 403 for everybody else, and 400 for an unreadable ``Hanmaru-Purpose``.
    """
    caller = caller_of(request)
    purpose, where = purpose_of(request), address_of(request.scope)
    if caller is OWNER:  # the start without log-in, where everybody is the hub's owner
        return Reader(caller.name, "all", "", purpose, where)
    party = people.party_of(records, caller.name)
    if any(role in caller.roles for role in STAFF):
        return Reader(caller.name, "organisation", party or HEALTH_CENTRE, purpose or TREATMENT, where)
    if "hospital" in caller.roles:
        if party is None:
            raise Problem(403, "Not permitted", f"{caller.name!r} is bound to no organisation; the health centre does.")
        return Reader(caller.name, "organisation", party, purpose or TREATMENT, where)
    if "citizen" in caller.roles:
        if (patient := people.patient_of(records, caller.name)) is None:
            raise Problem(403, "Not registered", "Nothing is kept of you here yet: register at /app/health first.")
        return Reader(caller.name, "patient", patient, purpose, where)
    raise Problem(403, "Not permitted", f"No role of {caller.name!r} sees health records.")
