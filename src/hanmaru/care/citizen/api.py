"""The citizen's routes, below ``/api/care/v1/me``: each sees the caller's own Patient and nobody else's."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from hanmaru.care import people
from hanmaru.care.citizen import consents, goals, referrals, trends, visit
from hanmaru.care.citizen.forms import Farewell, Registration, Switched, Wishes, patient, wishes
from hanmaru.care.citizen.mine import Mine, asked
from hanmaru.care.citizen.report import word
from hanmaru.care.citizen.scale import unit
from hanmaru.care.domain import SYSTEM_NAME, CareError
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import HEALTH_CENTRE, Change, Reader, Records, new_id, opened
from hanmaru.care.rules.columns import COLUMNS
from hanmaru.care.visits import passes
from hanmaru.hub.client import HubClient
from hanmaru.platform.bodies import answer, instant, read
from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.services import Context, Text

PERMISSION: Final = "care.me"
ROOM: Final = Reader(SYSTEM_NAME, "all", purpose="registration")
MOST_LOOKS: Final = 50
MOST_MONTHS: Final = 600
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SEEN = re.compile(r"([A-Za-z]+)(?: ×(\d+))?")


def routes(context: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the citizen's routes."""
    me = _Me(context)

    def route(path: str, endpoint: Any, *methods: str) -> GuardedRoute:
        return GuardedRoute(f"/me{path}", endpoint, permission=PERMISSION, methods=methods or ("GET",))

    return [
        route("", me.whole, "GET", "POST", "DELETE"),
        route("/pass", me.kiosk_pass, "POST"),
        route("/report", me.report),
        route("/report.pdf", me.pdf),
        route("/visits", me.visits),
        route("/trends", me.trends),
        route("/goals", me.goals, "GET", "PUT"),
        route("/consents", me.consents, "GET", "PUT"),
        route("/looks", me.looks),
        route("/referrals", me.referrals),
        route("/export", me.export),
        route("/destruction", me.destruction),
    ]


