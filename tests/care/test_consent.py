"""Nothing of a person without a grant leaks to an organisation, by any way of asking; nor to another citizen.

Whatever concerns a person carries a mark of theirs in its text. Chance lets people consent, withdraw, be measured,
share, correct, delete and move; then every reader asks in every way there is. What a reader is given may hold marks of
those alone whom the reader may see; and counts, and what can be found of public resources, may not tell of others.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.care.fhir import everything, text
from hanmaru.care.fhir.records import ALL, Change, Reader, Records, Version, new_id
from hanmaru.platform.problems import Problem
from tests.care.house import consent, house, observation, person, put, status

MARK = re.compile(rb"mark-([0-9a-f-]{36})")
PEOPLE, ORGANISATIONS = 3, 2


@pytest.fixture(scope="module")
def runner() -> Generator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def records(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Generator[Records]:
    stack = AsyncExitStack()
    yield runner.run(stack.enter_async_context(house(tmp_path_factory.mktemp("care"))))
    runner.run(stack.aclose())


def marked(resource: dict[str, Any], *patients: str) -> dict[str, Any]:
    """Return a resource that bears the marks of whom it concerns, in an element that every type has."""
    return {**resource, "language": "ko", "implicitRules": " ".join(f"mark-{each}" for each in patients)}


class World:
    """Some people and organisations, and what is known of who may see whom."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.people: list[str] = []
        self.organisations = [new_id() for _ in range(ORGANISATIONS)]
        self.doctor = new_id()
        self.granted: set[tuple[str, str]] = set()
        self.live: dict[tuple[str, str], set[str]] = {}
        self.consents: dict[tuple[str, str], str] = {}
        self.tag = new_id()

    async def settle(self) -> None:
        for each in self.organisations:
            await put(self.records, "Organization", each, {"name": each})
        await put(self.records, "Practitioner", self.doctor, {"name": [{"family": "의사"}]})
        for _ in range(PEOPLE):
            await self.write("Patient", self.add_person(), {"name": [{"text": f"name-{self.tag}"}]})

    def add_person(self) -> str:
        self.people.append(new_id())
        return self.people[-1]

    async def write(self, type: str, id: str, resource: dict[str, Any], *patients: str) -> None:
        whose = patients or (id,)
        tagged = {"meta": {"tag": [{"system": "urn:test", "code": self.tag}]}, **resource}
        await put(self.records, type, id, marked({**tagged, "resourceType": type}, *whose))
        self.live[type, id] = set(whose)

    # ---- what happens

    async def consents_to(self, a: int, o: int, how: str) -> None:
        patient, organisation = self.people[a % PEOPLE], self.organisations[o % ORGANISATIONS]
        id = self.consents.setdefault((patient, organisation), new_id())
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        changes: dict[str, dict[str, Any]] = {
            "gives": {},
            "stores": {"category": [{"coding": [{"system": "urn:hanmaru:care:consent", "code": "store"}]}]},
            "withdraws": {"status": "inactive"},
            "denies": {"provision": {"type": "deny"}},
            "lets it end": {"provision": {"period": {"start": "2020-01-01", "end": "2020-12-31"}}},
            "begins later": {"provision": {"period": {"start": "2999-01-01"}}},
            "bounds it": {"provision": {"period": {"start": "2020-01-01", "end": "2999-12-31"}}},
        }
        said = consent(patient, organisation)
        more = changes.get(how, {})
        if "provision" in more:
            more = {"provision": {**said["provision"], **more["provision"]}}
        if how == "deletes":
            if ("Consent", id) in self.live:
                await self.records.commit(ALL, [Change("DELETE", "Consent", id)])
                del self.live["Consent", id]
        else:
            # The person does it, or the room on their behalf.
            mine = {**said, **more, "dateTime": now, "meta": {"tag": [{"system": "urn:test", "code": self.tag}]}}
            who = Reader("hong", "patient", patient) if o % 2 else ALL
            await put(self.records, "Consent", id, marked(mine, patient), who)
            self.live["Consent", id] = {patient}
        if how in ("gives", "bounds it"):
            self.granted.add((organisation, patient))
        else:
            self.granted.discard((organisation, patient))

    async def records_something(self, a: int, o: int, what: str) -> None:
        one, other, id = self.people[a % PEOPLE], self.people[o % PEOPLE], new_id()
        subject = {"reference": f"Patient/{one}"}
        doctor = {"reference": f"Practitioner/{self.doctor}"}
        measured = [at for (type, at), who in self.live.items() if type == "Observation" and who == {one}]
        match what:
            case "Observation":
                strange = [at for (type, at), who in self.live.items() if type == "Observation" and one not in who]
                derived = [{"reference": f"Observation/{at}"} for at in strange[:2]]
                more = {"derivedFrom": derived} if derived else {}
                await self.write("Observation", id, observation(one, performer=[doctor], **more), one)
            case "Encounter":
                participant = [{"individual": doctor}]
                await self.write(what, id, {"status": "finished", "subject": subject, "participant": participant}, one)
            case "Task":  # in no compartment of R4's
                owner = {"reference": f"Organization/{self.organisations[o % ORGANISATIONS]}"}
                body = {"status": "requested", "intent": "order", "for": subject, "owner": owner}
                await self.write(what, id, body, one)
            case "Provenance":  # of somebody's Observation, naming nobody
                if measured:
                    target = [{"reference": f"Observation/{measured[0]}"}]
                    agent = [{"who": doctor}]
                    await self.write(
                        what, id, {"target": target, "recorded": "2026-11-20T09:00:00Z", "agent": agent}, one
                    )
            case "Bundle":  # a document with somebody's record in it
                entry = [{"resource": observation(one)}]
                await self.write(what, id, {"type": "collection", "entry": entry}, one)
            case "List":
                if measured:
                    entry = [{"item": {"reference": f"Observation/{measured[0]}"}}]
                    await self.write(what, id, {"status": "current", "mode": "working", "entry": entry}, one)
            case "Appointment":  # of one or of two
                participant = [
                    {"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in {one, other}
                ]
                await self.write(what, id, {"status": "booked", "participant": participant}, *{one, other})
            case "moves":  # written into the wrong record, and corrected
                if measured:
                    await self.write("Observation", measured[0], observation(other, performer=[doctor]), other)
            case "deletes":
                if measured:
                    await self.records.commit(ALL, [Change("DELETE", "Observation", measured[0])])
                    del self.live["Observation", measured[0]]

    # ---- what is asked

    def readers(self) -> list[tuple[Reader, set[str]]]:
        """Return readers with the people whom each may see."""
        patients = [(Reader("c", "patient", each), {each}) for each in self.people]
        strangers = [
            (Reader("c", "patient", new_id()), set[str]()),
            (Reader("o", "organisation", new_id()), set[str]()),
        ]
        organisations = [
            (Reader("o", "organisation", each), {patient for of, patient in self.granted if of == each})
            for each in self.organisations
        ]
        return [*patients, *strangers, *organisations]

    async def given(self, reader: Reader) -> AsyncGenerator[tuple[str, list[Version]]]:
        """Yield all that a reader is given by every way of asking, with the way."""
        for type, id in self.live:
            yield f"read {type}", await _kept(self.records.read(reader, type, id))
        for row in await self.records.changes(0, 1000):
            yield f"vread {row.type}", await _kept(self.records.vread(reader, row.type, row.id, row.version))
        for type, id in self.live:
            yield f"history {type}", await _page(self.records.history(reader, type, id, count=1000))
        yield "history of all", await _page(self.records.history(reader, count=1000))
        yield "history of a type", await _page(self.records.history(reader, "Observation", count=1000))
        for type, query in self.queries():
            found = await self.records.search(reader, type, query)
            yield f"search {type} {query}", [*found.matches, *found.included]
        for patient in self.people:
            try:
                found = await everything.found(self.records, reader, patient, (("_count", "1000"),))
                yield "$everything", [*found.matches, *found.included]
            except Problem as problem:
                if problem.status != 404:
                    raise

    def queries(self) -> list[tuple[str | None, list[tuple[str, str]]]]:
        most = ("_count", "1000")
        ours = ("_tag", f"urn:test|{self.tag}")
        asked: list[tuple[str | None, list[tuple[str, str]]]] = [
            (None, [ours, most]),
            ("Observation", [ours, most, ("_include", "*"), ("_revinclude", "Provenance:target")]),
            ("Observation", [("subject:Patient.name", f"name-{self.tag}"), ("_sort", "-date"), most]),
            ("Observation", [ours, ("_include:iterate", "Observation:derived-from"), most]),
            ("Encounter", [("subject.name", f"name-{self.tag}"), most]),
            ("Practitioner", [("_id", self.doctor), ("_revinclude", "Observation:performer"), most]),
            ("Practitioner", [("_id", self.doctor), ("_revinclude", "Encounter:practitioner"), most]),
            ("Organization", [("_id", ",".join(self.organisations)), ("_revinclude", "Task:owner"), most]),
            ("Patient", [ours, ("_has:Observation:patient:code", "8480-6"), ("_revinclude", "Consent:patient"), most]),
            ("Task", [("patient:Patient.name", f"name-{self.tag}"), most]),
            ("Bundle", [ours, most]),
            ("List", [ours, ("_include", "List:item"), most]),
            ("Consent", [ours, most]),
        ]
        asked += [(None, [("_compartment", f"Patient/{each}"), ("_include", "*"), most]) for each in self.people]
        asked += [("Appointment", [("patient", each), most]) for each in self.people]
        return asked


async def _kept(work: Awaitable[Version]) -> list[Version]:
    try:
        return [await work]
    except Problem as problem:
        if problem.status not in (404, 410):
            raise
        return []


async def _page(work: Awaitable[Any]) -> list[Version]:
    try:
        return (await work).versions
    except Problem as problem:
        if problem.status != 404:
            raise
        return []


GIVING = ["gives", "gives", "bounds it", "withdraws", "deletes", "denies", "lets it end", "begins later", "stores"]
KINDS = ["Observation", "Observation", "Encounter", "Task", "Provenance", "Bundle", "List", "Appointment"]
WHO = st.integers(0, 5)
STEP = st.tuples(st.just("consent"), WHO, WHO, st.sampled_from(GIVING)) | st.tuples(
    st.just("record"), WHO, WHO, st.sampled_from([*KINDS, "moves", "deletes"])
)


async def happen(world: World, steps: list[tuple[str, int, int, str]]) -> None:
    for kind, a, o, what in steps:
        await (world.consents_to if kind == "consent" else world.records_something)(a, o, what)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=8, max_size=30))
