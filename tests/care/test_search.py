"""Each type of search parameter, modifier, hop and result, by example."""

from typing import Any

import pytest

from hanmaru.care.fhir import query
from hanmaru.care.fhir.dates import bounds
from hanmaru.care.fhir.quantities import unit
from hanmaru.care.fhir.strings import folded
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem
from tests.care.searching import LOINC, NOW, ROOM, SECRET, UCUM, Store, coded, observation, patient, quantity

MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


@pytest.fixture(scope="module")
def store() -> Store:
    return Store().put(
        patient("kim", "김", "민준", gender="male", birthDate="1970-03-01", active=True),
        patient(
            "lee",
            "이",
            "영희",
            gender="female",
            birthDate="1982-11",
            generalPractitioner=[{"reference": "Practitioner/park"}],
            identifier=[{"system": "urn:number", "value": "A,1|2$3\\4", "type": MR}],
            telecom=[{"system": "phone", "value": "010-1234-5678", "use": "mobile"}],
        ),
        patient("zoe", "Müller", "Zoë Anne-Marie", link=[{"other": {"reference": "Patient/kim"}, "type": "seealso"}]),
        {"resourceType": "Practitioner", "id": "park", "name": [{"family": "Park"}]},
        {"resourceType": "Organization", "id": "centre", "name": "세종 건강센터"},
        observation(
            "weight",
            code=coded("29463-7", display="Body weight"),
            effectiveDateTime="2023-03-28",
            valueQuantity=quantity(80.5, "kg"),
            performer=[{"reference": "Practitioner/park"}],
            meta={"tag": [{"system": "urn:tag", "code": "kiosk"}], "profile": ["urn:profile/weight"]},
        ),
        observation(
            "pressure",
            code=coded("85354-9"),
            effectiveDateTime="2023-03-28T09:15:00+09:00",
            component=[
                {"code": coded("8480-6"), "valueQuantity": quantity(150, "mm[Hg]")},
                {"code": coded("8462-4"), "valueQuantity": quantity(95, "mm[Hg]")},
            ],
            hasMember=[{"reference": "Observation/weight/_history/2"}],
        ),
        observation(
            "own",
            "Patient/lee",
            status="amended",
            code={"text": "걷기 Walking"},
            effectivePeriod={"start": "2023-01-01"},
            valueString="Très bien",
            device={"identifier": {"system": "urn:serial", "value": "77"}},
        ),
        observation(
            "low",
            "Patient/lee",
            code=coded("29463-7", system=None),
            effectiveDateTime="2023-03-29T00:30:00+09:00",
            valueQuantity=quantity(0.5, "kg", comparator="<"),
        ),
        {
            "resourceType": "Questionnaire",
            "id": "q",
            "url": "http://hanmaru/q/smoking",
            "title": "Smoking",
            "status": "active",
        },
        {
            "resourceType": "QuestionnaireResponse",
            "id": "qr",
            "status": "completed",
            "questionnaire": "http://hanmaru/q/smoking|2",
            "subject": {"reference": "Patient/lee"},
        },
        {"resourceType": "RiskAssessment", "id": "risk", "prediction": [{"probabilityDecimal": 0.147}]},
    )


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("code", "29463-7", "weight low"),
        ("code", f"{LOINC}|29463-7", "weight"),
        ("code", "|29463-7", "low"),
        ("code", f"{LOINC}|", "weight pressure"),
        ("code", "85354-9,29463-7", "weight pressure low"),
        ("code", "BODY", ""),
        ("code:text", "body", "weight"),
        ("code:text", "걷기", "own"),
        ("code:not", "29463-7", "pressure own"),
        ("code:missing", "true", ""),
        ("component-code", "8480-6", "pressure"),
        ("combo-code", "8480-6,29463-7", "weight pressure low"),
        ("status", "amended", "own"),
        ("_tag", "urn:tag|kiosk", "weight"),
        ("_tag:not", "kiosk", "pressure own low"),
        ("_profile", "urn:profile/weight", "weight"),
        ("_profile:below", "urn:pro", "weight"),
        ("_profile:missing", "true", "pressure own low"),
        ("_id", "weight,own,none", "weight own"),
        ("_id:not", "weight", "pressure own low"),
    ],
)
def test_tokens_and_addresses(store: Store, parameter: str, value: str, found: str) -> None:
    assert store.ids("Observation", (parameter, value)) == found.split()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2023-03-28", "weight pressure"),
        ("2023-03-28T09:15+09:00", "pressure"),
        ("2023-03-28T00:15:00Z", "pressure"),
        ("2023-03", "weight pressure low"),
        ("ne2023-03-28", "own low"),
        ("gt2023-03-28", "own low"),
        ("ge2023-03-28", "weight pressure own low"),
        ("lt2023-03-28", "own"),
        ("le2023-03-28", "weight pressure own"),
        ("sa2023-03-28", "low"),
        ("eb2023-03-29", "weight pressure"),
        ("ap2023-03-28", "weight pressure own low"),
        ("gt2024", "own"),
        ("2021,2023-03-29", "low"),
    ],
)
def test_dates_are_ranges_in_the_citys_zone(store: Store, value: str, found: str) -> None:
    assert store.ids("Observation", ("date", value)) == found.split()