class _Me:
    """The endpoints, over one context."""

    def __init__(self, context: Context[HubClient]) -> None:
        self._context = context

    async def records(self) -> Records:
        return await opened(self._context)

    async def mine(self, request: Request) -> Mine:
        """Return the caller's own record; raises Problem 409 for who has none yet."""
        records, caller = await self.records(), caller_of(request)
        own = people.patient_of(records, caller.name)
        if own is None:
            raise Problem(409, "Not registered", "Nothing is kept of you here yet: say first who you are.")
        return Mine(records, Reader(caller.name, "patient", own, "own", address_of(request.scope)), records.zone)

    async def whole(self, request: Request) -> Response:
        """Say who one is (GET), tell it (POST), or have everything destroyed (DELETE)."""
        if request.method == "POST":
            return await self._register(request)
        if request.method == "DELETE":
            return await self._destroy(request)
        records = await self.records()
        if people.patient_of(records, caller_of(request).name) is None:
            return answer(asked({}))
        return answer(asked(await (await self.mine(request)).person()))

    async def _register(self, request: Request) -> Response:
        form = await read(request, Registration, '{"name": …, "birth_date": …, "sex": "male" or "female"}')
        records, caller = await self.records(), caller_of(request)
        today = datetime.now(records.zone).date()
        known = people.patient_of(records, caller.name)
        if known is not None:
            version = await records.read(ROOM, "Patient", known)
            changed = patient(form, today, text.decode(version.text))
            await records.commit(ROOM, [Change("PUT", "Patient", known, changed, if_match=version.version)])
            return answer(asked(await (await self.mine(request)).person()))
        made = new_id()
        await records.commit(ROOM, [Change("POST", "Patient", made, patient(form, today))])
        try:
            await people.bind(records, caller.name, made)
        except Problem:  # registered twice at once: the first one counts
            await records.purge(made)
            raise
        return answer(asked(await (await self.mine(request)).person()), 201)

    async def kiosk_pass(self, request: Request) -> Response:
        """Return a short-lived pass, and its QR code as rows of modules."""
        import segno  # only who shows a pass pays

        mine = await self.mine(request)
        code, expires_s = passes.issue(mine.records, mine.patient)
        matrix = segno.make(code, error="m", boost_error=False, micro=False).matrix
        rows = ["".join("1" if dark else "0" for dark in row) for row in matrix]
        return answer({"text": code, "expires": instant(expires_s), "seconds": passes.PASS_S, "rows": rows})

    async def report(self, request: Request) -> Response:
        """Return the report of the visit ``encounter``, of the newest where none is named; null where there is none."""
        mine = await self.mine(request)
        return answer({"report": await mine.report(_encounter(request))})

    async def pdf(self, request: Request) -> Response:
        """Return the report as a PDF in ``lang`` (ko or en)."""
        from hanmaru.care.citizen import pdf

        lang = request.query_params.get("lang", "ko")
        if lang not in ("ko", "en"):
            raise invalid_request("lang is ko or en.")
        mine = await self.mine(request)
        found = await mine.report(_encounter(request))
        if found is None:
            raise Problem(404, "No visit", "There is no visit to report yet.")
        name = asked(await mine.person())["name"]
        try:
            made = await asyncio.to_thread(pdf.render, found, name, lang, mine.zone.key)
        except CareError as error:
            raise Problem(503, "Not ready", str(error)) from None
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="health-{pdf.stamp(found)}.pdf"',
        }
        return Response(made, headers=headers, media_type="application/pdf")

    async def visits(self, request: Request) -> Response:
        """Return the visits, newest first, each with its gravest level."""
        mine = await self.mine(request)
        found, levels = await asyncio.gather(mine.visits(), mine.levels())
        wanted = {visit.reference(p, "location") for one in found for p in one.get("location", ())}
        named = dict(zip(wanted, await asyncio.gather(*(mine.named(one) for one in wanted)), strict=True))

        def row(one: visit.Resource) -> dict[str, Any]:
            where = next((visit.reference(p, "location") for p in one.get("location", ())), "")
            level = levels.get(f"Encounter/{one['id']}", "info")
            return {
                "encounter": one["id"],
                "at": visit.instant(visit.part(one, "period").get("start")),
                "place": named.get(where, {"ko": "", "en": ""}),
                "level": level,
                "word": word(level),
            }

        return answer({"visits": [row(one) for one in found]})

    async def trends(self, request: Request) -> Response:
        """Return values over visits: of ``column``, of all where none is named; of the last ``months``."""
        column, months = request.query_params.get("column", ""), _number(request, "months", MOST_MONTHS)
        if column and column not in COLUMNS:
            raise invalid_request(f"There is no column {column[:40]!r}.")
        mine = await self.mine(request)
        values = await mine.values()
        since = datetime.now(UTC) - timedelta(days=30.44 * months) if months else None
        person = await mine.judged_by(values)
        own = [one for one in values if one.column == column] if column else values
        return answer({"series": await asyncio.to_thread(trends.series, own, person, since)})

    async def goals(self, request: Request) -> Response:
        """Return the goals and what more may be one (GET), or follow exactly the goals that are sent (PUT)."""
        mine = await self.mine(request)
        held = await mine.of("Goal", ("lifecycle-status", "active"))
        if request.method == "PUT":
            form = await read(request, Wishes, '{"goals": [{"column": …, "target": …, "direction": "at_most"}]}')
            try:
                changed = goals.changes(mine.patient, held, wishes(form), mine.today())
            except CareError as error:
                raise invalid_request(str(error)) from None
            await mine.records.commit(mine.reader, [_change(one) for one in changed])
            held = await mine.of("Goal", ("lifecycle-status", "active"))
        values = await mine.values()
        person = await mine.judged_by(values)
        newest = {one.column: one.value for one in visit.taken(values)}
        choices = await asyncio.to_thread(_choices, newest, person)
        return answer({"goals": goals.read(held, values), "choices": choices})

    async def consents(self, request: Request) -> Response:
        """Return what is allowed (GET), or give or withdraw a consent (PUT): in force with the answer."""
        mine = await self.mine(request)
        held = await mine.of("Consent")
        if request.method == "PUT":
            form = await read(request, Switched, '{"id": "follow-up:Organization/health-centre", "given": true}')
            changes = await _switched(mine, held, form)
            await mine.records.commit(mine.reader, changes)
            held = await mine.of("Consent")
        given = consents.read(held)
        named = {one: await mine.named(one) for one in await _hospitals(mine, held)}
        rows = [
            _allowed(category, consents.CENTRE, {}, given) for category in consents.words() if category != "hospital"
        ]
        rows += [_allowed("hospital", one, name, given) for one, name in named.items() if name["ko"]]
        return answer({"consents": rows})

    async def looks(self, request: Request) -> Response:
        """Return who has looked, newest first; ``before`` continues a list (µs since 1970)."""
        mine = await self.mine(request)
        before = _number(request, "before", 2**62) or 2**62
        found = await mine.records.looks(mine.patient, before, MOST_LOOKS)
        named: dict[str, Text] = {}
        for one in {look.organisation for look in found}:
            named[one] = await mine.named(f"Organization/{one.removeprefix('Organization/')}") if one else {}
        rows = [
            {
                "at": instant(look.at / 1e6),
                "who": look.who,
                "organisation": named[look.organisation],
                "what": _what(look.what),
                "purpose": referrals.said("purposes", look.purpose),
            }
            for look in found
        ]
        return answer({"looks": rows, "next": str(found[-1].at) if len(found) == MOST_LOOKS else None})

    async def referrals(self, request: Request) -> Response:
        """Return where referrals to hospitals stand."""
        return answer({"referrals": await (await self.mine(request)).referrals()})

    async def export(self, request: Request) -> Response:
        """Return everything that is kept of the citizen as a FHIR Bundle, as it was written."""
        mine = await self.mine(request)
        name = {"cache-control": "no-store", "content-disposition": 'attachment; filename="health-record.json"'}
        return StreamingResponse(_bundle(mine), headers=name, media_type="application/fhir+json")

    async def destruction(self, request: Request) -> Response:
        """Return what would be destroyed, and what would remain."""
        mine = await self.mine(request)
        count, found = await asyncio.gather(_count(mine), mine.visits())
        return answer({"records": count, "visits": len(found), "remains": [*referrals.words()["remains"].values()]})

    async def _destroy(self, request: Request) -> Response:
        mine = await self.mine(request)
        form = await read(request, Farewell, '{"name": …, "records": …} as GET /me/destruction has shown')
        if " ".join(form.name.split()) != asked(await mine.person())["name"]:
            raise Problem(409, "Not confirmed", "This is not your name: nothing was destroyed.")
        if form.records != await _count(mine):
            raise Problem(409, "Not confirmed", "Your record has changed since you looked: look again first.")
        await mine.records.purge(mine.patient)
        return answer({"destroyed": form.records})