def test_nothing_leaks(runner: asyncio.Runner, records: Records, steps: list[tuple[str, int, int, str]]) -> None:
    async def scenario() -> None:
        world = World(records)
        await world.settle()
        await happen(world, steps)
        for reader, allowed in world.readers():
            async for way, versions in world.given(reader):
                for version in versions:
                    marks = {mark.decode() for mark in MARK.findall(version.text)} & {*world.people}
                    assert marks <= allowed, f"{way} gives {reader.kind} {version.type} of others"
            await nothing_is_told(world, reader, allowed)
            await what_may_be_seen_is(world, reader, allowed)

    runner.run(scenario())


async def nothing_is_told(world: World, reader: Reader, allowed: set[str]) -> None:
    """Counts and what is found of public resources tell only of what the reader may see."""
    ours = ("_tag", f"urn:test|{world.tag}")
    for type in (*{*KINDS}, "Consent", "Patient"):
        visible = sum(1 for (of, _), whose in world.live.items() if of == type and whose <= allowed)
        found = await world.records.search(reader, type, [ours, ("_total", "accurate"), ("_summary", "count")])
        assert found.total == visible, type
        found = await world.records.search(reader, type, [ours, ("_total", "estimate"), ("_count", "1")])
        assert found.total == visible, type
        assert (found.next is not None) == (visible > 1), type
    measured = any(type == "Observation" and whose <= allowed for (type, _), whose in world.live.items())
    for doctor in (
        [("_id", world.doctor), ("_has:Observation:performer:code", "8480-6")],
        [("_id", world.doctor), ("_has:Observation:performer:patient.name", f"name-{world.tag}")],
    ):
        assert bool((await world.records.search(reader, "Practitioner", doctor)).matches) == measured
    if reader.kind == "organisation":
        for patient in world.people:
            write = world.records.commit(
                reader, [Change("POST", "Observation", None, marked(observation(patient), patient))]
            )
            answer = await status(write)
            assert answer == (200 if patient in allowed else 403)
            await clean(world, patient)
            mine = consent(patient, reader.id)
            assert await status(world.records.commit(reader, [Change("POST", "Consent", None, mine)])) == 403


