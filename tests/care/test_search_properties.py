"""Searches of chance beside an evaluator that reads R4's rules off the resources; pages; fuzz; a reader's sight."""

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hanmaru.care.fhir import query
from hanmaru.care.fhir.definitions import parameters
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem
from tests.care.searching import LOINC, NOW, ROOM, UCUM, Pairs, Store, coded, observation, patient, quantity

SEOUL = timezone(timedelta(hours=9))
CODES, SYSTEMS = ["8480-6", "29463-7", "x"], [LOINC, "urn:own", None]
NAMES = [("김", "민준"), ("이", "영희"), ("김", "영"), ("Müller", "Zoë")]
DATES = [
    "2023",
    "2023-03",
    "2023-03-27",
    "2023-03-28",
    "2023-03-28T09:15:00+09:00",
    "2023-03-27T23:30:00Z",
    "2024-02-29",
]
GRAMS = {"kg": Fraction(1000), "g": Fraction(1), "[lb_av]": Fraction("453.59237")}
VALUES = [Decimal(t) for t in ("0.5", "1", "1.0", "453.59237", "80.5", "81", "80500", "1000")]


def made() -> list[dict[str, Any]]:
    """Return patients and a hundred Observations of chance."""
    chance = random.Random(4)
    resources: list[dict[str, Any]] = [patient(f"p{n}", *name) for n, name in enumerate(NAMES)]
    for n in range(100):
        one = observation(
            f"o{n}",
            f"Patient/p{chance.randrange(len(NAMES))}",
            code=coded(chance.choice(CODES), chance.choice(SYSTEMS)),
        )
        if chance.random() < 0.8:
            one["effectiveDateTime"] = chance.choice(DATES)
        elif chance.random() < 0.7:
            one["effectivePeriod"] = {chance.choice(["start", "end"]): chance.choice(DATES)}
        if chance.random() < 0.8:
            one["valueQuantity"] = quantity(chance.choice(VALUES), chance.choice(list(GRAMS)))
            if chance.random() < 0.2:
                one["valueQuantity"]["comparator"] = chance.choice(["<", ">="])
        resources.append(one)
    chance.shuffle(resources)
    return resources


RESOURCES = made()
OBSERVATIONS = [r for r in RESOURCES if r["resourceType"] == "Observation"]
STORE = Store().put(*RESOURCES)
EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def span(text: str) -> tuple[datetime, datetime]:
    """Return the instants of a date, written without the room's parser."""
    for form, step in (("%Y", 366), ("%Y-%m", 31), ("%Y-%m-%d", 1)):
        try:
            low = datetime.strptime(text, form).replace(tzinfo=SEOUL)
        except ValueError:
            continue
        if step == 366:
            return low, low.replace(year=low.year + 1)
        return low, (low + timedelta(step)).replace(day=1) if step == 31 else low + timedelta(1)
    low = datetime.fromisoformat(text)
    return low, low + timedelta(seconds=1)


def when(r: dict[str, Any]) -> tuple[datetime, datetime] | None:
    if "effectiveDateTime" in r:
        return span(r["effectiveDateTime"])
    period = r.get("effectivePeriod")
    if period is None:
        return None
    return (
        span(period["start"])[0] if "start" in period else EVER[0],
        span(period["end"])[1] if "end" in period else EVER[1],
    )


def date_holds(r: dict[str, Any], prefix: str, text: str) -> bool:
    has, asked = when(r), span(text)
    if has is None:
        return False
    within = asked[0] <= has[0] and has[1] <= asked[1] and has[0] < asked[1]
    return {
        "eq": within,
        "ne": not within,
        "gt": has[1] > asked[1],
        "lt": has[0] < asked[0],
        "ge": has[1] > asked[1] or within,
        "le": has[0] < asked[0] or within,
        "sa": has[0] >= asked[1],
        "eb": has[1] <= asked[0],
    }[prefix]


def amount_holds(r: dict[str, Any], prefix: str, number: str, unit: str) -> bool:
    q = r.get("valueQuantity")
    if q is None:
        return False
    factor = GRAMS[q["code"]] if unit else Fraction(1)
    value = Fraction(q["value"]) * factor
    low = None if q.get("comparator") == "<" else value
    high = None if q.get("comparator") == ">=" else value
    scale = GRAMS[unit] if unit else Fraction(1)
    asked = Fraction(number) * scale
    half = Fraction(10) ** int(Decimal(number).as_tuple().exponent) / 2 * scale
    within = low is not None and high is not None and asked - half <= low and high < asked + half
    return {
        "eq": within,
        "ne": not within,
        "gt": high is None or high > asked,
        "lt": low is None or low < asked,
        "ge": high is None or high >= asked,
        "le": low is None or low <= asked,
        "sa": low is not None and low > asked,
        "eb": high is not None and high < asked,
    }[prefix]


