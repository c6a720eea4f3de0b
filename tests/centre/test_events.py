"""Events, procedures and agencies over HTTP in one process: folding, roles, timers, receipts, what is bad."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.centre.agencies.delivery import signed
from hanmaru.centre.agencies.desk import Desk
from hanmaru.centre.domain import CentreError
from hanmaru.centre.events import folding, rows
from hanmaru.centre.events.book import Book
from hanmaru.centre.events.feed import Tail
from hanmaru.centre.events.opening import book
from hanmaru.centre.events.places import Dongs
from hanmaru.centre.procedures.book import parse, ready
from hanmaru.hub.client import Query
from hanmaru.platform.audit.lines import Entry, chains, segments
from tests.centre.desk import HERE, SECRET, Room, agency, detection, room, until, working

QUICK = """
id = "quick"
fold_m = 100
fold_s = 600
name = { en = "Quick", ko = "신속" }
escalation = [{ after_s = 0.1, to = "supervisor" }, { after_s = 0.3, to = "agency:police" }]
[[steps]]
id = "look"
kind = "task"
due_s = 0.1
title = { en = "Look" }
[[steps]]
id = "sign"
kind = "task"
role = "cctv-officer"
required = true
title = { en = "Sign" }
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncGenerator[Room]:
    async with room(tmp_path) as made:
        yield made


@pytest.fixture
async def open_(site: Room) -> AsyncGenerator[Book]:
    made = book(site.context)
    yield made
    await made.close()


async def events(site: Room, query: str = "") -> list[dict[str, Any]]:
    return (await site.ask("GET", f"/events?{query}")).json()["items"]


async def put(site: Room, toml: str, id: str = "quick") -> Any:
    return await site.ask("PUT", f"/procedures/{id}", {"toml": toml}, role="supervisor")


def audited(folder: Path, action: str) -> list[Entry]:
    import msgspec

    trail = folder / "data" / "audit"
    lines = [
        line[65:]
        for chain in chains(trail)
        for path in segments(trail / chain)
        for line in path.read_bytes().split(b"\n")
    ]
    return [one for line in lines if line and (one := msgspec.json.decode(line, type=Entry)).action == action]


# ---- alarms


async def test_an_alarm_again_folds_and_each_detection_counts_once(site: Room, open_: Book) -> None:
    found = [detection(1), detection(2, "clear"), detection(3), detection(4, key="rain/2")]
    assert await open_.follow(found) == 4
    other = book(site.context)  # another worker that was given the same
    assert await other.follow(found[2:]) == 4
    await other.close()
    by_key = {event["key"]: event for event in await events(site)}
    assert (by_key["rain/1"]["count"], by_key["rain/2"]["count"]) == (2, 1)
    assert by_key["rain/1"]["number"].endswith("-0001")


async def test_alarms_near_by_of_one_category_are_one_event_where_the_procedure_says_so(
    site: Room, open_: Book
) -> None:
    await put(site, QUICK)
    near = {"type": "Point", "coordinates": [127.2805, 36.48]}  # 45 m east
    far = {"type": "Point", "coordinates": [127.29, 36.48]}  # 890 m east
    follow = [
        detection(n, key=f"rain/{n}", procedure="quick", location=at) for n, at in enumerate((HERE, near, far), 1)
    ]
    await open_.follow(follow)
    assert sorted(event["count"] for event in await events(site)) == [1, 2]


async def test_a_flood_of_one_rule_is_gathered_in_one_event_across_a_restart(site: Room, open_: Book) -> None:
    flood = [detection(n, key=f"rain/{n}") for n in range(1, 61)]
    await open_.follow(flood[:30])
    again = book(site.context)  # begun anew in the middle, and given all
    await again.follow(flood)
    found = await events(site, "limit=200")
    assert sorted(event["count"] for event in found) == [1] * 20 + [40]
    gathered = max(found, key=lambda event: event["count"])
    assert gathered["title"]["en"].endswith(" and more")
    ends = [detection(60 + n, "clear", key=f"rain/{20 + n}") for n in range(1, 41)]
    await again.follow(ends[:39])
    assert (await site.ask("GET", f"/events/{gathered['id']}")).json()["cleared"] is None
    await again.follow([detection(100, key="rain/21"), detection(101, "clear", key="rain/21"), *ends])
    await again.follow([detection(102, "clear", key="rain/60")])
    after = (await site.ask("GET", f"/events/{gathered['id']}")).json()
    assert after["cleared"] is not None
    assert after["count"] == 41
    await again.follow([detection(103, key="rain/60")])  # the same alarm again is the same event's
    assert (await site.ask("GET", f"/events/{gathered['id']}")).json()["count"] == 42
    await again.close()