def test_repeated_parameters_must_all_hold(store: Store) -> None:
    assert store.ids("Observation", ("date", "ge2023-03-28T09:00:00+09:00"), ("date", "lt2023-03-29")) == [
        "weight",
        "pressure",
        "own",
    ]


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("value-quantity", "80.5", "weight"),
        ("value-quantity", "81", "weight"),  # 80.5 ≤ v < 81.5
        ("value-quantity", "80", ""),
        ("value-quantity", "80500||g", ""),
        ("value-quantity", "80.5||kg", "weight"),
        ("value-quantity", f"80500|{UCUM}|g", "weight"),
        ("value-quantity", f"gt80499.9|{UCUM}|g", "weight"),
        ("value-quantity", f"ge177|{UCUM}|[lb_av]", "weight"),
        ("value-quantity", f"sa80.5|{UCUM}|kg", ""),
        ("value-quantity", f"80500.0|{UCUM}|mm[Hg]", ""),
        ("value-quantity", "ap75||kg", "weight"),
        ("value-quantity", "ne80.5", "low"),
        ("value-quantity", "lt0.1||kg", "low"),  # "less than 0.5"
        ("component-value-quantity", f"ge20|{UCUM}|kPa", ""),
        ("component-value-quantity", f"ge19.99|{UCUM}|kPa", "pressure"),
        ("combo-value-quantity", "gt80", "weight pressure"),
        ("code-value-quantity", f"{LOINC}|29463-7$gt80", "weight"),
        ("code-value-quantity", "29463-7$lt1,29463-7$80.5||kg", "weight low"),
        ("component-code-value-quantity", "8480-6$gt140", "pressure"),
        ("component-code-value-quantity", "8462-4$gt140", ""),
        ("combo-code-value-quantity", "8462-4$lt140", "pressure"),
        ("combo-code-value-quantity", f"29463-7$80.5|{UCUM}|kg", "weight"),
        ("combo-code-value-quantity:missing", "true", "own"),
        ("value-string", "tres", "own"),
        ("value-string:exact", "Tres bien", ""),
        ("value-string:exact", "Très bien", "own"),
        ("value-string:contains", "BIEN", "own"),
    ],
)
def test_quantities_composites_and_strings(store: Store, parameter: str, value: str, found: str) -> None:
    assert store.ids("Observation", (parameter, value)) == found.split()