def code_holds(r: dict[str, Any], system: str | None, code: str) -> bool:
    coding = r["code"]["coding"][0]
    return coding["code"] == code and (system is None or coding.get("system", "") == system)


def name_holds(r: dict[str, Any], start: str) -> bool:
    family, given = NAMES[int(r["subject"]["reference"].removeprefix("Patient/p"))]
    plain = {"Müller": "muller", "Zoë": "zoe", "MüllerZoë": "mullerzoe"}
    return any(plain.get(part, part).startswith(start) for part in (family, given, family + given))


Asked = tuple[str, str, Any]
"""A parameter, its value, and what tells whether a resource fulfils it."""

PREFIX = st.sampled_from(["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])


def codes() -> st.SearchStrategy[Asked]:
    def one(system: str | None, code: str) -> tuple[str, Any]:
        return (code if system is None else f"{system}|{code}"), lambda r: code_holds(r, system, code)

    value = st.builds(one, st.sampled_from([None, "", LOINC, "urn:own"]), st.sampled_from(CODES))
    several = st.lists(value, min_size=1, max_size=3)
    some = several.map(lambda v: ("code", ",".join(t for t, _ in v), lambda r: any(h(r) for _, h in v)))
    none = several.map(lambda v: ("code:not", ",".join(t for t, _ in v), lambda r: not any(h(r) for _, h in v)))
    return some | none


def dates() -> st.SearchStrategy[Asked]:
    return st.builds(
        lambda p, t: ("date", ("" if p == "eq" else p) + t, lambda r: date_holds(r, p, t)),
        PREFIX,
        st.sampled_from(DATES),
    )


def amounts() -> st.SearchStrategy[Asked]:
    def one(prefix: str, number: str, unit: str) -> Asked:
        text = f"{prefix}{number}" + (f"|{UCUM}|{unit}" if unit else "")
        return "value-quantity", text, lambda r: amount_holds(r, prefix, number, unit)

    return st.builds(one, PREFIX, st.sampled_from(VALUES).map(str), st.sampled_from(["", *GRAMS]))


def measures() -> st.SearchStrategy[Asked]:
    def one(code: str, amount: Asked, which: str) -> Asked:
        return which, f"{code}${amount[1]}", lambda r: code_holds(r, None, code) and amount[2](r)

    which = st.sampled_from(["code-value-quantity", "combo-code-value-quantity"])
    return st.builds(one, st.sampled_from(CODES), amounts(), which)


def people() -> st.SearchStrategy[Asked]:
    def of(n: int, name: str, form: str) -> Asked:
        return name, form.format(n), lambda r: r["subject"]["reference"] == f"Patient/p{n}"

    direct = st.builds(
        of, st.integers(0, 3), st.sampled_from(["patient", "subject"]), st.sampled_from(["p{}", "Patient/p{}"])
    )
    starts = st.sampled_from(["김", "김영", "영", "이", "mull", "zoe", "none"])
    chain = st.builds(
        lambda t, n: (n, t, lambda r: name_holds(r, t)),
        starts,
        st.sampled_from(["subject.name", "patient:Patient.name"]),
    )
    return direct | chain


def missing() -> st.SearchStrategy[Asked]:
    def one(value: bool) -> Asked:
        return "value-quantity:missing", str(value).lower(), lambda r: ("valueQuantity" not in r) is value

    return st.booleans().map(one)


ASKED = st.lists(codes() | dates() | amounts() | measures() | people() | missing(), max_size=3)
QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(ASKED)
@example(
    [
        ("code", "8480-6", lambda r: code_holds(r, None, "8480-6")),
        ("value-quantity", "gt1", lambda r: amount_holds(r, "gt", "1", "")),
    ]
)
def test_a_search_finds_what_the_rules_say(asked: list[Asked]) -> None:
    found = STORE.ids("Observation", *((name, value) for name, value, _ in asked), ("_count", "1000"))
    assert found == [r["id"] for r in OBSERVATIONS if all(holds(r) for _, _, holds in asked)]


KEYS = ["date", "-date", "code", "-value-quantity", "subject", "-_lastUpdated", "-_id"]
SORTS = st.lists(st.sampled_from(KEYS), max_size=3)


@QUICK
@given(ASKED, SORTS, st.integers(1, 40), st.sampled_from([query.PROBE, 3]))
def test_pages_hold_every_match_once_in_order(asked: list[Asked], sort: list[str], count: int, probe: int) -> None:
    pairs = [(name, value) for name, value, _ in asked] + ([("_sort", ",".join(sort))] if sort else [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "PROBE", probe)  # small: an order is walked along its index
        pages = STORE.pages("Observation", [*pairs, ("_count", str(count))])
        whole = STORE.ids("Observation", *pairs, ("_count", "1000"))
    assert [id for page in pages for id in page] == whole
    assert len(set(whole)) == len(whole)
    assert all(len(page) == count for page in pages[:-1])
    assert set(whole) == {r["id"] for r in OBSERVATIONS if all(holds(r) for _, _, holds in asked)}


@QUICK
@given(st.sampled_from(["date", "-date"]))
def test_an_order_is_by_the_value_with_none_at_the_end(sort: str) -> None:
    found = STORE.ids("Observation", ("_sort", sort), ("_count", "1000"))
    by = {r["id"]: when(r) for r in OBSERVATIONS}
    values = [by[id] for id in found]
    some = [v[0] for v in values if v is not None]
    assert values[len(some) :] == [None] * (len(values) - len(some))
    assert some == sorted(some, reverse=sort.startswith("-"))


def test_a_page_goes_on_after_its_last_row_though_others_come_and_go() -> None:
    store = Store().put(*(observation(f"o{n}", effectiveDateTime=f"2023-01-{1 + n:02d}") for n in range(20)))
    pairs = [("_sort", "-date"), ("_count", "5")]
    first = store.find("Observation", pairs)
    seen = [store.names[k] for k in first.matches]
    store.put(observation("new", effectiveDateTime="2024-01-01"))
    store.remove(f"Observation/{seen[-1]}")
    store.remove("Observation/o3")
    while first.next:
        first = store.find("Observation", [*pairs, ("_cursor", first.next)])
        seen += [store.names[k] for k in first.matches]
    assert seen == [f"o{n}" for n in reversed(range(20)) if n != 3]


WORDS = st.sampled_from(
    [*"|,$\\-.:%'* a김", "8480-6", "ge", "2023", "1e9", "Patient/", f"|{UCUM}|", "Observation:subject", "Patient/p1"]
)
TEXTS = st.lists(WORDS, max_size=6).map("".join) | st.text(max_size=12)
RESULTS = "_sort _include _revinclude _has _count _total _summary _cursor _elements _type _compartment".split()
MODIFIERS = " :missing :not :exact :contains :text :of-type :identifier :Patient :iterate :below :above".split(" ")
LINKS = [".name", ":Observation:patient:code", ".subject:Patient.name"]
CODED = st.sampled_from([*parameters()["Observation"], *parameters()["Location"], *RESULTS])
FUZZ = st.tuples(st.builds(str.__add__, CODED, st.sampled_from([*MODIFIERS, *LINKS])) | TEXTS, TEXTS)


def refused(kind: str | None, pairs: Pairs, reader: Reader = ROOM, **more: Any) -> Problem | None:
    """Return the refusal of a search, None where it is answered; nothing else may come of it."""
    try:
        STORE.find(kind, pairs, reader, **more)
    except Problem as problem:
        return problem
    return None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([None, "Observation", "Patient", "Location"]), st.lists(FUZZ, max_size=4), st.booleans())
@example("Location", [("near", "||||")], True)
@example("Observation", [("_sort", "")], True)
@example("Observation", [("value-quantity", "1e-300")], True)
def test_no_query_does_anything_but_answer_or_refuse(kind: str | None, pairs: Pairs, strict: bool) -> None:
    for reader in (ROOM, Reader("h", "organisation", "h")):
        problem = refused(kind, pairs, reader, strict=strict)
        assert problem is None or (problem.status == 400 and problem.detail)


@pytest.mark.parametrize(
    "pairs",
    [
        [("code", ",".join("x" * 400))],
        [("code", "x")] * 101,
        [("code", "x" * 5000)],
        [("code", "\0")],
        [("code", "\ud800")],
        [("subject.subject.subject.subject.subject.subject", "x")],
        [("_has:Observation:patient:" * 7 + "code", "x")],
        [("_sort", "date,code,subject,_id,status,category")],
    ],
)
def test_too_much_is_refused(pairs: Pairs) -> None:
    problem = refused("Observation", pairs)
    assert problem is not None
    assert problem.status == 400


GRANTS = st.lists(st.sampled_from([0, 1, 2, 3]), unique=True)
HOPS: list[tuple[str, Pairs]] = [
    ("Observation", []),
    ("Observation", [("_sort", "-date")]),
    ("Observation", [("subject.name", "김")]),
    ("Observation", [("code", "8480-6"), ("_include", "Observation:subject")]),
    ("Patient", [("_has:Observation:patient:code", "8480-6")]),
    ("Patient", [("_id", "p0,p1,p2,p3"), ("_revinclude", "Observation:patient")]),
]


@settings(max_examples=40, deadline=None)
@given(GRANTS, st.sampled_from(HOPS), st.sampled_from([query.PROBE, 3]))
def test_a_reader_is_told_of_nobody_who_does_not_let_them(
    granted: list[int], hop: tuple[str, Pairs], probe: int
) -> None:
    kind, pairs = hop
    STORE.db.execute("DELETE FROM grants")
    for n in granted:
        STORE.grant(f"p{n}", "hospital")
    STORE.grant("p0", "other")
    if 1 not in granted:
        STORE.grant("p1", "hospital", until=NOW - 1)
    allowed = {f"p{n}" for n in granted}
    asked = [*pairs, ("_count", "1000"), ("_total", "accurate")]
    of = {r["id"]: r["subject"]["reference"].removeprefix("Patient/") for r in OBSERVATIONS}
    of |= {f"p{n}": f"p{n}" for n in range(4)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(query, "PROBE", probe)
        found = STORE.find(kind, asked, Reader("h", "organisation", "hospital"))
        whole = STORE.find(kind, asked)
        alone = [STORE.find(kind, asked, Reader("c", "patient", f"p{n}")) for n in range(4)]
    assert {of[STORE.names[k]] for k in found.included} <= allowed
    assert found.matches == [k for k in whole.matches if of[STORE.names[k]] in allowed]
    assert found.total == len(found.matches)
    for n, one in enumerate(alone):
        assert {of[STORE.names[k]] for k in one.included} <= {f"p{n}"}
        assert one.matches == [k for k in whole.matches if of[STORE.names[k]] == f"p{n}"]


def test_a_chain_and_a_has_do_not_tell_of_what_is_hidden() -> None:
    store = Store().put(
        patient("mine", "김", "하나"),
        patient("hidden", "이", "둘"),
        observation("o", "Patient/mine", hasMember=[{"reference": "Observation/h"}]),
        observation("h", "Patient/hidden", code=coded("secret")),
    )
    mine, hidden = Reader("mine", "patient", "mine"), Reader("hidden", "patient", "hidden")
    for pair in (("has-member.code", "secret"), ("has-member.patient.name", "이"), ("has-member.code:not", "x")):
        assert store.ids("Observation", pair) == ["o"]
        assert store.ids("Observation", pair, reader=mine) == []
    pair = ("_has:Observation:has-member:status", "final")
    assert store.ids("Observation", pair) == ["h"]
    assert store.ids("Observation", pair, reader=hidden) == []
    assert store.find("Observation", [("_include", "*")], mine).included == [store.keys["Patient/mine"]]


@pytest.mark.parametrize("sort", ["given", "-given", "given,-birthdate", "-family,given"])
@pytest.mark.parametrize("probe", [query.PROBE, 1])
def test_several_values_sort_by_the_least_or_the_greatest_once(
    sort: str, probe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(sort)
    people = [
        {"resourceType": "Patient", "id": f"p{n}", "birthDate": chance.choice(DATES[:4]), "name": [{"given": given}]}
        for n, given in enumerate([chance.sample("abcdefg", chance.randrange(4)) for _ in range(30)])
    ]
    store = Store().put(*({k: v for k, v in p.items() if v != [{"given": []}]} for p in people))
    monkeypatch.setattr(query, "PROBE", probe)
    pages = store.pages("Patient", [("_sort", sort), ("_count", "4")])
    found = [id for page in pages for id in page]
    assert sorted(found) == sorted(p["id"] for p in people)
    if sort in ("given", "-given"):
        given = {p["id"]: p["name"][0]["given"] for p in people}
        values = [(max if sort[0] == "-" else min)(given[id]) for id in found if given[id]]
        assert values == sorted(values, reverse=sort[0] == "-")
        assert not any(given[id] for id in found[len(values) :])
