"""A comparison as a report that an authority can read: an HTML file in each language that loads nothing."""

import math
import tomllib
from html import escape
from pathlib import Path
from typing import Any, cast

import msgspec

from hanmaru.platform import disk
from hanmaru.ride.sim import charts
from hanmaru.ride.sim.outcome import SHARES
from hanmaru.ride.sim.stats import Estimate
from hanmaru.ride.sim.summary import CaseFound, Summary

LANGUAGES = ("ko", "en")
CHARTS = ("in_time", "wait_mean_s", "wait_p95_s", "served", "riders_per_van_hour", "vehicle_km", "empty_km", "detour")
COMPARED = ("in_time", "wait_mean_s", "wait_p95_s", "served", "riders_per_van_hour", "vehicle_km", "empty_km")
EMPTY: tuple[object, ...] = (None, "", [], {}, ())
WHOLE = ("requests", "left_out", "riders", "van_hours", "vehicle_km", "empty_km")


def write(folder: Path, found: Summary, runs_csv: str) -> None:
    """Write results.json, runs.csv and a report in each language to a folder; each file whole or not there."""
    disk.replace(folder / "results.json", msgspec.json.format(msgspec.json.encode(found), indent=2))
    disk.replace(folder / "runs.csv", runs_csv.encode())
    for language in LANGUAGES:
        words = tomllib.loads(Path(__file__).with_name(f"report.{language}.toml").read_text("utf-8"))
        disk.replace(folder / words["file"], html(found, words).encode())


def html(found: Summary, words: dict[str, Any]) -> str:
    """Return the report in the language of its words."""
    title = f"{found.name} – {words['title']}" if found.name else words["title"]
    style = Path(__file__).with_name("report.css").read_text("utf-8")
    parts = [
        f'<!doctype html>\n<html lang="{words["lang"]}"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{style}</style></head>',
        f"<body><h1>{escape(title)}</h1>",
        *_answers(found, words),
        *_charts(found, words),
        *_measures(found, words),
        *_differences(found, words),
        *_assumptions(found, words),
        "</body></html>",
    ]
    return "\n".join(parts)


def _answers(found: Summary, words: dict[str, Any]) -> list[str]:
    parts = [f"<h2>{words['answer_heading']}</h2>"]
    for answer in found.answers:
        values = {
            "policy": words["policies"][answer.policy],
            "vans": answer.vans,
            "share": f"{answer.target.share * 100:.4g} %",
            "minutes": f"{answer.target.wait_s / 60:.4g}",
            "certainty": certainty(answer.certainty),
            "fewer": certainty(answer.fewer),
        }
        text = words["answer_none" if answer.vans is None else "answer"].format(**values)
        if answer.vans is not None and not math.isnan(answer.fewer):
            text += words["answer_fewer"].format(**values)
        parts.append(f'<p class="answer">{escape(text)}</p>')
    if not found.answers and found.finished:
        parts.append(f"<p>{escape(words['no_target'])}</p>")
    if not found.finished:
        parts.append(f"<p><strong>{escape(words['unfinished'])}</strong></p>")
    return parts


def _charts(found: Summary, words: dict[str, Any]) -> list[str]:
    policies = list(dict.fromkeys(case.policy for case in found.cases))
    names = [words["policies"][policy] for policy in policies]
    note = words["intervals"].format(confidence=f"{found.confidence:.0%}", seeds=len(found.seeds))
    parts = [f"<h2>{words['charts']}</h2>", charts.legend(names), f"<p><small>{escape(note)}</small></p>"]
    parts.append('<div class="charts">')
    for name in CHARTS:
        factor, _ = _unit(name)
        series = {
            policy: [(float(case.vans), case.measures[name]) for case in found.cases if case.policy == policy]
            for policy in policies
        }
        goal = 100 * found.answers[0].target.share if found.answers and name == "in_time" else None
        label = _label(name, found, words)
        drawn = charts.lines(
            label, words["across"], series, factor=factor, goal=goal, most=100.0 if name in SHARES else None
        )
        parts.append(f"<figure><figcaption>{escape(label)}</figcaption>{drawn}</figure>")
    return [*parts, "</div>"]


