"""What lies in the vault's files is what was put there, or an error: never something else."""

import asyncio
import os
import sqlite3
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Index, VaultError, Vaults
from hanmaru.platform.vault.crypto import Key
from hanmaru.platform.vault.store import MOST_BYTES
from tests.platform.vaults import opened

KIM, PARK = {"name": "김민준"}, {"name": "박서연"}


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture
def desk(vaults: Vaults) -> Desk:
    return vaults.room("trace").at(Caller("investigator"), "contact tracing")


def change(vaults: Vaults, sql: str, *values: object) -> None:
    """Change a row behind the vault's back."""
    db = sqlite3.connect(vaults.data / "vaults" / "trace.db")
    assert db.execute(sql, values).rowcount > 0
    db.commit()
    db.close()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_changed_text_opens(data: st.DataObject) -> None:
    key = Key.make("k")
    plain = data.draw(st.binary(max_size=200))
    sealed = key.seal(plain, "record|trace|a|person|p|1")
    assert key.open(sealed, "record|trace|a|person|p|1") == plain
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    place_of = "record|trace|a|person|p|1"
    cut = data.draw(st.integers(0, len(sealed) - 1))
    place = data.draw(st.text().filter(lambda text: text != "record|trace|a|person|p|1"))
    for wrong, at in ((bytes(flipped), None), (sealed[:cut], None), (sealed + b"x", None), (sealed, place)):
        assert key.open(wrong, place_of if at is None else at) is None
    assert Key.make("k").open(sealed, "record|trace|a|person|p|1") is None


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0), bit=st.integers(0, 7))
async def test_a_flipped_bit_in_the_file_is_an_error(desk: Desk, vaults: Vaults, position: int, bit: int) -> None:
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", KIM)
    db = sqlite3.connect(vaults.data / "vaults" / "trace.db")
    sealed = bytearray(db.execute("SELECT sealed FROM record WHERE subject = ?", (case,)).fetchone()[0])
    db.close()
    sealed[position % len(sealed)] ^= 1 << bit
    change(vaults, "UPDATE record SET sealed = ? WHERE subject = ?", bytes(sealed), case)
    with pytest.raises(VaultError, match="changed or moved") as error:
        await desk.get(case, "person", "p")
    assert error.value.status == 500


SWAPS = {
    "another record of the subject": "UPDATE record SET sealed = (SELECT sealed FROM record WHERE id = 'q')"
    " WHERE id = 'p'",
    "another kind": "UPDATE record SET kind = 'contact'",
    "another id": "UPDATE record SET id = 'r' WHERE id = 'p'",
    "another version": "UPDATE record SET version = 2",
    "another room": "UPDATE record SET kind = 'elsewhere'",
}


@pytest.mark.parametrize("swap", SWAPS)
async def test_a_moved_record_does_not_open(desk: Desk, vaults: Vaults, swap: str) -> None:
    case = await desk.open_subject("case")
    await desk.put_many([(case, "person", "p", KIM), (case, "person", "q", PARK)])
    change(vaults, SWAPS[swap])
    found = [(kind, id) for kind in ("person", "contact", "elsewhere") for id in ("p", "q", "r")]
    read: list[Any] = []
    errors = 0
    for kind, id in found:
        try:
            read.append(await desk.get(case, kind, id))
        except VaultError:
            errors += 1
    assert errors >= 1
    assert all(document in (None, KIM, PARK) for document in read)
    assert KIM not in read


async def test_anothers_record_or_key_does_not_open(desk: Desk, vaults: Vaults) -> None:
    one, other = await desk.open_subjects("case", 2)
    await desk.put_many([(one, "person", "p", KIM), (other, "person", "p", PARK)])
    change(
        vaults,
        "UPDATE record SET sealed = (SELECT sealed FROM record WHERE subject = ?) WHERE subject = ?",
        other,
        one,
    )
    with pytest.raises(VaultError, match="changed or moved"):
        await desk.get(one, "person", "p")
    db = sqlite3.connect(vaults.keys.folder / "keys.db")
    db.execute("UPDATE key SET wrapped = (SELECT wrapped FROM key WHERE subject = ?) WHERE subject = ?", (other, one))
    db.commit()
    db.close()
    vaults.keys.forget()
    with pytest.raises(VaultError, match=r"wrapped key .* changed or moved"):
        await desk.get(one, "person", "p")
    assert await desk.get(other, "person", "p") == PARK