def test_numbers() -> None:
    store = Store().put({"resourceType": "RiskAssessment", "id": "r", "prediction": [{"probabilityDecimal": 0.147}]})
    assert store.ids("RiskAssessment", ("probability", "gt0.1")) == ["r"]
    assert store.ids("RiskAssessment", ("probability", "0.15")) == ["r"]
    assert store.ids("RiskAssessment", ("probability", "0.150")) == []
    assert store.ids("RiskAssessment", ("probability", "1.5e-1")) == ["r"]


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("name", "김", "kim"),
        ("name", "김민", "kim"),
        ("name:contains", "영", "lee"),
        ("name", "민준", "kim"),
        ("family", "muller", "zoe"),
        ("family", "MÜLL", "zoe"),
        ("family:exact", "Muller", ""),
        ("given:contains", "anne", "zoe"),
        ("identifier", "A\\,1\\|2\\$3\\\\4", "lee"),
        ("identifier", "urn:number|A\\,1\\|2\\$3\\\\4", "lee"),
        ("identifier:of-type", f"{MR['coding'][0]['system']}|MR|A\\,1\\|2\\$3\\\\4", "lee"),
        ("phone", "010-1234-5678", "lee"),
        ("birthdate", "lt1975", "kim"),
        ("birthdate", "1982", "lee"),
        ("gender:missing", "true", "zoe"),
        ("gender:missing", "false", "kim lee"),
        ("active", "true", "kim"),
        ("general-practitioner", "park", "lee"),
        ("general-practitioner.name", "park", "lee"),
        ("link", "Patient/kim", "zoe"),
        ("_has:Observation:patient:code", "29463-7", "kim lee"),
        ("_has:Observation:subject:component-code", "8480-6", "kim"),
        ("_has:Observation:patient:_has:Observation:has-member:code", "85354-9", "kim"),
    ],
)
def test_people(store: Store, parameter: str, value: str, found: str) -> None:
    assert store.ids("Patient", (parameter, value)) == found.split()


@pytest.mark.parametrize(
    ("parameter", "value", "found"),
    [
        ("patient", "kim", "weight pressure"),
        ("patient", "Patient/kim", "weight pressure"),
        ("subject", "https://here/fhir/R4/Patient/kim", "weight pressure"),
        ("subject:Patient", "kim", "weight pressure"),
        ("subject:Group", "kim", ""),
        ("subject", "kim,lee", "weight pressure own low"),
        ("has-member", "Observation/weight", "pressure"),
        ("has-member", "Observation/weight/_history/2", "pressure"),
        ("has-member", "Observation/weight/_history/3", ""),
        ("device:identifier", "urn:serial|77", "own"),
        ("device:missing", "false", "own"),
        ("subject.name", "김", "weight pressure"),
        ("subject:Patient.family", "이", "own low"),
        ("patient.gender", "male", "weight pressure"),
        ("patient.general-practitioner.name", "Park", "own low"),
        ("patient:Patient.general-practitioner:Practitioner._id", "park", "own low"),
        ("has-member.code", "29463-7", "pressure"),
    ],
)
def test_references_and_chains(store: Store, parameter: str, value: str, found: str) -> None:
    pairs = [(parameter, value)]
    plan = query.compile("Observation", pairs, ROOM, NOW, base="https://here/fhir/R4")
    assert [store.names[k] for k in query.search(store.db, plan, pairs, SECRET).matches] == found.split()


def test_canonicals_are_found_with_and_without_their_version(store: Store) -> None:
    for value, found in (("http://hanmaru/q/smoking", ["qr"]), ("http://hanmaru/q/smoking|2", ["qr"])):
        assert store.ids("QuestionnaireResponse", ("questionnaire", value)) == found
    assert store.ids("QuestionnaireResponse", ("questionnaire", "http://hanmaru/q/smoking|1")) == []
    assert store.ids("QuestionnaireResponse", ("questionnaire.title", "smok")) == ["qr"]
    found = store.find("QuestionnaireResponse", [("_include", "QuestionnaireResponse:questionnaire")])
    assert [store.names[k] for k in found.included] == ["q"]
    found = store.find("Questionnaire", [("_revinclude", "QuestionnaireResponse:questionnaire")])
    assert [store.names[k] for k in found.included] == ["qr"]


def test_includes(store: Store) -> None:
    def included(kind: str, *pairs: tuple[str, str]) -> set[str]:
        return {store.names[key] for key in store.find(kind, pairs).included}

    assert included("Observation", ("_id", "weight"), ("_include", "Observation:subject")) == {"kim"}
    assert included("Observation", ("_id", "weight"), ("_include", "Observation:subject:Group")) == set()
    assert included("Observation", ("_id", "weight"), ("_include", "Observation:*")) == {"kim", "park"}
    assert included("Observation", ("_id", "own"), ("_include", "*")) == {"lee"}
    chain = [("_include", "Observation:has-member"), ("_include:iterate", "Observation:performer")]
    assert included("Observation", ("_id", "pressure"), *chain) == {"weight", "park"}
    assert included("Patient", ("_id", "kim"), ("_revinclude", "Observation:patient")) == {"weight", "pressure"}
    assert included(
        "Patient", ("_id", "kim"), ("_revinclude", "Observation:patient"), ("_include", "Patient:link")
    ) == {
        "weight",
        "pressure",
    }


