"""The report: both languages, what stands in it, how fast it is set, and what its reader can rely on."""

import re
import time
import zlib
from typing import Any

import pytest

from hanmaru.platform import typeset
from hanmaru.trace.domain import TraceError
from hanmaru.trace.report import map as maps
from hanmaru.trace.report import pdf
from tests.screens import trace_shapes as shapes

AT = "2026-11-23T01:00:00Z"
CASE: dict[str, Any] = {
    "label": "2026-0001",
    "disease": "covid-19",
    "onset": "2026-11-20",
    "person": {"name": "김한별"},
    "requests": [
        {
            "kinds": ["location", "card"],
            "period": {"start": "2026-11-09T15:00:00Z", "end": "2026-11-22T15:00:00Z"},
            "purpose": "접촉자 추적",
            "because": "*not markup* #panic() $x$",
            "state": "asked",
            "steps": [
                {"role": "health-approver", "title": "KDCA", "state": "approved", "by": "lee", "at": AT, "reason": ""},
                {
                    "role": "police-approver",
                    "title": "Police",
                    "state": "waiting",
                    "by": None,
                    "at": None,
                    "reason": "",
                },
            ],
            "answers": [{"kind": "location", "provider": "carrier-1", "received_at": AT, "rows": 100, "accepted": 90}],
        }
    ],
}


ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
SIGN = rb"\\.|[^\\()]"
INNER = rb"%b|\((?:%b|\((?:%b)*\))*\)" % (SIGN, SIGN, SIGN)  # brackets that are balanced need no backslash
TOKEN = re.compile(rb"/(f\d+) [\d.]+ Tf|<([0-9A-Fa-f]+)>|\(((?:" + INNER + rb")*)\)", re.DOTALL)


def text_of(report: bytes) -> str:
    """Return the text that a reader finds in one of our PDFs, page after page, by the fonts' ToUnicode tables."""
    objects = {int(n): body for n, body in re.findall(rb"(?:^|\n)(\d+) 0 obj\s(.*?)\sendobj", report, re.DOTALL)}

    def number(of: bytes, body: bytes) -> int:
        found = re.search(of + rb" (\d+) 0 R", body)
        assert found, of
        return int(found[1])

    def stream(n: int) -> bytes:
        raw = objects[n].partition(b"stream")[2].lstrip(b"\r\n").rsplit(b"endstream", 1)[0]
        return zlib.decompressobj().decompress(raw)

    def letters(font: int) -> dict[bytes, str]:
        table = stream(number(rb"/ToUnicode", objects[font])).decode()
        pairs = re.findall(r"<(\w{4})>\s*<(\w+)>", table)
        return {bytes.fromhex(code): bytes.fromhex(value).decode("utf-16-be") for code, value in pairs}

    def unescaped(literal: bytes) -> bytes:
        def one(found: re.Match[bytes]) -> bytes:
            return bytes([int(found[1], 8)]) if found[1].isdigit() else ESCAPED.get(found[1], found[1])

        return re.sub(rb"\\([0-7]{1,3}|.)", one, literal, flags=re.DOTALL)

    pages: list[str] = []
    for body in objects.values():
        if not re.search(rb"/Type/Page\b", body):
            continue
        fonts = re.findall(rb"/(f\d+) (\d+) 0 R", objects[number(rb"/Resources", body)])
        tables = {name: letters(int(n)) for name, n in fonts}
        shown, table = "", dict[bytes, str]()
        content = re.sub(rb"<<.*?>>\s*BDC", b"", stream(number(rb"/Contents", body)))
        for name, hexes, literal in TOKEN.findall(content):
            if name:
                table, shown = tables[name], shown + " "
            codes = bytes.fromhex(hexes.decode()) if hexes else unescaped(literal)
            shown += "".join(table.get(codes[n : n + 2], "\N{REPLACEMENT CHARACTER}") for n in range(0, len(codes), 2))
        pages.append(shown)
    return "\n".join(pages)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    found = shapes.results(4_000)
    found["contacts"][0]["decision"] = {"verdict": "accepted", "reason": "", "by": "kim", "at": AT}
    found["contacts"][1]["decision"] = {"verdict": "dismissed", "reason": "", "by": "kim", "at": AT}
    return found


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        (
            "ko",
            [
                "역학조사 보고서 2026-0001",
                "김한별",
                "한솔동 자택",
                "전파 가능 기간",
                "시험 자료",
                "Police: 대기",
                "한계",
                "인정",
                "1 / ",
            ],
        ),
        (
            "en",
            ["Report of the investigation 2026-0001", "COVID-19", "Café Haneul", "TEST DATA", "accepted", "No verdict"],
        ),
    ],
)
def test_a_report_says_what_was_found_and_by_which_right(lang: pdf.Language, words: list[str], results: Any) -> None:
    report = pdf.render(CASE, results, lang, True)
    text = re.sub(r"\s+", " ", text_of(report))
    for word in words:
        assert word.lower() in text.lower(), word
    assert "76" in text, "the law is named"
    assert "P1000" in text
    assert "P1037" not in text, "who was dismissed is no contact"
    assert "not markup* #panic() $x$" in text, "what people write is text"
    assert "\N{REPLACEMENT CHARACTER}" not in text, "every letter is in a font"
    tag = {"ko": b"(ko", "en": b"(en"}[lang]
    assert b"/Lang" + tag in report.replace(b" ", b"")
    assert b"/MarkInfo" in report.replace(b"\n", b""), "a screen reader finds headings and tables"