async def clean(world: World, patient: str) -> None:
    """Take out what the probe wrote, which bears no tag."""
    found = await world.records.search(ALL, "Observation", [("patient", patient), ("_count", "1000")])
    extra = [each.id for each in found.matches if ("Observation", each.id) not in world.live]
    await world.records.commit(ALL, [Change("DELETE", "Observation", id) for id in extra])


async def what_may_be_seen_is(world: World, reader: Reader, allowed: set[str]) -> None:
    """Who has a consent sees all that it opens: otherwise nothing would leak from an empty house."""
    for (type, id), whose in world.live.items():
        assert await status(world.records.read(reader, type, id)) == (200 if whose <= allowed else 404), type


def test_a_withdrawal_counts_from_its_commit_on(runner: asyncio.Runner, records: Records) -> None:
    async def scenario() -> None:
        world = World(records)
        await world.settle()
        await world.consents_to(0, 1, "gives")
        await world.records_something(0, 0, "Observation")
        hospital = Reader("o", "organisation", world.organisations[1])
        page = await records.search(hospital, None, [("_tag", f"urn:test|{world.tag}"), ("_count", "1")])
        assert page.matches
        assert page.next
        await world.consents_to(0, 1, "withdraws")
        again = [("_tag", f"urn:test|{world.tag}"), ("_count", "1"), ("_cursor", page.next)]
        assert not (await records.search(hospital, None, again)).matches
        assert await status(records.read(hospital, "Patient", world.people[0])) == 404

    runner.run(scenario())


