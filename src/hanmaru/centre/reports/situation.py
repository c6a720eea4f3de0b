"""The situation report as a tagged PDF, in Korean or English."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from hanmaru.centre.domain import SEVERITIES, CentreError
from hanmaru.centre.reports import drawn
from hanmaru.centre.reports.figures import PARTS
from hanmaru.centre.reports.words import Language, Speech
from hanmaru.platform.typeset import TypesetError, as_pdf

TEMPLATE = Path(__file__).with_name("situation.typ")
MOST_EVENTS: Final = 60
MOST_ALERTS: Final = 40
TOLD_CHANGES: Final = 4
"""Changes that the summary names: the largest, in parts of their own mean."""

Document = Mapping[str, Any]


def render(found: Document, lang: Language, *, zone: str, basemap: Document) -> bytes:
    """Return a situation, as the page shows it, as PDF/UA-1 over a city's ``basemap`` (GeoJSON by layer); blocks.

    Raises CentreError where the fonts have not been built.
    """
    try:
        return as_pdf(TEMPLATE, _Writer(lang, zone).document(found, basemap))
    except TypesetError as error:
        raise CentreError(str(error)) from None


class _Writer(Speech):
    def document(self, found: Document, basemap: Document) -> Document:
        """Return what the template shows."""
        where = self.told(found["area"]["name"]) or self.word("drawn_area")
        period, before = self.span(found["start"], found["end"]), self.span(**found["before"])
        events: Sequence[Document] = found["events"][:MOST_EVENTS]
        alerts: Sequence[Document] = found["alerts"]
        titles = {layer["id"]: self.told(layer["title"]) for layer in found["layers"]}
        title = self.word("title", area=where)
        return {
            "lang": self.lang,
            "words": self.words,
            "title": title,
            "footer": self.word("footer", what=title, made=self.moment(found["made"])),
            "facts": [
                [self.word("area"), where],
                [self.word("size"), f"{found['area']['km2']:,.2f} km²"],
                [self.word("period"), period],
                [self.word("before"), before],
                [self.word("made"), self.moment(found["made"])],
                [self.word("zone"), self.zone.key],
            ],
            "summary": self.summary(found),
            "map": self.map(found, basemap),
            "map_alt": self.word("map_alt"),
            "map_note": self.word("map_note", marks=len(found["marks"])),
            "events": [self.event(event) for event in events],
            "events_note": self.rest(
                "events_more", len(found["events"]) - len(events) + int(found.get("events_more", 0))
            ),
            "alert_counts": [
                f"{self.code('severities', severity)} {count}" for severity, count in _by_severity(alerts)
            ],
            "alerts": [self.alert(alert) for alert in alerts[:MOST_ALERTS]],
            "alerts_note": self.rest(
                "alerts_more",
                len(alerts) - len(alerts[:MOST_ALERTS]) + int(found["alerts_more"]),
                shown=len(alerts[:MOST_ALERTS]),
            ),
            "figures_note": self.word("figures_note", before=before, parts=PARTS),
            "figures": [
                {"title": self.told(rows[0]["title"]), "rows": [self.figure(row) for row in rows]}
                for rows in (list(group) for _, group in groupby(found["figures"], lambda figure: figure["layer"]))
            ],
            "layers": [self.layer(layer) for layer in found["layers"]],
            "silent": [
                {
                    "name": self.told(one["name"]) or one["id"],
                    "layer": titles.get(one["layer"], one["layer"]),
                    "since": self.moment(one["since"]),
                }
                for one in found["silent"]
            ],
            "silent_note": " ".join(
                filter(
                    None,
                    (
                        self.word("silent_some" if found["silent"] else "silent_none"),
                        self.rest("silent_more", found["silent_more"]),
                    ),
                )
            ),
            "sources": [
                self.word("source_area", area=where, km2=f"{found['area']['km2']:,.2f}", period=period, zone=self.zone),
                *(self.word(key) for key in ("source_hub", "source_events", "source_map", "source_personal")),
            ],
        }

    def rest(self, key: str, count: int, **values: object) -> str:
        return self.word(key, count=count, **values) if count else ""

    def summary(self, found: Document) -> list[str]:
        events: Sequence[Document] = found["events"]
        going_on = sum(event["state"] != "closed" for event in events)
        count = len(events) + int(found.get("events_more", 0))
        alerts = len(found["alerts"]) + found["alerts_more"]
        lines = [self.word("summary_events", count=count, open=going_on, alerts=alerts)]
        changed = [figure for figure in found["figures"] if figure["before"] and figure["before"]["mean"]]
        changed.sort(key=lambda f: abs(f["mean"] - f["before"]["mean"]) / abs(f["before"]["mean"]), reverse=True)
        lines += [
            self.word(
                "summary_change",
                layer=self.told(figure["title"]),
                label=self.told(figure["label"]),
                mean=self.measured(figure["mean"], figure),
                change=self.change(figure),
            )
            for figure in changed[:TOLD_CHANGES]
        ]
        if silent := len(found["silent"]) + found["silent_more"]:
            lines.append(self.word("summary_silent", count=silent))
        return lines

    def map(self, found: Document, basemap: Document) -> str:
        places = [drawn.point_of(event["location"]) for event in found["events"][:MOST_EVENTS]]
        events = [{"lon": place[0], "lat": place[1]} for place in places if place]
        return drawn.area_map(found["area"]["geometry"], found["marks"], events, basemap)

    def event(self, event: Document) -> Document:
        told = [entry for entry in event.get("timeline", ()) if entry["what"] == "closed"]
        if event["state"] == "closed":
            outcome = self.word("closed_in", length=self.lasting(event["opened"], event["closed"]))
        elif event["state"] == "taken":
            outcome = self.word("still_taken", owner=event["owner"])
        else:
            outcome = self.word("still_open")
        return {
            "number": event["number"],
            "title": self.told(event["title"]),
            "place": self.place(event),
            "severity": self.code("severities", event["severity"]),
            "opened": self.moment(event["opened"]),
            "outcome": outcome,
            "last": self.told(told[-1]["text"]) if told else "",
        }

    def alert(self, alert: Document) -> Document:
        return {
            "issued": self.moment(alert["issued"]),
            "title": self.told(alert["title"]) or alert["id"],
            "category": self.code("categories", alert["category"]),
            "severity": self.code("severities", alert["severity"]),
        }

    def measured(self, value: float, figure: Document) -> str:
        return f"{self.number(value, figure['decimals'])} {figure['unit']}".rstrip()

    def change(self, figure: Document) -> str:
        if not figure["before"]:
            return self.word("no_before")
        difference = figure["mean"] - figure["before"]["mean"]
        shown = self.number(abs(difference), figure["decimals"])
        if float(shown.replace(",", "")) == 0:
            return self.word("same")
        return self.word("more" if difference > 0 else "less", value=f"{shown} {figure['unit']}".rstrip())

    def figure(self, figure: Document) -> Document:
        low, high, latest, mean = (
            self.number(figure[k], figure["decimals"]) for k in ("low", "high", "latest", "mean")
        )
        label, unit = self.told(figure["label"]), figure["unit"]
        return {
            "label": f"{label} ({unit})" if unit else label,
            "sensors": self.word("sensors_of", count=figure["sensors"], of=figure["of"]),
            "mean": mean,
            "range": f"{low} – {high}",
            "latest": latest,
            "change": self.change(figure),
            "chart": drawn.chart(figure["trend"], figure["before"]["trend"] if figure["before"] else ()),
            "chart_alt": self.word("chart_alt", label=label, low=low, high=high, latest=latest, unit=unit),
        }

    def layer(self, layer: Document) -> Document:
        looked = layer["looked"]
        return {
            "title": self.told(layer["title"]),
            "colour": layer["colour"],
            "count": f"{layer['count']:,}",
            "states": [
                {
                    "label": self.told(state["label"]),
                    "text": " · ".join(self.state(value, state) for value in state["values"]),
                }
                for state in layer["states"]
            ]
            + ([{"label": "", "text": self.word("looked", looked=looked)}] if looked < layer["count"] else []),
        }

    def state(self, value: Document, state: Document) -> str:
        low, range, high = value["value"].partition("..")
        if not range:
            return f"{self.code('state_words', value['value'])} {value['count']:,}"
        bounds = f"< {high}" if not low else f"≥ {low}" if not high else f"{low}–{high}"
        return f"{bounds} {state['unit']}: {value['count']:,}".replace(" :", ":")


def _by_severity(alerts: Sequence[Document]) -> list[tuple[str, int]]:
    counted = Counter(str(alert["severity"]) for alert in alerts)
    return [(severity, counted[severity]) for severity in reversed(SEVERITIES) if counted[severity]]