def test_sorting_puts_what_has_no_value_last(store: Store) -> None:
    def sorted_by(kind: str, sort: str) -> list[str]:
        return store.ids(kind, ("_sort", sort))

    assert sorted_by("Patient", "birthdate") == ["kim", "lee", "zoe"]
    assert sorted_by("Patient", "-birthdate") == ["lee", "kim", "zoe"]
    assert sorted_by("Observation", "date") == ["own", "weight", "pressure", "low"]
    assert sorted_by("Observation", "-date") == ["low", "pressure", "weight", "own"]
    assert sorted_by("Observation", "subject,-_id") == ["weight", "pressure", "own", "low"]
    assert sorted_by("Observation", "-value-quantity") == ["weight", "low", "own", "pressure"]
    assert sorted_by("Observation", "-_lastUpdated") == ["low", "own", "pressure", "weight"]
    assert sorted_by("Observation", "_id") == ["low", "own", "pressure", "weight"]


def test_totals_summaries_and_elements(store: Store) -> None:
    assert store.find("Observation", []).total is None
    assert store.find("Observation", [("_count", "2"), ("_total", "accurate")]).total == 4
    assert store.find("Observation", [("code", "29463-7"), ("_total", "estimate")]).total == 2
    found = store.find("Observation", [("_summary", "count")])
    assert (found.matches, found.total, found.next) == ([], 4, None)
    assert store.find("Observation", [("_count", "0")]).total == 4
    found = store.find("Observation", [("_elements", "code,status"), ("_summary", "true")])
    assert (found.elements, found.summary) == (("code", "status"), "true")


def test_all_types_at_once(store: Store) -> None:
    assert store.ids(None, ("_id", "kim,weight,centre")) == ["kim", "centre", "weight"]
    assert store.ids(None, ("_type", "Organization,Practitioner")) == ["park", "centre"]
    assert store.ids(None, ("_tag", "kiosk")) == ["weight"]
    assert store.ids(None, ("_compartment", "Patient/kim"), ("_type", "Observation")) == ["weight", "pressure"]
    assert store.ids("Observation", ("_compartment", "Patient/lee")) == ["own", "low"]
    with pytest.raises(Problem, match="no search parameter"):
        store.find(None, [("code", "x")])


def test_near() -> None:
    def place(id: str, latitude: float, longitude: float) -> dict[str, Any]:
        return {"resourceType": "Location", "id": id, "position": {"latitude": latitude, "longitude": longitude}}

    store = Store().put(
        place("hall", 36.4800, 127.2890), place("joch", 36.6011, 127.2977), {"resourceType": "Location", "id": "x"}
    )
    assert store.ids("Location", ("near", "36.48|127.29|1|km")) == ["hall"]
    assert store.ids("Location", ("near", "36.48|127.29|20000|m")) == ["hall", "joch"]
    assert store.ids("Location", ("near", "36.48|127.29")) == ["hall"]
    with pytest.raises(Problem, match="near"):
        store.find("Location", [("near", "here")])


def test_a_new_version_and_a_deletion_are_seen_at_once() -> None:
    store = Store().put(observation("1", code=coded("a")), observation("2", code=coded("a")))
    store.put(observation("1", code=coded("b")))
    assert store.ids("Observation", ("code", "a")) == ["2"]
    assert store.ids("Observation", ("code", "b")) == ["1"]
    store.remove("Observation/2")
    assert store.ids("Observation") == ["1"]
    left = {
        t: store.db.execute(f"SELECT count(*) FROM ix.{t} WHERE key = 2").fetchone() for t in ("token", "reference")
    }
    assert set(left.values()) == {(0,)}


