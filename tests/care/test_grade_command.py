"""``hanmaru care grade``: files of visits as people send them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hanmaru.care import grade_command, screening_file
from hanmaru.care.cli import app
from hanmaru.care.domain import CareError
from hanmaru.care.rules.catalogue import RULES, grade, one
from hanmaru.care.screening_file import column_of

KOREAN = """이름,나이,성별,키,체중(kg),수축기 혈압,이완기 혈압,허리둘레,흡연
김,70,여,155,60,145,80,88,예
이,40,남,172,1700,190,100,,아니오
박,마흔,1,170,70,120,130,,
최,40
"정, 1",40,M,170,70,120,70,80,x
"""


def graded(source: Path, text: str | bytes, *options: str) -> tuple[list[dict[str, str]], dict[str, object]]:
    """What the command writes and tells of a file with this content."""
    source.write_bytes(text.encode() if isinstance(text, str) else text)
    out = source.with_name("out.csv")
    done = CliRunner().invoke(app, ["grade", str(source), "--out", str(out), "--json", *options])
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines)), json.loads(done.stdout)


def test_korean_headers_and_bad_rows_cost_nothing_else(tmp_path: Path) -> None:
    rows, told = graded(tmp_path / "검진.csv", KOREAN)
    assert [row["이름"] for row in rows] == ["김", "이", "박", "최", "정, 1"]
    assert [row["level"] for row in rows] == ["act", "urgent", "", "", "watch"]
    assert [row["flags"] for row in rows] == [
        "",
        "weight_kg=impossible",
        "age_years=unreadable sex=unreadable sbp_mmhg=impossible dbp_mmhg=impossible",
        "row=unreadable",
        "",
    ]
    assert (rows[0]["bp.ksh-2022:class"], rows[0]["bmi.ksso-2022"]) == ("grade-1", "24.974")
    assert (rows[1]["bp.urgent:class"], rows[1]["bmi.ksso-2022:class"]) == ("urgent", "")
    assert told["visits"] == 5
    assert told["passed_on"] == ["이름"]
    assert told["columns"] == dict(
        zip(
            KOREAN.splitlines()[0].split(",")[1:],
            [*("age_years", "sex", "height_cm", "weight_kg", "sbp_mmhg", "dbp_mmhg", "waist_cm", "smoker")],
            strict=True,
        )
    )
    assert told["first_problems"] == [
        {"row": 4, "column": "나이", "message": "'마흔' is not a number; taken as not known"},
        {"row": 4, "column": "성별", "message": "'1' is not male or female (남, 여); taken as not known"},
        {"row": 5, "column": "", "message": "2 cells where the header has 9; not graded"},
    ]


def test_a_file_in_the_korean_code_page_reads_the_same(tmp_path: Path) -> None:
    assert graded(tmp_path / "a.csv", KOREAN.encode("cp949"))[0] == graded(tmp_path / "b.csv", KOREAN)[0]


def test_a_file_is_graded_as_its_people_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening_file, "BLOCK", 7)
    chance = np.random.default_rng(5)
    people = [
        {
            "age_years": str(age),
            "sex": ("male", "female")[age % 2],
            "sbp_mmhg": str(sbp),
            "dbp_mmhg": "80",
            "bmi": "24.9",
        }
        for age, sbp in zip(chance.integers(19, 90, 30).tolist(), chance.integers(90, 200, 30).tolist(), strict=True)
    ]
    text = "\n".join([",".join(people[0]), *(",".join(person.values()) for person in people)])
    rows, _ = graded(tmp_path / "in.csv", text)
    for row, person in zip(rows, people, strict=True):
        values = {name: value if name == "sex" else float(value) for name, value in person.items()}
        for name, result in grade(one(values)).items():
            band = int(result.band[0])
            assert row[f"{name}:class"] == ("" if band < 0 else RULES[name].bands[band].code)


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("수축기혈압", "sbp_mmhg"),
        ("수축기 혈압(mmHg)", "sbp_mmhg"),
        ("SBP_mmHg", "sbp_mmhg"),
        ("체중 [kg]", "weight_kg"),
        ("만 나이(세)", "age_years"),
        ("HDL 콜레스테롤 (mg/dL)", "hdl_mg_dl"),
        ("비고", None),
        ("", None),
    ],
)
def test_headings_are_understood(heading: str, name: str | None) -> None:
    assert column_of(heading) == name


@pytest.mark.parametrize(
    "heading", ["weight_lb", "체중(lb)", "키(m)", "height (inch)", "glucose_mmol_l", "혈당(mmol/L)"]
)
def test_another_unit_is_refused(heading: str) -> None:
    if heading == "혈당(mmol/L)":
        assert column_of(heading) is None  # not said whether fasting: nobody's column
        return
    with pytest.raises(CareError, match=r"is in .*; convert it to (kg|cm|mg/dL) and call it"):
        column_of(heading)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("name,note\na,b\n", "no column is known"),
        ("나이,age_years\n1,2\n", "gives age_years a second time"),
        ("age_years,weight_lb\n40,150\n", "row 1: column 'weight_lb' is in lb; convert it to kg and call it weight_kg"),
        ('age_years,note\n40,"' + "x" * 140_000 + '"\n', "field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_graded_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    with pytest.raises(CareError) as refused:
        grade_command.run(source, out, True)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    with pytest.raises(CareError, match="cannot be read"):
        grade_command.run(source, tmp_path / "out.csv", True)
    source.write_text("age_years\n40\n")
    with pytest.raises(CareError, match="cannot be written"):
        grade_command.run(source, tmp_path / "none" / "out.csv", True)
    with pytest.raises(CareError, match="is the file to grade"):
        grade_command.run(source, source, True)
    assert source.read_text() == "age_years\n40\n"
