"""Looking up by value and by sound, duplicates, and the blind index as a thing that can be made again."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, Index, VaultError, Vaults
from hanmaru.platform.vault.blind import matches, normalised
from hanmaru.platform.vault.phonetic import asked, kept
from tests.platform.vaults import opened

INDEXES = (
    Index("name", "person.name", ("exact", "phonetic")),
    Index("phone", "person.phones"),
    Index("born", "person.born"),
)


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    made = opened(tmp_path)
    made.room("trace").declare(*INDEXES)
    yield made
    made.close()


@pytest.fixture
def desk(vaults: Vaults) -> Desk:
    return vaults.room("trace").at(Caller("investigator"), "contact tracing")


def alike(one: str, other: str) -> bool:
    """Whether either name finds the other."""
    return matches([normalised(one)], other, "phonetic")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("김민준", "김민준"),
        ("김재희", "김제희"),  # ㅐ, ㅔ
        ("이수진", "리수진"),  # the initial-sound rule
        ("유인나", "류인나"),
        ("임영웅", "림영웅"),
        ("노태우", "로태우"),
        ("김려원", "김여원"),
        ("박혜진", "박헤진"),
        ("최왜선", "최외선"),
        ("강낙현", "강낚현"),  # ㄱ, ㄲ at the end
        ("김박솔", "김밖솔"),
        ("정지훈", "청지훈"),  # plain, aspirated
        ("김 민준", "김민준"),
        ("Smith", "Smyth"),
        ("Catherine Jones", "Jones, Katherine"),
        ("José García", "Jose Garcia"),
        ("Kim Min-jun", "김민준"),
        ("Minjoon Kim", "김민준"),
        ("LEE Young Hee", "이영희"),
        ("Yi Yeonghui", "이영희"),
        ("Rhee Younghee", "이영희"),
        ("Park Jisung", "박지성"),
        ("Pak Chisong", "박지성"),
        ("Choi Soo-young", "최수영"),
        ("Choe Suyeong", "최수영"),
        ("Jung Hae-in", "정해인"),
        ("Jeong Haein", "정해인"),
        ("Chung Haein", "정해인"),
        ("Lim Yoona", "임윤아"),
        ("Im Yuna", "임윤아"),
        ("Noh Taewoo", "노태우"),
        ("Ryu Hyunjin", "유현진"),
        ("Ryu Hyun-jin", "류현진"),
        ("Suh Yeon", "서연"),
        ("Namgung Min", "Min Namgung"),
    ],
)
def test_names_that_sound_alike_meet(one: str, other: str) -> None:
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("김민준", "김민지"),
        ("김민준", "이민준"),
        ("박서연", "박서윤"),
        ("Kim Minjun", "박민준"),
        ("Kim Minjun", "김서연"),
        ("Smith", "Jones"),
        ("Ivanov", "김민준"),
        ("王伟", "김민준"),
        ("Иванов", "Ivanov"),
    ],
)
def test_names_that_do_not_sound_alike_do_not(one: str, other: str) -> None:
    assert not alike(one, other)
    assert not alike(other, one)


@pytest.mark.parametrize(
    "name", ["", " ", "-", "김", "ㄱㄴㄷ", "王伟", "𝒦im", "😀", "Kim 김", "a" * 1_000, "O'Neill-김"]
)
def test_any_text_has_codes(name: str) -> None:
    assert kept(name) & asked(name) or kept(name) == asked(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("010-1234-5678", "01012345678"),
        ("+82 10-1234-5678", "010 1234 5678"),
        ("+82 (0)10 1234 5678", "010.1234.5678"),
        ("0082 10 1234 5678", "01012345678"),
        ("044-200-2114", "+82442002114"),
        ("  Kim   MINJUN ", "kim minjun"),
        ("Ｋｉｍ", "kim"),
        ("김 민준", "김민준"),
        ("김민준", "김민준"),  # decomposed
    ],
)
def test_spellings_of_one_value_are_one(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


def test_other_countries_numbers_stay_apart() -> None:
    assert normalised("+1 202 555 0123") == "12025550123"
    assert normalised("8210 1234 5678") == "821012345678"


async def test_values_in_lists_are_found_and_replaced_ones_are_not(desk: Desk) -> None:
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", {"name": "김민준", "phones": ["010-1111-1111", "02-222-2222"]})
    assert await desk.find("phone", "+82 2 222 2222") == [case]
    await desk.put(case, "person", "p", {"name": "김민준", "phones": ["010-3333-3333"]})
    assert await desk.find("phone", "02-222-2222") == []
    assert await desk.find("phone", "01033333333") == [case]
    await desk.put(case, "note", "n", {"phones": ["010-9999-9999"]})  # of another kind: not indexed
    assert await desk.find("phone", "01099999999") == []


async def test_only_declared_ways_are_open(desk: Desk, vaults: Vaults) -> None:
    with pytest.raises(VaultError, match="no index"):
        await desk.find("address", "x")
    with pytest.raises(VaultError, match="no phonetic index"):
        await desk.find("phone", "x", phonetic=True)
    with pytest.raises(VaultError, match="look for a text"):
        await desk.find("name", {"$ne": None})
    other = vaults.room("ride").at(Caller("dispatcher"), "booking")
    with pytest.raises(VaultError, match="no index"):
        await other.find("name", "김민준")


async def test_duplicates_agree_in_two_fields_likeliest_first(desk: Desk) -> None:
    me, same, sounds, namesake, stranger = await desk.open_subjects("case", 5)
    people = {
        me: {"name": "김재희", "phones": ["010-1234-5678"], "born": "1990-01-01"},
        same: {"name": "김재희", "phones": ["+82 10 1234 5678"], "born": "1990-01-01"},
        sounds: {"name": "Kim Jae-hee", "phones": ["01012345678"], "born": "1991-01-01"},
        namesake: {"name": "김재희", "phones": ["010-0000-0000"], "born": "1955-05-05"},
        stranger: {"name": "박서연", "phones": ["010-9999-9999"], "born": "2001-01-01"},
    }
    await desk.put_many([(subject, "person", "p", person) for subject, person in people.items()])
    found = await desk.duplicates(me)
    assert [one.subject for one in found] == [same, sounds]
    assert found[0].exact == ("born", "name", "phone")
    assert found[1].exact == ("phone",)
    assert found[1].phonetic == ("name",)
    assert await desk.duplicates(stranger) == []


async def test_the_index_says_nothing_and_is_made_again_when_it_is_gone(desk: Desk, vaults: Vaults) -> None:
    cases = await desk.open_subjects("case", 700)
    people = [(case, "person", "p", {"name": f"김민준{n}", "phones": [f"010{n:08}"]}) for n, case in enumerate(cases)]
    await desk.put_many(people)
    path = vaults.data / "vaults" / "trace.index.db"
    db = sqlite3.connect(path)
    tokens = [token for (token,) in db.execute("SELECT token FROM token")]
    db.close()
    assert len(tokens) > 2_000
    assert max(tokens) < 2**16
    vaults.close()
    path.unlink()
    vaults.room("trace").declare(*INDEXES)
    again = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    assert await again.find("phone", "+82 10 0000 0699") == [cases[699]]
    vaults.room("trace").declare(*INDEXES, Index("any", "person.name"))
    assert await again.find("any", "김민준3") == [cases[3]]
    await vaults.room("trace").reindex()
    assert await again.find("phone", "01000000001") == [cases[1]]
