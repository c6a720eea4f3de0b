"""Queries on current state: every operator of ``q``, type selections, scopes, ids, order, pages and counts."""

import pytest

from hanmaru.hub.stores.base import Store
from tests.hub.store_contract.building import ALL, ask, at, delete, do, entity, found, local, prop, put, write

EVERYTHING = {
    "one": {
        "n": 1,
        "s": "apple",
        "b": True,
        "when": "2026-11-23T09:00:00+09:00",
        "list": [1, 2, "x"],
        "empty": "",
        "address": {"city": "Sejong", "pos": {"x": 1}},
        "level": prop(5, 10, accuracy=prop(0.5, source=prop("lidar"))),
        "title": {"languageMap": {"en": "Library", "ko": "도서관"}},
        "refRoom": {"object": "urn:x:room:1"},
        "kind": {"vocab": "Bench"},
    },
    "two": {
        "n": 2.5,
        "s": "banana",
        "b": False,
        "when": "2026-11-23T12:00:00Z",
        "list": [2, 3],
        "address": {"city": "Seoul", "pos": {"x": 2}},
        "level": prop(7, 20, accuracy=prop(0.9)),
        "title": {"languageMap": {"en": "School", "ko": "학교"}},
        "refRoom": {"object": "urn:x:room:2"},
    },
    "ten": {"n": 10, "s": "Äpfel\nund", "list": [], "level": prop("high"), "matrix": [[1, 2], [3]]},
    "txt": {"n": "2", "s": "10", "b": "true", "when": "2026-11-23", "objects": [{"a": 1}, {"a": 2}]},
    "non": {"other": "x"},
}

ANSWERS = {
    # equality and its negation, of numbers, texts and booleans; a value of another type is not equal
    "n==1": "one",
    "n==2.5": "two",
    "n==10.0": "ten",
    'n=="2"': "txt",
    "n==2": "",
    "n!=1": "two ten txt",
    's=="apple"': "one",
    "s==apple": "one",
    's!="apple"': "two ten txt",
    "b==true": "one",
    "b==false": "two",
    'b=="true"': "txt",
    "b!=true": "two txt",
    'empty==""': "one",
    # order of numbers and of texts by code point; booleans have none
    "n>2": "two ten",
    "n>=2.5": "two ten",
    "n<2.5": "one",
    "n<=2.5": "one two",
    "n>-1e3": "one two ten",
    's>"apple"': "two ten",
    's>="b"': "two ten",
    's<"apple"': "txt",
    's<"b"': "one txt",
    'n>"1"': "txt",
    "b>true": "",
    'b>"a"': "txt",
    'b<"zz"': "txt",
    'empty<"a"': "one",
    # ranges and lists
    "n==1..3": "one two",
    "n!=1..3": "ten txt",
    "n==1,10": "one ten",
    "n!=1,10": "two txt",
    'n==1,"2",9..11': "one ten txt",
    's=="a".."b"': "one",
    's=="apple","banana"': "one two",
    # dates, whatever zone they were written in
    'when=="2026-11-23T00:00:00Z"': "one",
    "when==2026-11-23T00:00:00.000Z": "one",
    "when>2026-11-23T06:00:00Z": "two",
    'when<="2026-11-23T21:00:00+09:00"': "one two txt",
    "when==2026-11-23T00:00:00Z..2026-11-23T13:00:00Z": "one two",
    # patterns occur anywhere; they see texts only
    's~="an"': "two",
    's~="^[ab]"': "one two",
    's!~="an"': "one ten txt",
    's~="^.pfel$"': "",
    's~="^.pfel.und$"': "",
    's~="(?i)APPLE|BANANA"': "one two",
    's~="^\\d+$"': "txt",
    's~="\\bund\\b"': "ten",
    's~="^Äpfel"': "ten",
    'empty~="^$"': "one",
    'b~="."': "txt",
    'n~="2"': "txt",
    'title[ko]~="[가-힣]{3}"': "one",
    # presence, absence of which is not a match of a negation
    "n": "one two ten txt",
    "other": "non",
    "nothing": "",
    "nothing!=1": "",
    'nothing!~="x"': "",
    # sub-attributes, compound values, language maps, relationships, vocabulary
    "level.accuracy>0.6": "two",
    "level.accuracy": "one two",
    'level.accuracy.source=="lidar"': "one",
    "level.accuracy!=0.5": "two",
    'address[city]=="Sejong"': "one",
    "address[pos.x]>1": "two",
    "address[pos]": "one two",
    "address[nothing]": "",
    'title[en]=="School"': "two",
    'refRoom=="urn:x:room:1"': "one",
    "refRoom!=urn:x:room:1": "two",
    "kind~=Bench": "one",
    # arrays match by any element
    "list==2": "one two",
    'list=="x"': "one",
    "list!=1": "two ten",
    "list>2": "two",
    "list": "one two ten",
    "matrix": "ten",
    "matrix==3": "",
    "objects[a]==2": "txt",
    # instants of attributes
    f"level.observedAt=={at(10)}": "one",
    f"level.observedAt>{at(10)}": "two",
    f"level.observedAt<={at(20)}": "one two",
    "level.observedAt": "one two",
    f"level.observedAt!={at(10)}": "two",
    'level.observedAt~="2026"': "",
    "n.createdAt>2026-01-01T00:00:00Z": "one two ten txt",
    "n.modifiedAt<2026-01-01T00:00:00Z": "",
    # logic
    "n==1|n==10": "one ten",
    "n>1;n<10": "two",
    "(n==1|s==banana);b==false": "two",
    "n==1|s==banana;b==false": "one two",
    "((other==x))|nothing": "non",
}


@pytest.fixture
async def filled(store: Store) -> Store:
    """Hold one entity for every shape of value."""
    await do(store, *(put(entity(id, **members)) for id, members in EVERYTHING.items()))
    return store


