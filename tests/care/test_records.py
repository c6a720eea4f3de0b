"""The records' store: versions, transactions, conditions, the change log, looks, destruction; no HTTP."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from hanmaru.backup.take import copy_database
from hanmaru.care import people
from hanmaru.care.fhir import text
from hanmaru.care.fhir.records import ALL, Change, Reader, Records, new_id
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import Vaults
from tests.care.house import audited, consent, house, ids, observation, person, put, status

NURSE = Reader("kim", "organisation", "health-centre", "treatment", "192.0.2.7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("care")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def records(folder: Path) -> AsyncGenerator[Records]:
    async with house(folder) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_resource_lives_in_versions(records: Records) -> None:
    patient, id = await person(records), new_id()
    (made,) = await records.commit(ALL, [Change("POST", "Observation", id, observation(patient, 120))])
    assert (made.version, made.method, made.fresh) == (1, "POST", True)
    assert await put(records, "Observation", id, observation(patient, 130)) == 2
    newest = await records.read(ALL, "Observation", id)
    assert text.decode(newest.text)["valueQuantity"]["value"] == 130
    assert text.decode(newest.text)["meta"]["versionId"] == "2"
    first = await records.vread(ALL, "Observation", id, 1)
    assert text.decode(first.text)["valueQuantity"]["value"] == 120

    (gone,) = await records.commit(ALL, [Change("DELETE", "Observation", id)])
    assert (gone.version, gone.text) == (3, b"")
    assert await status(records.read(ALL, "Observation", id)) == 410
    assert await status(records.vread(ALL, "Observation", id, 3)) == 410
    assert (await records.vread(ALL, "Observation", id, 1)).text == first.text
    assert not (await records.commit(ALL, [Change("DELETE", "Observation", id)]))[0].fresh
    assert await put(records, "Observation", id, observation(patient, 140)) == 4

    page = await records.history(ALL, "Observation", id, count=3)
    assert [(each.version, each.method) for each in page.versions] == [(4, "PUT"), (3, "DELETE"), (2, "PUT")]
    rest = await records.history(ALL, "Observation", id, count=3, cursor=page.next)
    assert [each.version for each in rest.versions] == [1]
    assert rest.next is None


async def test_an_update_that_changes_nothing_makes_no_version(records: Records) -> None:
    patient, id = await person(records), new_id()
    one = text.decode(text.encode(observation(patient)).replace(b"120", b"1.10"))
    assert await put(records, "Observation", id, one) == 1
    assert await put(records, "Observation", id, dict(reversed(one.items()))) == 1
    other = text.decode(text.encode(one).replace(b"1.10", b"1.1"))
    assert await put(records, "Observation", id, other) == 2  # other digits say something else
    stamped = text.decode((await records.read(ALL, "Observation", id)).text)
    assert await put(records, "Observation", id, stamped) == 2


async def test_a_transaction_is_whole_or_nothing_and_harms_nobody_beside_it(records: Records) -> None:
    patient, kept, lost = await person(records), new_id(), new_id()
    good = [Change("PUT", "Observation", kept, observation(patient))]
    bad = [
        Change("PUT", "Observation", lost, observation(patient)),
        Change("PUT", "Patient", "let-in", {"resourceType": "Patient"}),
        Change("PUT", "Observation", "nothing-there", observation(patient), if_match=7),
    ]
    outcomes = await asyncio.gather(*(records.commit(ALL, each) for each in (bad, good, bad)), return_exceptions=True)
    assert [getattr(each, "status", 200) for each in outcomes] == [412, 200, 412]
    assert await status(records.read(ALL, "Observation", kept)) == 200
    assert await status(records.read(ALL, "Observation", lost)) == 404
    assert not await ids(records, ALL, "Observation", ("_id", lost))
    assert await people_of(records, "let-in") == 404


async def people_of(records: Records, patient: str) -> int:
    return await status(people.bind(records, "somebody", patient))


async def test_of_many_who_update_the_same_version_one_wins(records: Records, folder: Path) -> None:
    patient, id = await person(records), new_id()
    await put(records, "Observation", id, observation(patient, 0))
    async with house(folder, "other") as other:  # a second process's view: connections of its own
        tries = [
            status(
                (records, other)[turn % 2].commit(
                    ALL, [Change("PUT", "Observation", id, observation(patient, turn + 1), if_match=1)]
                )
            )
            for turn in range(12)
        ]
        assert sorted(await asyncio.gather(*tries)) == [200] + [412] * 11


async def test_of_many_who_create_unless_there_is_one_one_does(records: Records, folder: Path) -> None:
    card = {"system": "urn:hanmaru:card", "value": new_id()}
    who = {"resourceType": "Patient", "identifier": [card]}
    condition = f"identifier={card['system']}|{card['value']}"
    async with house(folder, "other") as other:
        made = await asyncio.gather(
            *(
                (records, other)[turn % 2].commit(ALL, [Change("POST", "Patient", None, who, if_none_exist=condition)])
                for turn in range(12)
            )
        )
    assert len({version.id for (version,) in made}) == 1
    assert sum(version.fresh for (version,) in made) == 1


async def test_conditions_are_decided_in_the_transaction(records: Records) -> None:
    patient, mark = await person(records), new_id()
    tagged = observation(patient, identifier=[{"system": "urn:mark", "value": mark}])
    search = f"identifier=urn:mark|{mark}"
    change = Change("PUT", "Observation", None, tagged, search=search)
    (first,) = await records.commit(ALL, [change])
    (second,) = await records.commit(
        ALL, [Change("PUT", "Observation", None, tagged | {"status": "amended"}, search=search)]
    )
    assert (second.id, second.version) == (first.id, 2)
    with pytest.raises(Problem) as elsewhere:
        await records.commit(ALL, [Change("PUT", "Observation", new_id(), tagged, search=search)])
    assert (elsewhere.value.status, elsewhere.value.extra) == (409, {"retry": True})
    await put(records, "Observation", new_id(), tagged)
    assert await status(records.commit(ALL, [change])) == 412
    assert await status(records.commit(ALL, [Change("DELETE", "Observation", None, search=search)])) == 412
    (none,) = await records.commit(ALL, [Change("DELETE", "Observation", None, search="identifier=urn:mark|none")])
    assert (none.id, none.version) == ("", 0)


async def test_an_idempotency_key_is_done_once(records: Records) -> None:
    patient = await person(records)
    visit = [Change("POST", "Observation", new_id(), observation(patient)) for _ in range(2)]
    both = await asyncio.gather(*(records.commit(ALL, visit, "visit-1") for _ in range(3)))
    assert {tuple(each._replace(fresh=True) for each in made) for made in both} == {
        tuple(each._replace(fresh=True) for each in both[0])
    }
    assert len(await ids(records, ALL, "Observation", ("patient", patient))) == 2
    assert await status(records.commit(ALL, visit[:1], "visit-1")) == 422
    assert await status(records.commit(Reader("other", "all"), visit, "visit-1")) == 409  # a key is its caller's own


@pytest.mark.parametrize(
    ("type", "id", "resource"),
    [
        ("Nonsense", "x", {}),
        ("Patient", "has space", {}),
        ("Patient", "x" * 65, {}),
        ("Patient", 'x","y":"', {}),
        ("Patient", "x", {"resourceType": "Observation"}),
        ("Patient", "x", {"meta": [1]}),
        ("Patient", "x", {"name": "\ud800"}),
        ("Patient", "x", None),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    records: Records, type: str, id: str, resource: dict[str, object] | None
) -> None:
    assert await status(records.commit(ALL, [Change("PUT", type, id, resource)])) == 400


async def test_the_change_log_has_every_commit_in_order_for_all_processes(records: Records, folder: Path) -> None:
    patient, start = await person(records), await records.head()
    async with house(folder, "other") as other, aclosing(other.ticks()) as ticks:
        assert await anext(ticks) == start
        waiting = asyncio.create_task(anext(ticks))
        made = [new_id() for _ in range(6)]
        for turn, id in enumerate(made):
            await put((records, other)[turn % 2], "Observation", id, observation(patient))
        assert await asyncio.wait_for(waiting, 5) > start
        rows = await other.changes(start, 4)
        rows += await records.changes(rows[-1].seq, 100)
        assert [(row.id, row.patients) for row in rows] == [(id, (patient,)) for id in made]
        assert [row.seq for row in rows] == sorted({row.seq for row in rows})
        await other.advance("delivery", rows[2].seq)
        await other.advance("delivery", rows[0].seq)
        assert await records.position("delivery") == rows[2].seq
        assert await records.changed(rows[-1].seq - 1, 5) == rows[-1].seq


async def test_times_never_go_back(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = await person(records)
    monkeypatch.setattr("hanmaru.care.fhir.writer.time.time_ns", lambda: 1_000)
    await put(records, "Observation", new_id(), observation(patient))
    before, after = await records.changes(await records.head() - 2, 2)
    assert before.at < after.at


async def test_what_lies_in_the_files_tells_nothing(records: Records, folder: Path) -> None:
    await person(records, name="선우하윤슬")
    await people.bind(records, "sunwoo", await person(records))
    await people.bind_card(records, "1234-5678", await person(records))
    for path in (folder / "data").rglob("*"):
        if path.is_file():
            assert "선우하윤슬".encode() not in path.read_bytes(), path
            assert b"sunwoo" not in path.read_bytes(), path
            assert b"12345678" not in path.read_bytes(), path


async def test_a_look_is_audited_and_told_to_the_patient(records: Records, folder: Path) -> None:
    patient, id = await person(records), new_id()
    await put(records, "Observation", id, observation(patient))
    await put(records, "Consent", new_id(), consent(patient, "health-centre", "follow-up"))
    await records.read(NURSE, "Observation", id)
    await records.read(NURSE, "Patient", patient)
    await records.search(NURSE, "Observation", [("patient", patient)])
    await records.read(Reader("hong", "patient", patient), "Observation", id)
    (look,) = await records.looks(patient)
    assert (look.who, look.organisation, look.purpose) == ("kim", "health-centre", "treatment")
    assert look.what == "Observation ×2, Patient"
    assert await records.looks(patient, before=look.at) == []
    subject = records.inline.execute("SELECT subject FROM owner WHERE id = ?", (patient,)).fetchone()[0]
    lines = [entry for entry in audited(folder, "care.read") if subject in entry.subjects]
    assert [(entry.who, entry.purpose, entry.where) for entry in lines] == [("kim", "treatment", "192.0.2.7")] * 3


async def test_nothing_is_given_that_cannot_be_audited(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = await person(records)
    await put(records, "Consent", new_id(), consent(patient, "health-centre", "follow-up"))

    def full(_record: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records._looks._audit, "record", full)
    for work in (
        records.read(NURSE, "Patient", patient),
        records.search(NURSE, "Patient", [("_id", patient)]),
        records.history(NURSE, "Patient", patient),
    ):
        with pytest.raises(OSError, match="No space"):
            await work


async def test_accounts_cards_and_parties(records: Records) -> None:
    one, other = await person(records), await person(records)
    await people.bind(records, "hong", one)
    await people.bind(records, "hong", one)
    assert people.patient_of(records, "hong") == one
    assert await status(people.bind(records, "hong", other)) == 409
    assert await status(people.bind(records, "kim", one)) == 409
    assert await status(people.bind(records, "lee", "nobody")) == 404
    await people.bind_card(records, "ab 12-34", one)
    assert people.card(records, "AB1234") == one
    await people.unbind_card(records, "ab1234")
    assert people.card(records, "AB1234") is None
    await people.unbind(records, "hong")
    assert people.patient_of(records, "hong") is None
    assert await status(people.bind_party(records, "client:hospital", "nowhere")) == 404
    await people.bind_party(records, "client:hospital", "health-centre")
    assert people.party_of(records, "client:hospital") == "health-centre"
    assert people.parties(records) == {"client:hospital": "health-centre"}


async def test_a_destroyed_person_is_nowhere(records: Records, folder: Path) -> None:
    patient, other, id = await person(records), await person(records), new_id()
    await put(records, "Observation", id, observation(patient, 133))
    shared = {"resourceType": "Appointment", "status": "booked", "participant": []}
    shared["participant"] = [{"actor": {"reference": f"Patient/{each}"}} for each in (patient, other)]
    await put(records, "Appointment", "both", shared)
    await put(records, "Observation", "of-the-other", observation(other))
    await put(records, "Consent", new_id(), consent(patient, "health-centre", "follow-up"))
    await people.bind(records, "gone", patient)
    await records.read(NURSE, "Observation", id)
    await records.looks(patient)
    before = await records.head()

    for reason in ("", " ", "x" * 201, "two\nlines"):
        assert await status(records.purge(patient, reason)) == 400
    assert await records.purge(patient)
    assert not await records.purge(patient)
    for type, each in (("Patient", patient), ("Observation", id), ("Appointment", "both")):
        assert await status(records.read(ALL, type, each)) == 404
        assert await status(records.vread(ALL, type, each, 1)) == 404
        assert await status(records.history(ALL, type, each)) == 404
        assert not await ids(records, ALL, type, ("_id", each))
    assert await status(records.read(ALL, "Observation", "of-the-other")) == 200
    assert people.patient_of(records, "gone") is None
    assert await records.looks(patient) == []
    assert await records.head() > before
    # Nothing is added to who is no more, as by a kiosk that was offline.
    assert await status(records.commit(ALL, [Change("POST", "Observation", None, observation(patient))])) == 410
    assert await status(records.commit(ALL, [Change("PUT", "Patient", patient, {})])) == 410


async def test_a_restored_backup_brings_nobody_back(tmp_path: Path) -> None:
    async with house(tmp_path) as records:
        patient, stays = await person(records), await person(records)
        await put(records, "Observation", "lost", observation(patient))
        await put(records, "Observation", "kept", observation(stays))
        file, index = records.files.records, records.files.index
        copy_database(file, tmp_path / "copy.db")
        await records.purge(patient)
    for path in (file, index):
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy.db", file)
    async with house(tmp_path) as records:
        assert await status(records.read(ALL, "Observation", "kept")) == 200
        assert await ids(records, ALL, "Observation") == ["kept"]
        assert await status(records.read(ALL, "Observation", "lost")) == 404
        assert records.inline.execute("SELECT count(*) FROM version WHERE type = 'Observation'").fetchone() == (1,)
        assert await status(records.commit(ALL, [Change("PUT", "Patient", patient, {})])) == 410


async def test_an_interrupted_destruction_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as records:
        patient = await person(records)
        await put(records, "Observation", "lost", observation(patient))
        with monkeypatch.context() as patched:
            patched.setattr("hanmaru.care.fhir.destruction.erase", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await records.purge(patient)
        assert await status(records.read(ALL, "Observation", "lost")) in (404, 410)  # the key is gone first
    async with house(tmp_path) as records:
        assert await status(records.read(ALL, "Observation", "lost")) == 404
        assert records.inline.execute("SELECT count(*) FROM destroying").fetchone() == (0,)


@pytest.mark.parametrize("damage", ["lost", "noise", "another key", "behind", "another version"])
async def test_an_index_that_cannot_be_used_is_made_anew(tmp_path: Path, damage: str) -> None:
    async with house(tmp_path) as records:
        patient = await person(records)
        for turn in range(5):
            await put(records, "Observation", f"o{turn}", observation(patient, turn))
        await records.commit(ALL, [Change("DELETE", "Observation", "o3")])
        index, key = records.files.index, records.keyring.room["index"].secret
        if damage == "behind":
            records.inline.execute("UPDATE ix.watermark SET seq = seq - 4")
            records.inline.execute("DELETE FROM ix.token")
        elif damage == "another version":
            records.inline.execute("UPDATE ix.watermark SET version = 0")
        if damage == "behind":  # the next writer sees it and lets it catch up first
            await put(records, "Observation", "o9", observation(patient, 9))
            found = await ids(records, ALL, "Observation", ("code", "8480-6"))
            assert {"o2", "o4", "o9"} <= set(found)
            return
    beside = [index.with_name(index.name + end) for end in ("-wal", "-shm")]
    if damage in ("lost", "another key", "noise"):
        for path in (index, *beside):
            path.unlink(missing_ok=True)
    if damage == "noise":
        index.write_bytes(bytes(range(256)) * 64)
    elif damage == "another key":
        stranger = apsw.Connection(str(index))
        stranger.execute(f"PRAGMA key='raw:{bytes(32).hex()}'; CREATE TABLE t(a)")
        stranger.close()
        assert key != bytes(32)
    async with house(tmp_path) as records:
        assert await ids(records, ALL, "Observation", ("code", "8480-6")) == ["o0", "o1", "o2", "o4"]
        assert await put(records, "Observation", "o5", observation(patient)) == 1


async def test_a_key_of_the_vault_may_be_rotated(tmp_path: Path) -> None:
    from hanmaru.platform.vault.rotate import rotate_older

    async with house(tmp_path) as records:
        patient = await person(records)
        await put(records, "Observation", "before", observation(patient))
        vaults: Vaults = records.keyring._vault.vaults
        await asyncio.to_thread(rotate_older, vaults.data, vaults.keys, 0.0)
    async with house(tmp_path) as records:
        assert await status(records.read(ALL, "Observation", "before")) == 200
        assert await put(records, "Observation", "after", observation(patient)) == 1