async def test_a_full_gathering_is_followed_by_another(
    site: Room, open_: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "MOST_GATHERED", 5)
    await open_.follow([detection(n, key=f"rain/{n}") for n in range(1, 33)])
    assert sorted(event["count"] for event in await events(site, "limit=200")) == [1] * 20 + [2, 5, 5]


async def test_what_is_raised_twice_under_one_key_is_one_event(site: Room) -> None:
    body = {"category": "fire", "severity": "high", "title": "Smoke"}
    keyed = {"idempotency-key": "k-1"}
    first, again = [await site.ask("POST", "/events", body, headers=keyed) for _ in range(2)]
    assert first.json()["id"] == again.json()["id"]
    other = await site.ask("POST", "/events", body | {"title": "Fire"}, headers=keyed)
    assert (other.status, other.json()["title"]) == (422, "Key used before")
    mine = await site.ask("POST", "/events", body, headers=keyed, who="another-operator")
    assert mine.json()["id"] != first.json()["id"]
    assert (await site.ask("POST", "/events", body, headers={"idempotency-key": "ü"})).status == 400
    assert len(await events(site)) == 2


async def test_a_cleared_minor_event_closes_by_itself_and_opens_again_with_its_alarm(site: Room, open_: Book) -> None:
    await open_.follow([detection(1, severity="low"), detection(2, "clear")])
    (event,) = await events(site)
    assert event["state"] == "closed"
    await open_.follow([detection(3, severity="low")])
    (event,) = await events(site)
    assert (event["state"], event["count"]) == ("open", 2)


async def test_an_event_whose_alarm_comes_and_goes_flaps_and_its_timeline_stays_short(site: Room, open_: Book) -> None:
    from datetime import UTC, datetime

    now = datetime.now(UTC).isoformat()
    await open_.follow([detection(n, "raise" if n % 2 else "clear", at=now) for n in range(1, 201)])
    (event,) = await events(site)
    assert (event["count"], event["flapping"]) == (100, True)
    timeline = (await site.ask("GET", f"/events/{event['id']}")).json()["timeline"]
    assert len(timeline) < 45


async def test_an_unknown_procedure_is_told_and_the_event_is_there(site: Room, open_: Book) -> None:
    await open_.follow([detection(1, procedure="nothing")])
    (event,) = await events(site)
    timeline = (await site.ask("GET", f"/events/{event['id']}")).json()["timeline"]
    assert "procedure.missing" in [entry["what"] for entry in timeline]


# ---- people


async def test_a_list_answers_what_it_is_asked_page_by_page(site: Room) -> None:
    for n in range(5):
        await site.raised(title=f"Call {n}", severity="low" if n == 3 else "high")
    answer = (await site.ask("GET", "/events?limit=2")).json()
    assert [event["title"]["en"] for event in answer["items"]] == ["Call 4", "Call 3"]
    answer = (await site.ask("GET", f"/events?limit=9&before={answer['next']}")).json()
    assert ([event["title"]["en"] for event in answer["items"]], answer["next"]) == (
        ["Call 2", "Call 1", "Call 0"],
        None,
    )
    assert len(await events(site, "severity=low")) == 1
    assert len(await events(site, "q=call%202")) == 1
    assert len(await events(site, "area=127.28,36.48,50")) == 5
    assert await events(site, "area=127.30,36.48,50") == []
    assert (await site.ask("GET", "/events?area=1,2")).status == 400


async def test_duty_is_handed_over_with_a_reason(site: Room) -> None:
    id = (await site.raised())["id"]
    await site.ask("POST", f"/events/{id}/take", {}, who="kim")
    assert (await site.ask("POST", f"/events/{id}/take", {}, who="lee")).status == 409
    given = (await site.ask("POST", f"/events/{id}/release", {"to": "lee", "reason": "shift ends"}, who="kim")).json()
    assert (given["state"], given["owner"], given["offered"]) == ("open", None, "lee")
    taken = (await site.ask("POST", f"/events/{id}/take", {}, who="lee")).json()
    assert (taken["owner"], taken["offered"]) == ("lee", None)
    assert [entry["who"] for entry in taken["timeline"]][-3:] == ["kim", "kim", "lee"]


async def test_events_merge_into_one(site: Room) -> None:
    one, two = await site.raised(), await site.raised(title="The same")
    assert (await site.ask("POST", f"/events/{two['id']}/merge", {"into": one["id"]})).json()["state"] == "closed"
    kept = (await site.ask("GET", f"/events/{one['id']}")).json()
    assert (kept["count"], kept["timeline"][-1]["what"]) == (2, "absorbed")
    assert (await site.ask("POST", f"/events/{two['id']}/reopen", {"reason": "no"})).status == 409