async def _bundle(mine: Mine) -> AsyncIterator[bytes]:
    now = instant(datetime.now(UTC).timestamp()) or ""
    yield b'{"resourceType":"Bundle","type":"collection","timestamp":"' + now.encode() + b'","entry":['
    first = True
    query, cursor = [("_compartment", f"Patient/{mine.patient}"), ("_count", "500")], None
    while True:
        page = await mine.records.search(mine.reader, None, query if cursor is None else [*query, ("_cursor", cursor)])
        for one in page.matches:
            yield (b"" if first else b",") + b'{"resource":' + one.text + b"}"
            first = False
        cursor = page.next
        if cursor is None:
            break
    yield b"]}"


async def _count(mine: Mine) -> int:
    query = [("_compartment", f"Patient/{mine.patient}"), ("_count", "1"), ("_total", "accurate")]
    return (await mine.records.search(mine.reader, None, query)).total or 0


async def _hospitals(mine: Mine, held: Sequence[visit.Resource]) -> list[str]:
    """Return the organisations that a citizen may let see their record: who exchanges records here, who was asked."""
    known = {f"Organization/{one}" for one in (await asyncio.to_thread(people.parties, mine.records)).values()}
    for one in await mine.of("ServiceRequest", pages=2):
        known |= {str(p.get("reference", "")) for p in one.get("performer", ())}
    known |= {organisation for category, organisation in consents.read(held) if category == "hospital"}
    return sorted(one for one in known if one.startswith("Organization/") and one != f"Organization/{HEALTH_CENTRE}")