@pytest.mark.parametrize(
    ("kind", "name", "value", "says"),
    [
        ("Observation", "colour", "red", "no search parameter"),
        ("Observation", "date", "yesterday", "needs a date"),
        ("Observation", "date", "2023-02-30", "needs a date"),
        ("Observation", "value-quantity", "heavy", "needs a number"),
        ("Observation", "value-quantity", "1|2", "needs a number"),
        ("Observation", "code:in", "http://valueset", "does not take"),
        ("Observation", "code", "", "needs a value"),
        ("Observation", "code.display", "x", "no reference"),
        ("Observation", "subject.colour", "x", "no search parameter"),
        ("Observation", "subject:Colour.name", "x", "no type"),
        ("Observation", "code-value-quantity", "8480-6", "2 parts"),
        ("Observation", "_has:x", "y", "_has is written"),
        ("Observation", "_include", "Observation:colour", "no reference"),
        ("Observation", "_include", "nonsense", "is written"),
        ("Observation", "_sort", "colour", "cannot be sorted"),
        ("Observation", "_count", "-1", "_count"),
        ("Observation", "_total", "perhaps", "_total is one of"),
        ("Observation", "_cursor", "AAAA", "not of this search"),
        ("Observation", "_contained", "true", "no search parameter"),
        ("Observation", "_text", "x", "no search parameter"),
        ("Nonsense", "_id", "x", "no resource type"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_what_to_do(
    store: Store, kind: str, name: str, value: str, says: str
) -> None:
    with pytest.raises(Problem, match=says) as refused:
        store.find(kind, [(name, value)])
    assert refused.value.status == 400
    assert value == "" or name.startswith("_") or value not in refused.value.detail


def test_lenient_leaves_out_what_is_not_known_and_says_so(store: Store) -> None:
    found = store.find("Observation", [("colour", "red"), ("code", "85354-9")], strict=False)
    assert [store.names[k] for k in found.matches] == ["pressure"]
    assert found.ignored == ("colour",)


def test_a_cursor_is_of_its_search_and_reader(store: Store) -> None:
    asked = [("_count", "1"), ("_sort", "-date")]
    cursor = store.find("Observation", asked).next
    assert cursor
    assert "2023" not in cursor
    with pytest.raises(Problem, match="not of this search"):
        store.find("Observation", [("_sort", "date"), ("_cursor", cursor)])
    with pytest.raises(Problem, match="not of this search"):
        store.find("Observation", [*asked, ("_cursor", cursor)], Reader("kim", "patient", "kim"))


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2023", "2022-12-31T15:00:00Z", "2023-12-31T15:00:00Z"),
        ("2024-02", "2024-01-31T15:00:00Z", "2024-02-29T15:00:00Z"),
        ("2023-12-31", "2023-12-30T15:00:00Z", "2023-12-31T15:00:00Z"),
        ("2023-01-01T09:00", "2023-01-01T00:00:00Z", "2023-01-01T00:01:00Z"),
        ("2023-01-01T09:00:00+09:00", "2023-01-01T00:00:00Z", "2023-01-01T00:00:01Z"),
        ("2023-01-01T00:00:00.5Z", "2023-01-01T00:00:00.500000Z", "2023-01-01T00:00:00.600000Z"),
    ],
)
def test_what_a_date_stands_for(text: str, first: str, after: str) -> None:
    def at(iso: str) -> int:
        range = bounds(iso)
        assert range
        return range[0]

    assert bounds(text) == (at(first), at(after))


def test_units_in_base_units() -> None:
    for a, b in (
        ("mg/dL", "10*-2.g/L"),
        ("mm[Hg]", "0.1333220.kPa"),
        ("{beats}/min", "/min"),
        ("m[H2O]", "9.80665.kPa"),
    ):
        assert unit(a) == unit(b) or "." in b  # decimals are no UCUM
    pound, gram = unit("[lb_av]"), unit("g")
    assert pound
    assert gram
    assert float(pound.factor / gram.factor) == 453.59237
    assert unit("mm[Hg]") != unit("m[Hg]")
    assert unit("U/L") != unit("[iU]/L")
    assert unit("parsnip") is None
    assert unit("(" * 30) is None


def test_folding_keeps_whole_syllables() -> None:
    assert folded("  ÉCOLE  Ａ") == "ecole a"
    assert folded("김민준") == "김민준"
    assert not folded("김").startswith(folded("기"))
