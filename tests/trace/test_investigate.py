"""A case's folder in, its results out: only what was approved, every result with the rows behind it."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from hanmaru.trace.cases.approval import Approval, sign
from hanmaru.trace.cases.records import Area, Period
from hanmaru.trace.cli import app
from hanmaru.trace.domain import TraceError
from hanmaru.trace.evidence import casedir, command, outputs, work
from hanmaru.trace.evidence.investigate import investigate
from tests.trace import small_town as town

KINDS = ("location", "cell-presence", "card", "transit", "checkin", "cctv")


@pytest.fixture(scope="module")
def results() -> dict:
    return investigate(town.inputs())


def test_the_day_is_found_with_its_places(results: dict) -> None:
    found = [(s["places"][0]["id"], s["start"][11:16], s["end"][11:16]) for s in results["stays"]]
    assert [place for place, *_ in found] == ["home", "work", "bistro", "home"]
    for stay, (start, end, _) in zip(results["stays"], town.DAY, strict=True):
        for said, true in ((stay["start"], start), (stay["end"], end)):
            off = datetime.fromisoformat(said).timestamp() - town.at(true)
            assert abs(off) <= 30 * 60  # a cell tells news every half hour, and half of the way lies in it
    assert all(s["places"][0]["probability"] > 0.8 for s in results["stays"])


def test_every_result_names_rows_that_are_there(results: dict) -> None:
    ids = {e["id"] for e in results["evidence"]}
    for stay in results["stays"]:
        assert stay["evidence"]
    named = [i for part in ("stays", "moves") for each in results[part] for i in each["evidence"]]
    named += [i for c in results["contacts"] for r in c["reasons"] for i in r["evidence"]]
    assert set(named) <= ids
    bistro = results["stays"][2]
    assert {"checkin:1", "card:1"} <= set(bistro["evidence"])
    assert {e["id"]: e["why"] for e in results["evidence"] if e["kind"] == "card"} == {
        "card:1": "paid-at",
        "card:2": "online",
        "card:3": "late-posting",
    }


def test_the_friend_at_the_restaurant_is_the_contact_the_stranger_is_not(results: dict) -> None:
    first = results["contacts"][0]
    assert first["subject"] == "P2"
    assert first["rank"] == 1
    reasons = {r["kind"]: r for r in first["reasons"]}
    assert reasons["checkin"]["other_evidence"] > 0
    assert "checkin:1" in reasons["checkin"]["evidence"]
    assert first["probability"] > max(
        (c["probability"] for c in results["contacts"] if c["subject"] == "P3"), default=0
    )


def test_moves_join_the_stays_and_their_paths_have_radii(results: dict) -> None:
    assert len(results["moves"]) == 3
    for move in results["moves"]:
        assert len(move["path"]) == len(move["radius_m"]) == len(move["times"]) >= 2
        assert (move["times"][0], move["times"][-1]) == (move["start"], move["end"])
        assert not move["gap"]


def test_a_phone_that_is_off_leaves_a_gap() -> None:
    rows = town.files()["phone.csv"].splitlines()
    kept = [rows[0], *(r for r in rows[1:] if not town.iso(17.9) < r.split(",")[1] < town.iso(21.0))]
    found = investigate(town.inputs(phone="\n".join(kept) + "\n", cards="", checkins=""))
    assert [move["gap"] for move in found["moves"]] == [False, True]
    assert [stay["gap"] for stay in found["stays"]] == [False, True, True]


def test_evidence_of_nobody_but_the_case_is_enough() -> None:
    for own in ({"phone": "", "checkins": ""}, {"phone": "subject,time,cell_id\n", "cards": "", "checkins": ""}):
        found = investigate(town.inputs(**own))
        assert found["version"] == 1
        json.dumps(found)


DAY = Period(datetime.fromtimestamp(town.MIDNIGHT, UTC), datetime.fromtimestamp(town.at(24), UTC))
SOON = datetime.now(UTC) + timedelta(days=1)
NEAR = Area(*town.degrees((0.0, 0.0)), 20_000)


def grant(folder: Path, key: OKPKey, name: str = "approval.jwt", **changed: object) -> Path:
    """Put a signed approval into a case's folder; return the public key's file."""
    start = datetime.fromtimestamp(town.MIDNIGHT, UTC)
    facts = {
        "request": "r-1",
        "case": "case-1",
        "subjects": ["P1", "P2"],
        "period": Period(start, start + timedelta(days=1)),
        "kinds": list(KINDS),
        "purpose": "tracing",
        "approved_by": ["police"],
        "expires": datetime.now(UTC) + timedelta(days=1),
    } | changed
    kinds, presence = facts["kinds"], ["cell-presence"]
    for file, some, area in (
        (name, [kind for kind in kinds if kind not in presence], facts.pop("area", None)),
        (name.replace(".jwt", "-near.jwt"), [kind for kind in kinds if kind in presence], NEAR),
    ):
        (folder / file).unlink(missing_ok=True)
        if some:
            text = sign(Approval(**{**facts, "kinds": some, "area": area}), key.as_dict(private=True))  # type: ignore[arg-type]
            (folder / file).write_text(text, "ascii")
    public = folder.parent / "authority.pem"
    public.write_bytes(key.as_pem(private=False))
    return public


@pytest.fixture(scope="module")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", private=True)


def taken(folder: Path, authority: Path) -> dict[str, int]:
    """Return what the folder's approvals let be refused."""
    case = casedir.case(folder)
    return dict(casedir.read(folder, case, command.approvals(folder, case, authority)).refused)