def test_real_data_has_no_mark_of_test_data(results: Any) -> None:
    assert "test data" not in text_of(pdf.render(CASE, results, "en", False)).lower()


def test_a_report_of_nothing_says_so() -> None:
    nothing = {"period": CASE["requests"][0]["period"]}
    text = text_of(pdf.render({"id": "c-1", "disease": "unknown"}, nothing, "en", False))
    for said in ("No course was found.", "No hotspots were found.", "There is no record of requests."):
        assert said in re.sub(r"\s+", " ", text)


def test_windows_follow_from_the_profile_where_the_case_has_none(results: Any) -> None:
    text = text_of(pdf.render(CASE, results, "en", False))
    assert "2026-11-18 – 2026-11-30" in text, "two days before onset to ten days after"


def test_a_report_takes_less_than_a_second(results: Any) -> None:
    pdf.render(CASE, results, "ko", False)
    began = time.process_time()
    pdf.render(CASE, results, "ko", False)
    assert time.process_time() - began < 1


def test_a_missing_font_is_told_not_drawn_as_boxes(
    results: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typeset, "FONTS", tmp_path)
    with pytest.raises(TraceError, match="build_web"):
        pdf.render(CASE, results, "ko", False)


def test_values_of_another_shape_are_told_in_a_line(results: Any) -> None:
    with pytest.raises(TraceError, match="cannot be written: KeyError"):
        pdf.render(CASE, {**results, "stays": [{"start": AT}]}, "ko", False)


def test_the_map_is_to_scale_and_keeps_to_the_city() -> None:
    def stay(lon: float) -> dict[str, Any]:
        return {"lon": lon, "lat": 36.48, "radius_m": 100.0}

    def road(*line: tuple[float, float]) -> dict[str, Any]:
        geometry = {"type": "LineString", "coordinates": [list(point) for point in line]}
        return {"type": "Feature", "properties": {"class": "primary"}, "geometry": geometry}

    far, near = road((10, 50), (11, 51)), road((127.28, 36.48), (127.3, 36.48))
    svg = maps.draw({"stays": [stay(127.28), stay(127.30), stay(127.28)]}, {"roads": {"features": [far, near]}})
    xs = [float(x) for x in re.findall(r'cx="([\d.]+)" cy="[\d.]+" r="8"', svg)]
    assert len(xs) == 2, "a place that was come back to is one mark"
    bar = re.search(r"H([\d.]+)V[\d.]+\".*?>(\d+) (k?m)<", svg)
    assert bar
    metres = int(bar[2]) * (1000 if bar[3] == "km" else 1)
    units_per_m = (float(bar[1]) - 16) / metres
    assert (xs[1] - xs[0]) / units_per_m == pytest.approx(0.02 * 111_320 * 0.8041, rel=0.01)
    assert svg.count("#d9d6cd") == 1, "a road that is nowhere near is not drawn"