def _measures(found: Summary, words: dict[str, Any]) -> list[str]:
    parts = [f'<h2>{words["all"]}</h2><div class="scroll"><table><tr><th scope="col">{words["measure"]}</th>']
    parts.extend(f'<th scope="col">{escape(_case(case, words))}</th>' for case in found.cases)
    parts.append("</tr>")
    for name in found.measures:
        cells = "".join(f"<td>{_value(case.measures[name], name)}</td>" for case in found.cases)
        parts.append(f'<tr><th scope="row">{escape(_label(name, found, words))}</th>{cells}</tr>')
    return [*parts, "</table></div>"]


def _differences(found: Summary, words: dict[str, Any]) -> list[str]:
    if not found.differences:
        return []
    parts = [f"<h2>{words['differences']}</h2><p><small>{escape(words['differences_note'])}</small></p>"]
    parts.append(f'<div class="scroll"><table><tr><th scope="col">{words["measure"]}</th>')
    parts.extend(f'<th scope="col">{escape(_label(name, found, words))}</th>' for name in COMPARED)
    parts.append("</tr>")
    for pair in found.differences:
        head = words["against"].format(
            policy=words["policies"][pair.policy],
            vans=pair.vans,
            base_policy=words["policies"][pair.base_policy],
            base_vans=pair.base_vans,
        )
        cells = "".join(f"<td>{_value(pair.measures[name], name, signed=True)}</td>" for name in COMPARED)
        parts.append(f'<tr><th scope="row">{escape(head)}</th>{cells}</tr>')
    return [*parts, "</table></div>"]


def _assumptions(found: Summary, words: dict[str, Any]) -> list[str]:
    parts = [f"<h2>{words['policies_heading']}</h2><ul>"]
    for policy in dict.fromkeys(case.policy for case in found.cases):
        parts.append(f"<li><b>{words['policies'][policy]}</b>: {escape(words['policies_explained'][policy])}</li>")
    parts.append(f'</ul><h2>{words["assumptions"]}</h2><table class="plain">')
    for key, label in words["scenario"].items():
        if (value := found.scenario.get(key)) not in EMPTY:
            parts.append(f'<tr><th scope="row">{label}</th><td>{escape(_told(value))}</td></tr>')
    parts.append(f"</table><h2>{words['limits_heading']}</h2><ul>")
    parts.extend(f"<li>{escape(text)}</li>" for text in words["limits"])
    return [*parts, "</ul>"]


def certainty(value: float) -> str:
    """Return how sure something is, never quite sure nor quite impossible."""
    return "> 99.9 %" if value > 0.999 else "< 0.1 %" if value < 0.001 else f"{100 * value:.1f} %"


def _unit(name: str) -> tuple[float, int]:
    """Return by what a measure is multiplied to be shown, and its decimals: per cent, minutes, or as it is."""
    if name in SHARES:
        return 100.0, 1
    return (1 / 60, 1) if name.endswith("_s") else (1.0, 0 if name in WHOLE else 2)


def _label(name: str, found: Summary, words: dict[str, Any]) -> str:
    return words["measures"][name].format(minutes=f"{found.under_s / 60:.4g}")


def _case(case: CaseFound, words: dict[str, Any]) -> str:
    return f"{words['policies'][case.policy]}, {case.vans}"


def _value(value: Estimate, name: str, *, signed: bool = False) -> str:
    if math.isnan(value.mean):
        return "–"
    factor, digits = _unit(name)
    text = f"{factor * value.mean:{'+' if signed else ''},.{digits}f}"
    if math.isnan(value.low):
        return text
    star = " *" if signed and (value.low > 0 or value.high < 0) else ""
    return f"{text}{star} <small>{factor * value.low:,.{digits}f} – {factor * value.high:,.{digits}f}</small>"


def _told(value: object) -> str:
    """Return a part of the scenario in one line."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        return ", ".join(f"{k} {_told(v)}" for k, v in members if v not in EMPTY)
    if isinstance(value, list | tuple):
        return "; ".join(_told(v) for v in cast("list[object]", value))
    return f"{value:g}" if isinstance(value, float) else str(value)