@pytest.mark.parametrize(
    ("kind", "id"),
    [("김", "p"), ("person", "../../etc"), ("person", "김민준"), ("", "p"), ("person", "a|b"), ("P", "p")],
)
async def test_names_are_short_plain_ascii_and_never_quoted(desk: Desk, kind: str, id: str) -> None:
    case = await desk.open_subject("case")
    with pytest.raises(VaultError) as error:
        await desk.put(case, kind, id, KIM)
    assert error.value.status == 400
    assert "김" not in str(error.value)
    with pytest.raises(VaultError):
        await desk.get("../" + case, "person", "p")


async def test_documents_are_bounded_and_their_content_is_never_quoted(desk: Desk) -> None:
    case = await desk.open_subject("case")
    for document, status in (({"a": "x" * MOST_BYTES}, 413), ({"김민준": object()}, 400)):
        with pytest.raises(VaultError) as error:
            await desk.put(case, "person", "p", document)
        assert error.value.status == status
        assert "김민준" not in repr(error.value) + str(error.value)
    with pytest.raises(VaultError, match="1 to 1,000"):
        await desk.get_many([(case, "person", str(n)) for n in range(1_001)])


def test_a_key_shows_nothing_of_itself() -> None:
    import copy
    import pickle

    key = Key("trace/case/1", b"s" * 32)
    assert repr(key) == "Key('trace/case/1')"
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not to be pickled"):
            way(key)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(st.text(max_size=50), st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
async def test_any_value_can_be_kept_and_looked_for(desk: Desk, vaults: Vaults, value: object) -> None:
    vaults.room("trace").declare(Index("name", "person.name", ("exact", "phonetic")))
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", {"name": value})
    for phonetic in (False, True):
        if str(value).strip() and " ".join(unicodedata.normalize("NFKC", str(value)).split()):
            assert case in await desk.find("name", value, phonetic)
        else:
            with pytest.raises(VaultError, match="look for a text"):
                await desk.find("name", value, phonetic)


OTHER = """
import asyncio, sys
from pathlib import Path
from hanmaru.platform.vault import Index
from hanmaru.platform.policy import Caller
from tests.platform.vaults import opened

async def main(folder, subject, name):
    vaults = opened(Path(folder))
    vaults.room("trace").declare(Index("name", "person.name"))
    desk = vaults.room("trace").at(Caller("other"), "contact tracing")
    for n in range(30):
        own = await desk.open_subject("case")
        await desk.put(subject, "person", f"{name}{n}", {"name": f"{name} {n}"})
        await desk.put(own, "person", "p", {"name": name})
        if n % 3 == 0:
            await desk.destroy(own, "closed")
    vaults.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_write_look_up_and_destroy_at_once(desk: Desk, vaults: Vaults, tmp_path: Path) -> None:
    vaults.room("trace").declare(Index("name", "person.name"))
    case = await desk.open_subject("case")
    others = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OTHER, str(tmp_path), case, name, env={**os.environ, "PYTHONPATH": str(Path.cwd())}
        )
        for name in ("one", "two")
    ]
    for n in range(30):
        await desk.put(case, "person", f"here{n}", {"name": f"here {n}"})
        assert case in await desk.find("name", f"here {n}")
    assert [await other.wait() for other in others] == [0, 0]
    assert len(await desk.list(case, "person")) == 90
    for name in ("one", "two"):
        assert len(await desk.find("name", name)) == 20
        assert await desk.find("name", f"{name} 29") == [case]
