"""The vault as a room uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hanmaru.platform.policy import Caller
from hanmaru.platform.problems import Problem
from hanmaru.platform.vault import Index, VaultError, Vaults
from tests.platform.vaults import ALLOW, Kept, Only, opened

KIM = {"name": "김민준", "phone": "010-1234-5678", "age": 41}
INDEXES = (Index("name", "person.name", ("exact", "phonetic")), Index("phone", "person.phone"))


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    made = opened(tmp_path)
    yield made
    made.close()


async def test_a_document_comes_back_to_its_desk_only(vaults: Vaults) -> None:
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing", where="10.0.0.9")
    case = await desk.open_subject("case")
    await desk.put(case, "person", "index", KIM)
    assert await desk.get(case, "person", "index") == KIM
    assert await desk.get(case, "person", "other") is None
    assert await desk.list(case, "person") == ["index"]
    assert await desk.subjects("case") == [case]
    with pytest.raises(VaultError, match="no subject trace/"):
        await desk.put("case-" + "a" * 26, "person", "index", KIM)


async def test_look_up_by_value_and_by_sound(vaults: Vaults) -> None:
    vault = vaults.room("trace")
    vault.declare(*INDEXES)
    desk = vault.at(Caller("investigator"), "contact tracing")
    kim, park, lee = await desk.open_subjects("case", 3)
    await desk.put(kim, "person", "p", KIM)
    await desk.put(park, "person", "p", {"name": "박서연", "phone": "+82 10 9876 5432"})
    await desk.put(lee, "person", "p", {"name": "Lee Yuna", "phone": "010 5555 5555"})
    assert await desk.find("phone", "+82-10-1234-5678") == [kim]
    assert await desk.find("phone", "01098765432") == [park]
    assert await desk.find("name", "김 민준") == [kim]
    assert await desk.find("name", "김민중") == []
    assert await desk.find("name", "Min-joon Kim", phonetic=True) == [kim]
    assert await desk.find("name", "이유나", phonetic=True) == [lee]


async def test_without_a_purpose_nothing_is_asked(vaults: Vaults) -> None:
    with pytest.raises(Problem, match="stated purpose") as refused:
        vaults.room("trace").at(Caller("investigator"), " ")
    assert refused.value.status == 400


async def test_every_call_is_in_the_audit_trail_before_it_gives(vaults: Vaults) -> None:
    audit = vaults.audit
    assert isinstance(audit, Kept)
    vaults.room("trace").declare(*INDEXES)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing", where="10.0.0.9", request="r1")
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", KIM)
    await desk.get(case, "person", "p")
    await desk.find("phone", KIM["phone"])
    await desk.destroy(case, "case closed")
    assert [(r.action, r.subjects, r.decision) for r in audit.records] == [
        ("vault.write", (case,), "allow"),
        ("vault.write", (case,), "allow"),
        ("vault.read", (case,), "allow"),
        ("vault.find", (case,), "allow"),
        ("vault.destroy", (case,), "allow"),
        ("vault.destroy", (case,), "allow"),
    ]
    said = repr(audit.records)
    assert "김민준" not in said
    assert "1234" not in said
    audit.broken = True
    for asked in (desk.get(case, "person", "p"), desk.find("phone", "1234567"), desk.open_subject("case")):
        with pytest.raises(OSError, match="disk full"):
            await asked


async def test_what_policy_refuses_is_audited_and_not_done(vaults: Vaults) -> None:
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", KIM)
    vaults.policy = Only("vault.find")
    vaults.room("trace").declare(*INDEXES)
    assert await desk.find("phone", KIM["phone"]) == [case]
    for asked in (desk.get(case, "person", "p"), desk.destroy(case, "x"), desk.put(case, "person", "p", {})):
        with pytest.raises(Problem) as refused:
            await asked
        assert refused.value.status == 403
    vaults.policy = Only()
    with pytest.raises(Problem, match=r"vault\.find"):
        await desk.find("phone", KIM["phone"])
    audit = vaults.audit
    assert isinstance(audit, Kept)
    assert [r.decision for r in audit.records[-4:]] == ["deny"] * 4
    vaults.policy = ALLOW
    assert await desk.get(case, "person", "p") == KIM


async def test_destroyed_is_destroyed(vaults: Vaults) -> None:
    vault = vaults.room("trace")
    vault.declare(*INDEXES)
    desk = vault.at(Caller("investigator"), "contact tracing")
    case, other = await desk.open_subjects("case", 2)
    await desk.put_many([(case, "person", "p", KIM), (other, "person", "p", KIM)])
    await desk.destroy(case, "case closed")
    await desk.destroy(case, "asked again")
    assert await desk.get(case, "person", "p") is None
    assert await desk.find("phone", KIM["phone"]) == [other]
    with pytest.raises(VaultError, match="no subject"):
        await desk.put(case, "person", "p", KIM)