def test_an_approval_lets_its_case_through(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case")
    assert sum(taken(folder, grant(folder, key)).values()) == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"case": "case-2"}, "for case case-2"),
        ({"expires": datetime(2026, 1, 1, tzinfo=UTC)}, "expired"),
        ({"subjects": ["P9"]}, "names the subject P1"),
    ],
)
def test_another_cases_expired_or_other_peoples_approval_is_refused(
    tmp_path: Path, key: OKPKey, changed: dict, said: str
) -> None:
    folder = town.write(tmp_path / "case")
    with pytest.raises(TraceError, match=said):
        taken(folder, grant(folder, key, **changed))


def test_a_forged_or_missing_approval_is_refused(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case")
    with pytest.raises(TraceError, match=r"no approval\.jwt"):
        taken(folder, tmp_path / "authority.pem")
    public = grant(folder, OKPKey.generate_key("Ed25519", private=True))
    public.write_bytes(key.as_pem(private=False))
    with pytest.raises(TraceError, match="signature does not hold"):
        taken(folder, public)


def test_rows_beyond_the_approval_are_refused_and_counted(tmp_path: Path, key: OKPKey) -> None:
    text = town.files()
    strangers = town.phone("P7", town.STRANGER)
    folder = town.write(
        tmp_path / "case",
        phone_csv=text["phone.csv"] + strangers + f"P1,{town.iso(-1)},mast-1\nP1,noon,mast-1\n",
    )
    phone = len(text["phone.csv"].splitlines()) - 1
    refused = taken(folder, grant(folder, key))
    assert refused["out_of_scope"] == len(strangers.splitlines())
    assert (refused["out_of_period"], refused["unreadable"]) == (1, 1)
    no_cards = taken(folder, grant(folder, key, kinds=["location", "cell-presence", "checkin"]))
    assert no_cards["out_of_scope"] - refused["out_of_scope"] == 4
    half = datetime.fromtimestamp(town.at(12), UTC)
    morning = Period(datetime.fromtimestamp(town.MIDNIGHT, UTC), half)
    assert taken(folder, grant(folder, key, period=morning))["out_of_scope"] > refused["out_of_scope"] + phone / 3
    nobody_else = taken(folder, grant(folder, key, kinds=["location", "card", "checkin"], subjects=["P1"]))
    others = len(text["others/phone.csv"].splitlines()) - 1
    assert nobody_else["out_of_scope"] == refused["out_of_scope"] + others + 1  # and the check-in of one of them


def test_people_near_a_place_are_those_within_the_approvals_area(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case")
    others = len(town.files()["others/phone.csv"].splitlines()) - 1
    public = grant(folder, key, subjects=["P1"])
    assert taken(folder, public)["out_of_scope"] == 1, "the check-in of somebody whom no approval names"
    for area in (Area(*town.degrees((60_000.0, 0.0)), 20_000), None):
        facts = Approval("r-2", "case-1", ["P1"], DAY, ["cell-presence"], "tracing", ["police"], SOON, area)
        (folder / "approval-near.jwt").write_text(sign(facts, key.as_dict(private=True)), "ascii")
        assert taken(folder, public)["out_of_scope"] == others + 1, area


def test_own_rows_are_those_within_the_approvals_area_too(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case", others_phone_csv=None, others_checkins_csv=None)
    kinds = ["location", "card", "checkin"]
    every = sum(len(town.files()[name].splitlines()) - 1 for name in ("phone.csv", "cards.csv", "checkins.csv"))
    here, away = (Area(*town.degrees((x, 0.0)), 20_000) for x in (0.0, 60_000.0))
    assert taken(folder, grant(folder, key, kinds=kinds, area=here))["out_of_scope"] == 2, (
        "a shop nobody knows, one on the web"
    )
    assert taken(folder, grant(folder, key, kinds=kinds, area=away))["out_of_scope"] == every


def test_data_with_an_approval_is_nobodys_test_data(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case")
    grant(folder, key)
    refused = CliRunner().invoke(app, ["investigate", str(folder), "--test-data"])
    assert "leave out --test-data" in str(refused.exception)
    assert not (folder / "results").exists()


def test_several_approvals_add_up(tmp_path: Path, key: OKPKey) -> None:
    folder = town.write(tmp_path / "case")
    grant(folder, key, "approval-location.jwt", kinds=["location", "cell-presence"])
    public = grant(folder, key, "approval-cards.jwt", kinds=["card", "checkin"], request="r-2")
    assert sum(taken(folder, public).values()) == 0


def test_results_as_files_say_that_they_are_test_data(tmp_path: Path, results: dict) -> None:
    for test in (False, True):
        out = tmp_path / str(test)
        written = outputs.write(out, {**results, "test_data": test})
        assert [path.name for path in written] == [
            "stays.csv", "contacts.csv", "cameras.csv", "moves.geojson", "hotspots.geojson", "results.json",
        ]  # fmt: skip
        for path in written:
            assert path.stat().st_mode & 0o077 == 0
            if path.suffix == ".csv":
                rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
                assert rows
                assert all((row.get("test_data") == "true") == test for row in rows)
            else:
                assert (json.loads(path.read_text("utf-8")).get("test_data") is True) == test
    first = next(iter(csv.DictReader((out / "stays.csv").read_text("utf-8").splitlines())))
    assert (first["subject"], first["place_id"]) == ("P1", "home")
    assert datetime.fromisoformat(first["start"]).tzinfo is not None


def test_the_command_needs_an_approval_and_marks_test_data(tmp_path: Path) -> None:
    folder = town.write(tmp_path / "case")
    refused = CliRunner().invoke(app, ["investigate", str(folder)])
    assert isinstance(refused.exception, TraceError)
    assert "--test-data" in str(refused.exception)
    assert not (folder / "results").exists()
    done = CliRunner().invoke(app, ["investigate", str(folder), "--test-data", "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["test_data"]
    assert summary["counts"]["stays"] == 4
    assert "report-ko.pdf" in summary["files"] or "font" in summary["warnings"][0]
    assert {"reading", "stays", "contacts", "total"} <= set(summary["seconds"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"case_toml": None}, "no case.toml"),
        ({"case_toml": 'id = "x"'}, "period"),
        ({"case_toml": 'id = "x"\nperiod = { start = 2026-03-02T00:00:00, end = 2026-03-03 }'}, "with a zone"),
        ({"case_toml": 'id = "x"\nperiod = { start = 2026-03-02, end = 2026-03-03 }'}, "with a zone"),
        ({"case_toml": "id = "}, "case.toml"),
        ({"phone_csv": "subject,time\n"}, None),
        ({"phone_csv": "who,when\nP1,now\n"}, "lacks the column subject"),
        ({"places_csv": "place_id,lat,lon\na,91,0\n"}, None),
        ({"cells_csv": None, "places_csv": None, "merchants_csv": None, "cameras_csv": None}, "nothing says where"),
    ],
)
def test_a_folder_that_is_wrong_says_what_is(tmp_path: Path, changed: dict, said: str | None) -> None:
    folder = town.write(tmp_path / "case", **changed)

    def run() -> None:
        case = casedir.case(folder)
        investigate(casedir.read(folder, case, None, test_data=True))

    if said is None:
        run()
    else:
        with pytest.raises(TraceError, match=said):
            run()


def test_the_whole_is_a_function_of_its_inputs() -> None:
    a, b = work.work_out(town.inputs()), work.work_out(town.inputs())
    assert np.array_equal(a.visits.x_m, b.visits.x_m)
    assert np.array_equal(a.pairs.probability, b.pairs.probability)
