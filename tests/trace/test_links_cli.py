"""``hanmaru trace links`` on files, as people's scripts call it."""

import csv
import json
import os
import random
from pathlib import Path

import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hanmaru.trace.attributes import read_cases, states_source, with_contacts, with_visits
from hanmaru.trace.cli import app
from hanmaru.trace.domain import TraceError
from hanmaru.trace.links_command import likeliest

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "outbreaks"
CASES = """case_id,onset,family_ID,class,x_loc,y_loc,age,infector
a,2020-03-01,f1,1,0,0,7,
b,2020-03-12,f1,1,0,0,6,a
c,2020-03-12,f2,1,50,10,7,a
d,2020-03-24,f2,0,50,10,3,c
"""


def write(folder: Path, text: str, name: str = "cases.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["links", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as lines:
        return list(csv.DictReader(lines))


def test_the_output_ranks_every_plausible_source(tmp_path):
    out = tmp_path / "links.csv"
    summary = json.loads(run(write(tmp_path, CASES), "--disease", "measles", "--out", out, "--json"))
    found = rows(out)
    assert list(found[0]) == ["infectee", "infector", "probability", "rank"]
    best = {row["infectee"]: row["infector"] for row in found if row["rank"] == "1"}
    assert best == {"a": "imported", "b": "a", "c": "a", "d": "c"}
    for case in "abcd":
        assert sum(float(row["probability"]) for row in found if row["infectee"] == case) == pytest.approx(1)
    assert summary["disease"] == "measles"
    assert set(summary["unread"]) == {"infector", "age"}


def test_columns_that_state_a_source_change_nothing(tmp_path):
    """Dropped, scrambled or lying: neither the links nor the disease depend on them."""
    stated = (
        "infector infected_by infection_source Infection_source infection_case infection_order source generation"
        " cluster cluster_id edge1 edge2 parent source_city infector_class infection_place 감염경로 감염원 집단 notes"
    ).split()
    assert all(states_source(name) for name in stated)
    plain = [line.rsplit(",", 1)[0] for line in CASES.splitlines()]
    expected = run(write(tmp_path, "\n".join(plain) + "\n"), "--out", "-").splitlines()
    lies = random.Random(3)
    header = ",".join([plain[0], *stated])
    body = [",".join([line, *(lies.choice("abcd") for _ in stated)]) for line in plain[1:]]
    lied = run(write(tmp_path, "\n".join([header, *body]) + "\n"), "--out", "-").splitlines()
    assert [line for line in lied if "read" not in line] == [line for line in expected if "read" not in line]


@pytest.mark.parametrize(
    "name", ["start_source", "end_source", "family_ID", "class", "city", "x_loc", "onset", "school"]
)
def test_columns_of_a_known_meaning_are_not_taken_for_sources(name):
    assert not states_source(name)


def test_missing_onsets_are_dated_by_the_report_and_undated_cases_left_out(tmp_path):
    file = read_cases(write(tmp_path, "case_id,onset,confirmed_date\na,2020-03-01,2020-03-05\nb,,2020-03-09\nc,NA,\n"))
    assert file.ids == ["a", "b"]
    assert file.cases.reported.tolist() == [False, True]
    assert "1 cases" in file.warnings[0]


def test_towns_are_told_apart_by_their_region_and_classes_by_their_school(tmp_path):
    places = ["P,Jung,S,1", "Q,Jung,T,1", "P,Jung,S,1", "P,Nam,S,2", "Q,Buk,T,1"]
    body = "\n".join(f"{i},2020-03-0{i + 1},{place}" for i, place in enumerate(places))
    text = f"case_id,onset,province,city,school,class\n{body}\n"
    groups = {group.name: group.code.tolist() for group in read_cases(write(tmp_path, text)).cases.groups}
    assert groups["city"][0] == groups["city"][2] != groups["city"][1]
    assert groups["class"][0] == groups["class"][2] != groups["class"][1]


def test_parquet_is_read_and_written_as_csv_is(tmp_path):
    path = write(tmp_path, CASES)
    pq.write_table(arrow_csv.read_csv(path), tmp_path / "cases.parquet")
    run(path, "--out", tmp_path / "one.csv")
    run(tmp_path / "cases.parquet", "--out", tmp_path / "two.parquet")
    other = pq.read_table(tmp_path / "two.parquet").to_pylist()
    assert [(row["infectee"], row["infector"], row["rank"]) for row in other] == [
        (row["infectee"], row["infector"], int(row["rank"])) for row in rows(tmp_path / "one.csv")
    ]


def test_visits_and_contact_pairs_are_taken_in(tmp_path):
    cases = write(tmp_path, "case_id,onset\na,2020-03-01\nb,2020-03-01\nc,2020-03-06\n")
    visits = write(
        tmp_path,
        "subject,date,lat,lon,type\nb,2020-03-02,36.5,127.3,cafe\nc,2020-03-02,36.5,127.3,cafe\nz,2020-03-02,36.5,127.3,bar\n",
        "visits.csv",
    )
    file = with_visits(read_cases(cases), visits)
    (met,) = file.cases.encounters
    assert (met.kind, met.a.tolist(), met.b.tolist()) == ("visit", [1], [2])
    assert "1 visits" in file.warnings[0]
    pairs = write(tmp_path, "case_id,contact_id,date\na,c,2020-03-02\na,q,\n", "pairs.csv")
    assert with_contacts(file, pairs).cases.encounters[1].a.tolist() == [0]
    best = {}
    for name, extra in (("none", ()), ("visits", ("--visits", visits)), ("contacts", ("--contacts", pairs))):
        out = tmp_path / f"{name}.csv"
        run(cases, *extra, "--disease", "covid-19", "--out", out)
        best[name] = {row["infector"]: float(row["probability"]) for row in rows(out) if row["infectee"] == "c"}
    assert best["visits"]["b"] > best["none"]["b"]
    assert best["contacts"]["a"] > best["none"]["a"]


def test_two_cases_of_a_household_do_not_tell_the_disease(tmp_path: Path):
    """On one day, both were infected together, whatever it is; measles in a household may not be the guess."""
    path = write(tmp_path, "case_id,onset,family\na,2020-03-01,x\nb,2020-03-01,x\nc,2020-03-01,y\n")
    assert likeliest(read_cases(path).cases) == "covid-19"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("case_id,date\na,2020-03-01\n", "lacks the column onset"),
        ("case_id,onset\na,01/03/2020\n", "row 2, column onset"),
        ("case_id,onset\na,2020-03-01T10:00\n", "has no zone"),
        ("case_id,onset\na,2020-03-01\na,2020-03-02\n", "is there twice"),
        ("case_id,onset\n,2020-03-01\n", "case_id is empty"),
        ("case_id,onset\nimported,2020-03-01\n", "row 2: imported is what"),
        ("case_id,onset,lat,lon\na,2020-03-01,95,127\n", "column lat"),
        ("case_id,onset,start_source,end_source\na,2020-03-01,2020-02-20,2020-02-10\n", "ends before it begins"),
        ("case_id,onset\na,2020-03-01,extra\n", "row 2"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, said):
    with pytest.raises(TraceError, match=said):
        read_cases(write(tmp_path, text))


@pytest.mark.skipif(not DATA.is_dir(), reason="the outbreaks are not at HANMARU_TEST_DATA")
def test_hagelloch_is_known_for_measles_and_mostly_solved(tmp_path):
    """Household, class and place must more than double what onsets alone find; nobody says that it is measles."""
    with (DATA / "measles_hagelloch_1861.csv").open() as lines:
        people = list(csv.DictReader(lines))
    columns = {"case_ID": "case_id", "date_of_prodrome": "onset", "family_ID": "family_ID", "class": "class"}
    columns |= {"x_loc": "x_loc", "y_loc": "y_loc"}
    text = "\n".join([",".join(columns.values()), *(",".join(row[key] for key in columns) for row in people)])
    path, out = write(tmp_path, text), tmp_path / "links.csv"
    assert likeliest(read_cases(path).cases) == "measles"
    run(path, "--out", out)
    truth = {row["case_ID"]: row["infector"] for row in people if row["infector"] in {r["case_ID"] for r in people}}
    rank = {(row["infectee"], row["infector"]): int(row["rank"]) for row in rows(out)}
    ranks = [rank.get(pair, 999) for pair in truth.items()]
    assert sum(r == 1 for r in ranks) / len(ranks) > 0.6
    assert sum(r <= 5 for r in ranks) / len(ranks) > 0.85