async def test_who_may_not_is_refused(site: Room) -> None:
    await put(site, QUICK)
    id = (await site.raised(procedure="quick"))["id"]
    assert (await site.ask("GET", "/events", role="reader")).status == 403
    assert (await site.ask("POST", f"/events/{id}/take", {}, role="cctv-officer")).status == 403
    assert (await put(site, QUICK.replace("Quick", "Mine"))).status == 200
    assert (await site.ask("PUT", "/procedures/quick", {"toml": QUICK})).status == 403
    assert (await site.step(id, "look", do="done")).status == 200
    assert (await site.step(id, "sign", do="done")).status == 403
    assert (await site.step(id, "sign", do="skip", reason="late")).status == 403
    assert (await site.ask("POST", f"/events/{id}/close", {"reason": "enough"})).status == 409
    assert (await site.step(id, "sign", role="cctv-officer", do="done")).json()["state"] == "finished"
    assert (await site.ask("POST", f"/events/{id}/close", {"reason": "all done"})).status == 200


async def test_a_supervisor_may_close_early_and_what_is_left_is_left_out(site: Room) -> None:
    await put(site, QUICK)
    id = (await site.raised(procedure="quick"))["id"]
    assert (await site.ask("POST", f"/events/{id}/close", {"reason": "a drill"}, role="supervisor")).status == 200
    steps = (await site.ask("GET", f"/events/{id}/procedure")).json()["steps"]
    assert {step["state"] for step in steps} == {"skipped"}


# ---- time


async def test_nobody_acts_so_it_climbs_to_the_supervisor_and_on_to_an_agency(site: Room, tmp_path: Path) -> None:
    await put(site, QUICK)
    async with agency(tmp_path) as (endpoint, desk):
        await register(site, endpoint, kind="police")
        async with working(site):
            id = (await site.raised(procedure="quick"))["id"]

            async def handed() -> Any:
                return len(desk.all()) == 2  # for the event, and for its overdue step

            await until(handed)
            event = (await site.ask("GET", f"/events/{id}")).json()
            assert (event["escalated"]["level"], event["escalated"]["to"]) == (2, "agency:police")
            assert (await site.ask("GET", f"/events/{id}/procedure")).json()["steps"][0]["state"] == "overdue"
            notices = (await site.ask("GET", "/notices", role="supervisor")).json()["items"]
            assert {notice["to"] for notice in notices} == {"supervisor"}
            assert len(notices) == 2
            assert (await site.ask("GET", "/notices")).json()["items"] == []  # nothing to operators
            seen = await site.ask("POST", f"/notices/{notices[0]['seq']}/seen", role="supervisor", who="park")
            assert seen.json()["seen_by"] == "park"
            assert (await site.ask("POST", f"/notices/{notices[0]['seq']}/seen")).status == 404
            taken = (await site.ask("POST", f"/events/{id}/take", {})).json()
            assert taken["escalated"] is None

            async def told() -> Any:
                return len(audited(tmp_path, "centre.escalate")) == 4

            await until(told)


async def test_changes_stream_and_resume_across_processes(site: Room, open_: Book) -> None:
    other = book(site.context)
    tail = Tail(other)
    first = await site.raised()
    async with aclosing(tail.stream(0, lambda: {"operator"})) as stream:
        hello = await anext(stream)
        assert b"event: hello" in hello
        shown = await anext(stream)
        assert json.loads(shown.split(b"data: ")[1])["id"] == first["id"]
        await open_.follow([detection(1)])  # by another process's book
        async with asyncio.timeout(5):
            assert b"event: event" in await anext(stream)
    await tail.close()
    await other.close()


# ---- agencies


async def register(site: Room, endpoint: str, kind: str = "disaster", **more: Any) -> None:
    body = {"id": "them", "name": {"en": "They"}, "kind": kind, "endpoint": endpoint, "secret": SECRET, **more}
    answer = await site.ask("POST", "/agencies", body, role="supervisor")
    assert answer.status == 201, answer.body


async def confirmed(site: Room) -> str:
    id = (await site.raised(category="flood", procedure="disaster-response"))["id"]
    assert (await site.step(id, "confirm", do="choose", option="real")).status == 200
    return id