async def test_q(filled: Store) -> None:
    wrong = {q: got for q, expected in ANSWERS.items() if (got := await found(filled, q=q)) != expected.split()}
    assert wrong == {}


async def test_q_after_values_changed(filled: Store) -> None:
    await do(filled, write("append", "one", n=3, list=[7]), write("merge", "two", level=prop(1, accuracy=prop(0.1))))
    assert await found(filled, q="n==1") == await found(filled, q='list=="x"') == []
    assert await found(filled, q="list==7;n==3") == ["one"]
    assert await found(filled, q="level.accuracy==0.1") == ["two"]


async def test_type_selections(store: Store) -> None:
    kinds = {"a": ["A"], "b": ["B"], "ab": ["A", "B"], "abc": ["A", "B", "C"], "c": ["C"]}
    await do(store, *(put(entity(id, types, n=1)) for id, types in kinds.items()))
    answers = {
        "A": "a ab abc",
        "A,C": "a ab abc c",
        "A|C": "a ab abc c",
        "A;B": "ab abc",
        "(A;B)|C": "ab abc c",
        "A;(B,C);C": "abc",
        "D": "",
        "D,B": "b ab abc",
        "https://uri.etsi.org/ngsi-ld/default-context/C": "abc c",
    }
    assert {type: " ".join(await found(store, type=type)) for type in answers} == answers
    assert await found(store, type="A;B", q="n==1") == ["ab", "abc"]


async def test_scopes(store: Store) -> None:
    scopes = {"a": "/x", "b": "/x/y", "c": "/x/y/z", "d": ["/x/y", "/q"], "e": "/xx", "f": "/x0", "g": []}
    await do(store, *(put(entity(id, **({"scope": scope} if scope else {}))) for id, scope in scopes.items()))
    answers = {
        "/x": "a",
        "/x/y": "b d",
        "x/y": "b d",
        "/x/#": "a b c d",
        "/x/y/#": "b c d",
        "/#": "a b c d e f",
        "/x/y;/q": "d",
        "/x,/q": "a d",
        "(/x/y;/q)|/xx": "d e",
        "/nowhere/#": "",
    }
    assert {scope: " ".join(await found(store, scope=scope)) for scope in answers} == answers


async def test_ids_and_patterns_of_ids(store: Store) -> None:
    await do(store, *(put(entity(id)) for id in ("car:1", "car:2", "bus:1", "Bus:9", "car:10")))
    assert await found(store, ids=["bus:1", "car:1", "nothing"]) == ["car:1", "bus:1"]
    assert await found(store, ids=["car:1", "car:1"]) == ["car:1"]
    assert await found(store, id_pattern="car:1") == ["car:1", "car:10"]
    assert await found(store, id_pattern="^urn:x:car:1$") == ["car:1"]
    assert await found(store, id_pattern="(?i)bus:[0-9]$") == ["bus:1", "Bus:9"]
    assert await found(store, ids=["car:1", "bus:1"], id_pattern="bus", type="Device") == ["bus:1"]
    assert await found(store, ids=["car:1"], type="Other") == []


async def test_attributes_that_must_be_there(store: Store) -> None:
    await do(store, put(entity("a", n=1)), put(entity("b", m={"x": 1})), put(entity("c", n=[], m=2)), put(entity("d")))
    assert await found(store, attrs=["n"]) == ["a", "c"]
    assert await found(store, attrs=["m"]) == ["b", "c"]
    assert await found(store, attrs=["n", "m"]) == ["a", "b", "c"]
    assert await found(store, attrs=["nothing"]) == []
    assert await found(store, attrs=["nothing", "m"]) == ["b", "c"]


@pytest.mark.parametrize(
    "query", [{}, {"type": "Device"}, {"q": "n>=0"}, {"q": "s~='.'"}, {"attrs": ["n"]}, {"q": "r<3"}]
)
async def test_pages_follow_creation_and_counts_are_exact(store: Store, query: dict[str, str]) -> None:
    ids = [f"{n * 37 % 101:03}" for n in range(101)]
    await do(store, *(put(entity(id, n=int(id), r=int(id) % 7, s="'x'")) for id in ids))
    await do(store, *(delete(id) for id in ids[::5]), *(write("append", id, n=500) for id in ids[1::5]))
    expected = [id for n, id in enumerate(ids) if n % 5 and (query.get("q") != "r<3" or int(id) % 7 < 3)]
    pages: list[str] = []
    for offset in range(0, 140, 7):
        page = await store.query(ALL, ask(**query, limit=7, offset=offset, count=True))
        assert page.count == len(expected)
        assert len(page.entities) <= 7
        pages += [local(made) for made in page.entities]
    assert pages == expected
    assert (await store.query(ALL, ask(**query, limit=3))).count is None
    only_count = await store.query(ALL, ask(**query, limit=0, count=True))
    assert (list(only_count.entities), only_count.count) == ([], len(expected))


async def test_pages_of_a_selective_question_among_many(store: Store) -> None:
    many = [
        entity(f"{n:04}", ["Even" if n % 2 == 0 else "Odd"], n=n, tag="rare" if n % 500 == 0 else "usual")
        for n in range(2_000)
    ]
    await do(store, *map(put, many))
    assert await found(store, q="tag==rare") == ["0000", "0500", "1000", "1500"]
    assert await found(store, q="tag==rare;n>600", type="Even") == ["1000", "1500"]
    assert await found(store, q="tag==rare", type="Odd") == []
    page = await store.query(ALL, ask(type="Odd", q="tag==usual", limit=3, offset=900, count=True))
    assert ([local(made) for made in page.entities], page.count) == (["1801", "1803", "1805"], 1_000)