def test_a_consent_is_the_persons_alone(runner: asyncio.Runner, records: Records) -> None:
    async def scenario() -> None:
        one, other = await person(records), await person(records)
        id = new_id()
        await put(records, "Consent", id, consent(one, "health-centre", "follow-up"))
        centre = Reader("n", "organisation", "health-centre")
        assert await status(records.commit(centre, [Change("PUT", "Consent", id, consent(one, "north"))])) == 403
        assert await status(records.commit(centre, [Change("DELETE", "Consent", id)])) == 403
        stranger, self = Reader("b", "patient", other), Reader("a", "patient", one)
        assert await status(records.commit(stranger, [Change("POST", "Consent", None, consent(one, "north"))])) == 403
        assert await status(records.commit(stranger, [Change("DELETE", "Consent", id)])) == 404
        assert await status(records.commit(self, [Change("DELETE", "Consent", id)])) == 200
        assert await status(records.read(centre, "Patient", one)) == 404

    runner.run(scenario())


def test_what_names_nobody_is_its_authors_or_everyones(runner: asyncio.Runner, records: Records) -> None:
    async def scenario() -> None:
        north, south = Reader("n", "organisation", "north"), Reader("s", "organisation", "south")
        citizen = Reader("c", "patient", await person(records))
        secret = {"status": "requested", "criteria": "Task", "channel": {"type": "rest-hook", "header": ["token"]}}
        ((subscription),) = await records.commit(north, [Change("POST", "Subscription", None, secret)])
        ((device),) = await records.commit(north, [Change("POST", "Device", None, {"status": "active"})])
        inside = [{"resourceType": "Patient", "id": "p", "name": [{"text": "홍길동"}]}]
        ((hidden),) = await records.commit(north, [Change("POST", "Device", None, {"contained": inside})])
        for version, seen_by in ((subscription, [north]), (device, [north, south, citizen]), (hidden, [north])):
            for reader in (north, south, citizen):
                answer = await status(records.read(reader, version.type, version.id))
                assert answer == (200 if reader in seen_by else 404)
        assert await status(put(records, "Device", device.id, {"status": "inactive"}, south)) == 403
        assert await status(put(records, "Organization", "health-centre", {"name": "x"}, south)) == 403
        assert await status(put(records, "Device", new_id(), {"status": "active"}, citizen)) == 403
        assert text.decode((await records.read(south, "Device", device.id)).text)["status"] == "active"
        assert await records.author("Subscription", subscription.id) == Reader("system:care", "organisation", "north")

    runner.run(scenario())