async def _switched(mine: Mine, held: Sequence[visit.Resource], form: Switched) -> list[Change]:
    """Return the changes by which a consent is given or withdrawn: of several that say the same, all are withdrawn."""
    category, _, organisation = form.id.partition(":")
    allowed = [consents.CENTRE] if category != "hospital" else await _hospitals(mine, held)
    if category not in consents.words() or organisation not in allowed:
        raise Problem(404, "Not known", "There is nothing of this kind to allow.")
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = [one for one in held if (category, organisation) in consents.read([one])]
    newest = consents.read(said).get((category, organisation))
    changes: list[Change] = []
    for one in said:
        if (one["id"] == newest.id if newest else False) or (not form.given and one.get("status") == "active"):
            made = consents.consent(mine.patient, category, organisation, form.given, now, str(one["id"]))
            changes.append(Change("PUT", "Consent", str(one["id"]), made, if_match=consents.version(one)))
    if not said:
        made = consents.consent(mine.patient, category, organisation, form.given, now)
        changes.append(Change("POST", "Consent", None, made))
    return changes


def _allowed(
    category: str, organisation: str, name: Text, given: "dict[tuple[str, str], consents.Given]"
) -> dict[str, Any]:
    words, said = consents.words()[category], given.get((category, organisation))
    title = {tag: title.format(name=name.get(tag, "")) for tag, title in words.title.items()}
    return {
        "id": f"{category}:{organisation}",
        "category": category,
        "organisation": name,
        "title": title,
        "text": words.text,
        "off": words.off,
        "given": bool(said and said.given),
        "since": said.since if said else None,
    }


def _choices(newest: dict[str, float], person: dict[str, float]) -> list[dict[str, Any]]:
    """Return what a goal may be set for: first what was measured, with a step that suits it."""
    found: list[dict[str, Any]] = []
    for column in sorted(goals.SETTABLE, key=lambda one: one not in newest):
        about, now = COLUMNS[column], newest.get(column)
        step = None if now is None else goals.suggested(column, person, now)
        found.append(
            {
                "column": column,
                "title": {"ko": about.ko, "en": about.en},
                "unit": unit(about.unit),
                "now": now,
                "target": None if step is None else round(step[0], 1),
                "direction": "at_most" if step is None else step[1],
            }
        )
    return found


def _change(resource: dict[str, Any]) -> Change:
    if "id" in resource:
        return Change("PUT", resource["resourceType"], str(resource["id"]), resource)
    return Change("POST", resource["resourceType"], None, resource)


def _what(what: str) -> Text:
    """Return which types somebody saw, in words."""
    seen = [(m[1], m[2]) for m in _SEEN.finditer(what)]
    words = [(referrals.said("types", kind), f" ×{count}" if count else "") for kind, count in seen]
    return {tag: ", ".join(said[tag] + count for said, count in words) for tag in ("ko", "en")}


def _encounter(request: Request) -> str | None:
    given = request.query_params.get("encounter")
    if given is not None and not _ID.fullmatch(given):
        raise invalid_request("encounter is the id of a visit.")
    return given


def _number(request: Request, name: str, most: int) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 20 and 1 <= int(given) <= most):
        raise invalid_request(f"{name} is a whole number from 1 to {most}.")
    return int(given)