def holding(folder: Path, needle: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def receipt(site: Room, id: str) -> Any:
    async def get() -> Any:
        steps = (await site.ask("GET", f"/events/{id}/procedure")).json()["steps"]
        return next(step for step in steps if step["id"] == "tell")

    return get


async def test_a_hand_over_waits_for_an_agency_that_is_away_and_arrives_once(site: Room, tmp_path: Path) -> None:
    async with agency(tmp_path) as (endpoint, _):
        pass
    await register(site, endpoint)
    async with working(site):
        id = await confirmed(site)

        async def tried() -> Any:
            found = (await receipt(site, id)())["receipt"]
            return found and found.get("attempts")

        await until(tried)
        async with agency(tmp_path) as (again, desk):
            changed = {"name": {"en": "They"}, "kind": "disaster", "endpoint": again}
            assert (await site.ask("PUT", "/agencies/them", changed, role="supervisor")).status == 200

            async def done() -> Any:
                return (await receipt(site, id)())["state"] == "done"

            await until(done)
            assert len(desk.all()) == 1
            sent = json.loads(desk.all()[0][2])
            assert sent["cameras"] == []
            assert "owner" not in sent
        handovers = (await site.ask("GET", f"/events/{id}/handovers")).json()["items"]
        assert handovers[0]["state"] == "accepted"

        async def noted() -> Any:
            return [one for one in audited(tmp_path, "centre.handover") if one.detail["what"] == "agency.accepted"]

        await until(noted)


async def test_no_agency_fails_the_step_until_there_is_one(site: Room, tmp_path: Path) -> None:
    async with working(site):
        id = await confirmed(site)

        async def failed() -> Any:
            return (await receipt(site, id)())["state"] == "failed"

        await until(failed)
        async with agency(tmp_path) as (endpoint, _):
            await register(site, endpoint)
            assert (await site.step(id, "tell", do="send")).status == 200

            async def done() -> Any:
                return (await receipt(site, id)())["state"] == "done"

            await until(done)


async def test_a_receipt_may_come_later_from_the_agencys_machine_only(site: Room, tmp_path: Path) -> None:
    async with agency(tmp_path, automatic=False) as (endpoint, _), working(site):
        await register(site, endpoint, machine="them-machine")
        id = await confirmed(site)

        async def sent() -> Any:
            found = (await receipt(site, id)())["receipt"]
            return found if found["state"] == "sent" else None

        body = {"key": (await until(sent))["key"], "state": "accepted", "reference": "A-7", "text": "on our way"}

        async def told(who: str, kind: str = "machine", **more: Any) -> Any:
            return await site.ask("POST", "/agencies/receipts", {**body, **more}, role="agency", who=who, kind=kind)

        assert (await told("client:other")).status == 404
        assert (await told("them-machine", "person")).status == 404
        assert (await told("client:them-machine")).json() == {"changed": True}
        assert (await told("client:them-machine")).json() == {"changed": False}
        step = await receipt(site, id)()
        assert (step["state"], step["receipt"]["reference"]) == ("done", "A-7")
        assert (await told("client:them-machine", state="finished")).json() == {"changed": True}
        assert (await told("client:them-machine", state="declined")).json() == {"changed": False}


async def test_secrets_are_written_and_never_read(site: Room, tmp_path: Path) -> None:
    await register(site, "https://fire.example/in", kind="fire")
    listed = await site.ask("GET", "/agencies")
    assert SECRET.encode() not in listed.body
    assert not holding(tmp_path, SECRET.encode())
    for endpoint in ("http://fire.example/in", "ftp://x", "https://user:pass@x/", "https://[", "nothing"):
        body = {"name": {"en": "F"}, "kind": "fire", "endpoint": endpoint}
        assert (await site.ask("PUT", "/agencies/them", body, role="supervisor")).status == 400
    assert (await site.ask("DELETE", "/agencies/them", role="supervisor")).status == 204


def test_the_desk_knows_its_citys_signature(tmp_path: Path) -> None:
    desk = Desk(tmp_path, SECRET)
    headers = {name.lower(): text for name, text in signed(SECRET, "run:step:1", b"{}").items()}
    assert desk.known(headers, b"{}")
    assert not desk.known(headers, b"{ }")
    assert not desk.known({**headers, "webhook-id": "run:step:2"}, b"{}")
    old = {name.lower(): text for name, text in signed(SECRET, "run:step:1", b"{}", at=1).items()}
    assert not desk.known(old, b"{}")
    assert not desk.known({"webhook-signature": base64.b64encode(b"x").decode()}, b"{}")
    assert (desk.take("k", b"{}"), desk.take("k", b"{}"), len(desk.all())) == ("received", "received", 1)
    desk.close()


# ---- the hub


async def test_the_hub_shows_open_events_as_alerts_without_names(site: Room) -> None:
    async with working(site):
        event = await site.raised(note="Mr Kim fell")
        await site.ask("POST", f"/events/{event['id']}/take", {}, who="operator-park")

        async def shown() -> Any:
            found = await site.context.hub.query(Query(type="Alert"), simplified=True)
            return found if found and found[0]["status"] == "taken" else None

        (alert,) = await until(shown)
        assert alert["id"] == f"urn:ngsi-ld:Alert:centre-{event['number']}"
        assert "Kim" not in json.dumps(alert)
        assert "park" not in json.dumps(alert)
        await site.ask("POST", f"/events/{event['id']}/close", {"reason": "helped"})

        async def gone() -> Any:
            return not await site.context.hub.query(Query(type="Alert"))

        await until(gone)


async def test_a_place_is_told_by_its_dong(tmp_path: Path) -> None:
    ring = [[127.27, 36.47], [127.29, 36.47], [127.29, 36.49], [127.27, 36.49], [127.27, 36.47]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]},
               "properties": {"name_ko": "한빛동", "name_en": "Hanbit-dong"}}  # fmt: skip
    (tmp_path / "dongs.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    dongs = Dongs(tmp_path / "dongs.geojson")
    assert dongs(HERE) == {"en": "Hanbit-dong", "ko": "한빛동"}
    assert dongs({"type": "Point", "coordinates": [0, 0]}) is None
    assert Dongs(tmp_path / "none")(HERE) is None


# ---- what is bad


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('kind = "task"\ndue_s', 'kind = "wait"\ndue_s'), "wait_s"),
        (('to = "supervisor"', 'to = "king"'), "king"),
        (('id = "sign"', 'id = "look"'), "twice"),
        (('id = "sign"', 'id = "sign"\nafter = ["later"]'), "later"),
        (('id = "sign"', 'id = "sign"\nonly = ["look:yes"]'), "look:yes"),
        (('name = { en = "Quick", ko = "신속" }', 'name = { ko = "신속" }'), "en"),
        (("fold_m = 100", "fold_m = nan"), "fold_m"),
        (('id = "quick"', "id = 7"), "id"),
        (('id = "quick"', "id ="), "procedure"),
    ],
)
def test_a_procedure_that_is_wrong_is_told_so_in_a_line(change: tuple[str, str], says: str) -> None:
    assert change[0] in QUICK
    with pytest.raises(CentreError, match=says) as error:
        parse(QUICK.replace(*change, 1))
    assert "\n" not in str(error.value)


