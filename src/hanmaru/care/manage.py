"""What a health centre's manager does: measuring places, their kiosks, organisations, and who works for which.

Nothing here shows or opens anybody's record. Accounts and machines themselves are made where all accounts are.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.care import people
from hanmaru.care.citizen.consents import CENTRE
from hanmaru.care.citizen.visit import reference, told
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import HEALTH_CENTRE, Change, Records, opened
from hanmaru.care.visits import kiosks
from hanmaru.care.visits.kiosks import ROOM
from hanmaru.care.visits.shapes import ACCOUNT, Resource, spoken
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.services import Context

MOST: Final = 500
MANAGE: Final = "care.manage"
_ID: Final = r"^[A-Za-z0-9.-]{1,64}$"
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Time = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Both(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name in both languages."""

    ko: Name
    en: Name


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a place is open."""

    days: Annotated[
        list[Annotated[str, Meta(pattern="^(mon|tue|wed|thu|fri|sat|sun)$")]], Meta(min_length=1, max_length=7)
    ]
    opens: Time
    closes: Time


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measuring place."""

    name: Both
    lon: Annotated[float, Meta(ge=-180, le=180)]
    lat: Annotated[float, Meta(ge=-90, le=90)]
    hours: Open | None = None


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a kiosk stands."""

    place: Annotated[str, Meta(pattern=_ID)]
    name: Annotated[str, Meta(max_length=100)] = ""


class Organisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hospital or another organisation that takes part."""

    name: Both
    active: bool = True


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For which organisation somebody works."""

    organisation: Annotated[str, Meta(pattern=_ID)]


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the manager's routes."""

    async def overview(request: Request) -> Response:
        """Return places, kiosks, organisations and who works for them."""
        records = await opened(context)
        return answer(
            {
                "places": [_place(each) for each in await _all(records, "Location", ("organization", CENTRE))],
                "kiosks": [_kiosk(each) for each in await _all(records, "Device", ("identifier", f"{ACCOUNT}|"))],
                "organisations": [_organisation(each) for each in await _all(records, "Organization")],
                "parties": [{"account": name, "organisation": id} for name, id in people.parties(records).items()],
            }
        )

    async def put_place(request: Request) -> Response:
        """Make or change a measuring place."""
        given = await read(request, Place, '{"name": {"ko": …, "en": …}, "lon": …, "lat": …, "hours": …}')
        id, name = _id(request), {"ko": given.name.ko, "en": given.name.en}
        hours = given.hours and kiosks.Hours(tuple(given.hours.days), given.hours.opens, given.hours.closes)
        made = kiosks.place(id, name, given.lon, given.lat, hours)
        return answer(_place(await _put(await opened(context), made)))

    async def put_kiosk(request: Request) -> Response:
        """Let an account's kiosk stand at a place."""
        given = await read(request, Standing, '{"place": …, "name": …}')
        account = _account(request)
        return answer(_kiosk(await kiosks.bind(await opened(context), account, given.place, given.name)))

    async def revoke_kiosk(request: Request) -> Response:
        """End a kiosk: from then on it hands nothing in."""
        await kiosks.revoke(await opened(context), _account(request))
        return Response(status_code=204)

    async def put_organisation(request: Request) -> Response:
        """Make or change an organisation."""
        given = await read(request, Organisation, '{"name": {"ko": …, "en": …}, "active": true}')
        id = _id(request)
        if id == HEALTH_CENTRE and not given.active:
            raise invalid_request("The health centre itself stays.")
        name = spoken({"ko": given.name.ko, "en": given.name.en}, "name")
        made = {"resourceType": "Organization", "id": id, "active": given.active, **name}
        return answer(_organisation(await _put(await opened(context), made)))

    async def put_party(request: Request) -> Response:
        """Say for which organisation an account or a machine works."""
        given = await read(request, Party, '{"organisation": …}')
        await people.bind_party(await opened(context), _account(request), given.organisation)
        return Response(status_code=204)

    async def end_party(request: Request) -> Response:
        """Say that an account or a machine works for nobody any more."""
        await people.unbind_party(await opened(context), _account(request))
        return Response(status_code=204)

    return [
        GuardedRoute("/manage", overview, permission=MANAGE),
        GuardedRoute("/manage/places/{id}", put_place, permission=MANAGE, methods=["PUT"]),
        GuardedRoute("/manage/kiosks/{account}", put_kiosk, permission=MANAGE, methods=["PUT"]),
        GuardedRoute("/manage/kiosks/{account}", revoke_kiosk, permission=MANAGE, methods=["DELETE"]),
        GuardedRoute("/manage/organisations/{id}", put_organisation, permission=MANAGE, methods=["PUT"]),
        GuardedRoute("/manage/parties/{account}", put_party, permission=MANAGE, methods=["PUT"]),
        GuardedRoute("/manage/parties/{account}", end_party, permission=MANAGE, methods=["DELETE"]),
    ]


async def _all(records: Records, type: str, *query: tuple[str, str]) -> list[Resource]:
    found = await records.search(ROOM, type, [*query, ("_count", str(MOST))])
    return [text.decode(each.text) for each in found.matches]


async def _put(records: Records, resource: Resource) -> Resource:
    made = await records.commit(ROOM, [Change("PUT", resource["resourceType"], resource["id"], resource)])
    return text.decode(made[0].text)


def _place(location: Mapping[str, Any]) -> dict[str, Any]:
    hours = kiosks.hours(location)
    return {
        "id": location["id"],
        "name": told(location, "name"),
        "position": kiosks.lonlat(location),
        "hours": msgspec.to_builtins(hours[0]) if hours else None,
    }


def _kiosk(device: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": device["id"],
        "account": next((each["value"] for each in device.get("identifier", ()) if each.get("system") == ACCOUNT), ""),
        "name": next((each["name"] for each in device.get("deviceName", ())), ""),
        "place": reference(device, "location").removeprefix("Location/"),
        "active": device.get("status") == "active",
    }


def _organisation(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": resource["id"], "name": told(resource, "name"), "active": resource.get("active", True)}


def _id(request: Request) -> str:
    id: str = request.path_params["id"]
    if not kiosks.ID.fullmatch(id):
        raise invalid_request("An id is 1 to 64 letters, digits, dots and hyphens.")
    return id


def _account(request: Request) -> str:
    account: str = request.path_params["account"]
    if not 0 < len(account) <= 100 or not account.isprintable():
        raise Problem(404, "Not found", "This is no account's name.")
    return account