def test_the_ready_procedures_speak_both_languages_and_name_their_sources() -> None:
    assert len(ready()) == 6
    for procedure, _ in ready().values():
        assert procedure.sources
        texts = [procedure.name, procedure.description]
        for step in procedure.steps:
            texts += [step.title, *(one.text for one in (*step.items, *step.options))]
            texts += [text for text in (step.help, step.text, step.basis) if text]
        assert all({"en", "ko"} <= text.keys() for text in texts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "category severity title location note procedure reason to into do item option id name kind endpoint secret toml"
    " key state coordinates"
).split()
BODIES = st.binary(max_size=30) | JSON | st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_body_brings_it_down(site: Room, data: st.DataObject) -> None:
    if not await events(site):
        await put(site, QUICK)
        await site.raised(procedure="quick")
    id = (await events(site))[0]["id"]
    paths = [("POST", "/events"), ("PUT", "/procedures/quick"), ("POST", "/agencies"), ("PUT", "/agencies/x"),
             ("POST", f"/events/{id}/procedure"), ("POST", f"/events/{id}/procedure/steps/look"),
             ("POST", f"/events/{id}/note"), ("POST", f"/events/{id}/severity"),
             ("POST", f"/events/{id}/merge"), ("POST", "/agencies/receipts")]  # fmt: skip
    method, path = data.draw(st.sampled_from(paths))
    role = "agency" if path.endswith("receipts") else "supervisor"
    answer = await site.ask(method, path, data.draw(BODIES), role=role)
    assert answer.status < 500, answer.body


async def test_a_timeline_only_grows(site: Room, open_: Book) -> None:
    await site.raised()
    for statement in ("DELETE FROM entry", "UPDATE entry SET who = 'me'"):
        with pytest.raises(Exception, match="only grows"):
            await open_.write(lambda db, sql=statement: db.execute(sql))
    assert len(await open_.read(lambda db: rows.timeline(db, db.execute("SELECT id FROM event").fetchone()[0]))) == 1
