"""The report of an investigation as a tagged PDF, set by Typst in Korean or English."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal, cast
from zoneinfo import ZoneInfo

from hanmaru.platform.typeset import TypesetError, as_pdf
from hanmaru.trace.cases import country as countries
from hanmaru.trace.cases import profiles
from hanmaru.trace.domain import TraceError
from hanmaru.trace.report import map as maps

TEMPLATE = Path(__file__).with_name("report.typ")
WORDS = Path(__file__).with_name("words.toml")
MOST_CONTACTS: Final = 50
LIKELY: Final = 0.5
MOST_DAYS: Final = 60

Document = Mapping[str, Any]
Language = Literal["ko", "en"]


@cache
def words() -> Mapping[str, Document]:
    """Return the report's words by language."""
    return tomllib.loads(WORDS.read_text("utf-8"))


def render(
    case: Document,
    results: Document,
    lang: Language,
    test_data: bool,
    *,
    zone: str = "Asia/Seoul",
    basemap: maps.Basemap | None = None,
    rules: countries.Country | None = None,
) -> bytes:
    """Return the report of a case as PDF/UA-1.

    ``case`` is what the room's routes answer for a case (``id`` or ``label``, ``disease``, ``onset``, ``requests``, …),
    or a case directory's ``case.toml``; ``results`` is a ``results.json``, its contacts with or without decisions.
    Times are shown in ``zone``, the law and titles of kinds are ``rules``' (Korea's where not given), the map is drawn
    over ``basemap`` (GeoJSON by layer) where that is given. ``test_data`` marks every page.

    Raises TraceError where the fonts have not been built, or the values are not what they should be.
    """
    try:
        document = _Writer(lang, zone, rules or countries.load()).document(case, results, test_data, basemap)
    except (KeyError, TypeError, ValueError) as error:
        raise TraceError(f"the report cannot be written: {type(error).__name__} at {error}") from None
    try:
        return as_pdf(TEMPLATE, document)
    except TypesetError as error:
        raise TraceError(str(error)) from None


class _Writer:
    """Puts a case and its results into words."""

    def __init__(self, lang: Language, zone: str, rules: countries.Country) -> None:
        self.lang: Language = lang
        self.words = words()[lang]
        self.zone = ZoneInfo(zone)
        self.rules = rules

    def document(self, case: Document, results: Document, test_data: bool, basemap: maps.Basemap | None) -> Document:
        """Return what the template shows."""
        label = str(case.get("label") or case.get("id") or "")
        stays: Sequence[Document] = results.get("stays", ())
        contacts = [one for one in results.get("contacts", ()) if _verdict(one) != "dismissed"]
        contacts.sort(key=lambda contact: int(contact["rank"]))
        shown = contacts[:MOST_CONTACTS]
        numbers = {
            "stays": len(stays),
            "moves": len(results.get("moves", ())),
            "contacts": len(contacts),
            "likely": sum(float(contact["probability"]) >= LIKELY for contact in contacts),
            "hotspots": len(results.get("hotspots", ())),
            "cameras": len(results.get("cameras", ())),
        }
        return {
            "lang": self.lang,
            "words": self.words,
            "title": self.word("title", label=label),
            "label": label,
            "made": self.moment(datetime.now(UTC).isoformat()),
            "test_data": test_data,
            "facts": self.facts(case, results),
            "summary": self.word("summary_text", **numbers),
            "map": maps.draw(results, basemap),
            "map_alt": self.word("map_alt", stays=len(stays)),
            "days": self.days(stays),
            "contacts_note": self.word("contacts_note", shown=len(shown), rest=len(contacts) - len(shown)),
            "contacts": [self.contact(contact) for contact in shown],
            "hotspots": [self.hotspot(spot) for spot in sorted(results.get("hotspots", ()), key=_unlikely)],
            "kinds": self.kinds(results.get("evidence", ())),
            "refused": [
                [self.code("refusals", key), f"{count:,}"] for key, count in results.get("refused", {}).items() if count
            ],
            "requests": [self.request(request) for request in self.asked(case)],
            "method": self.words["methods"],
            "limits": self.words["what_limits"],
        }

    def word(self, key: str, **values: object) -> str:
        return str(self.words[key]).format(**values)

    def code(self, group: str, key: str) -> str:
        """Return the word for a code, the code itself where there is none."""
        return str(self.words[group].get(key, key))

    def told(self, text: Any) -> str:
        """Return a text that may be one in several languages."""
        if isinstance(text, Mapping):
            text = cast("Mapping[str, str]", text)
            return text.get(self.lang) or text.get("en") or ""
        return str(text or "")

    def local(self, instant: str) -> datetime:
        return datetime.fromisoformat(instant).astimezone(self.zone)

    def moment(self, instant: str | None) -> str:
        return f"{self.local(instant):%Y-%m-%d %H:%M}" if instant else "–"

    def span(self, start: str, end: str) -> str:
        a, b = self.local(start), self.local(end)
        return f"{a:%Y-%m-%d %H:%M} – {b:%H:%M}" if a.date() == b.date() else f"{a:%Y-%m-%d %H:%M} – {b:%Y-%m-%d %H:%M}"

    def dates(self, window: Document) -> str:
        """Return the first and last day of a span whose end is no longer part of it."""
        first, last = (self.local(str(window["start"])), self.local(str(window["end"])) - timedelta(seconds=1))
        return f"{first:%Y-%m-%d} – {last:%Y-%m-%d}"

    def percent(self, share: float) -> str:
        return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else f"{100 * share:.1f} %"

    def lasting(self, minutes: float) -> str:
        """Return a length of time in minutes, from two hours on in hours."""
        if minutes < 120:
            return self.word("minutes", count=round(minutes))
        return self.word("hours", count=f"{minutes / 60:,.0f}")

    def facts(self, case: Document, results: Document) -> list[list[str]]:
        """Return the case's facts, those that are known, as pairs of name and value."""
        disease = str(case.get("disease", ""))
        profile = profiles.load().get(disease)
        person: Document = case.get("person") or {}
        found = [
            ("disease", self.told(profile.name) if profile else disease),
            ("person", str(person.get("name") or case.get("subject") or "")),
            ("onset", str(case.get("onset") or "")[:10]),
            ("confirmed", str(case.get("confirmed") or "")[:10]),
        ]
        windows: dict[str, Document | None] = {
            "exposure": case.get("exposure_window"),
            "infectious": case.get("infectious_window"),
        }
        if profile and case.get("onset") and not any(windows.values()):
            both = profiles.windows(profile, date.fromisoformat(str(case["onset"])[:10]), self.zone)
            for name, window in (("exposure", both.exposure), ("infectious", both.infectious)):
                windows[name] = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        found += [(name, self.dates(window)) for name, window in windows.items() if window]
        found.append(("period", self.dates(results["period"])))
        if case.get("destroy_on"):
            found.append(("destroy_on", self.moment(str(case["destroy_on"]))[:10]))
        return [[self.word(name), value] for name, value in found if value]

    def place(self, one: Document) -> str:
        places: Sequence[Document] = one.get("places") or ([one["place"]] if one.get("place") else [])
        name = str(places[0].get("name") or "") if places else ""
        return (
            self.code("places", name)
            if name
            else self.word("unnamed", lat=f"{one['lat']:.4f}", lon=f"{one['lon']:.4f}")
        )

    def days(self, stays: Sequence[Document]) -> Sequence[Document]:
        """Return the stays by the city's day on which they begin."""
        ordered = sorted(stays, key=lambda stay: str(stay["start"]))
        days = groupby(ordered, key=lambda stay: self.local(stay["start"]).date())
        shown = [{"title": f"{day:%Y-%m-%d}", "rows": [self.stay(stay) for stay in rows]} for day, rows in days]
        return shown[:MOST_DAYS]

    def stay(self, stay: Document) -> Document:
        start, end = self.local(stay["start"]), self.local(stay["end"])
        others = [
            f"{self.code('places', p['name'])} {self.percent(p['probability'])}"
            for p in stay.get("places", ())[1:3]
            if p.get("name")
        ]
        later = "" if start.date() == end.date() else f" (+{(end.date() - start.date()).days})"
        return {
            "time": f"{start:%H:%M} – {end:%H:%M}{later}",
            "place": self.place(stay),
            "others": self.word("or_else", names=", ".join(others)) if others else "",
            "sure": self.percent(float(stay["confidence"])),
            "within": f"{float(stay['radius_m']):.0f} m",
            "evidence": self.word("rows_of", count=len(stay.get("evidence", ()))),
        }

    def contact(self, contact: Document) -> Document:
        why = dict.fromkeys(
            self.code("why", str(one["kind"])) + (f" {self.lasting(one['minutes'])}" if one.get("minutes") else "")
            for one in contact.get("reasons", ())
        )
        return {
            "rank": str(contact["rank"]),
            "subject": str(contact["subject"]),
            "share": float(contact["probability"]),
            "probability": self.percent(float(contact["probability"])),
            "where": f"{self.place(contact)} · {self.span(contact['start'], contact['end'])}",
            "reasons": ", ".join(why),
            "decision": self.word(_verdict(contact)),
        }

    def hotspot(self, spot: Document) -> Document:
        return {
            "place": self.place(spot),
            "time": self.span(spot["start"], spot["end"]),
            "people": self.word("people_of", people=spot["people"], expected=f"{float(spot['expected']):.1f}"),
            "share": float(spot["probability"]),
            "probability": self.percent(float(spot["probability"])),
        }

    def kinds(self, evidence: Sequence[Document]) -> list[Document]:
        """Return how many rows of each kind there are and were used."""
        rows: dict[str, list[int]] = {}
        for row in evidence:
            counted = rows.setdefault(str(row["kind"]), [0, 0])
            counted[0] += 1
            counted[1] += bool(row["used"])
        return [
            {"kind": self.code("kinds", kind), "rows": f"{count:,}", "used": f"{used:,}"}
            for kind, (count, used) in rows.items()
        ]

    def asked(self, case: Document) -> Sequence[Document]:
        """Return the case's requests; a case directory has its signed approval instead."""
        approvals: Sequence[Document] = case.get("approvals") or ([case["approval"]] if case.get("approval") else [])
        return [*case.get("requests", ()), *approvals]

    def request(self, request: Document) -> Document:
        known = [self.rules.kinds[kind] for kind in request["kinds"] if kind in self.rules.kinds]
        titles = [self.told(self.rules.kinds[k].title) if k in self.rules.kinds else str(k) for k in request["kinds"]]
        steps = [self.step(step) for step in request.get("steps", ())]
        if signed := request.get("approved_by"):
            until = self.moment(str(request["expires"])) if request.get("expires") else "–"
            steps.append(self.word("signed_by", who=", ".join(map(str, signed)), until=until))
        return {
            "kinds": ", ".join(titles),
            "state": self.code("states", str(request.get("state", "approved"))),
            "period": self.dates(request["period"]) if request.get("period") else "",
            "purpose": " · ".join(filter(None, (request.get("purpose"), request.get("because")))),
            "laws": list(dict.fromkeys(self.told(rule.law) for rule in known)),
            "steps": steps,
            "answers": [
                self.word(
                    "answer",
                    kind=self.told(self.rules.kinds[a["kind"]].title) if a["kind"] in self.rules.kinds else a["kind"],
                    provider=a["provider"],
                    at=self.moment(a["received_at"]),
                    rows=f"{a['rows']:,}",
                    accepted=f"{a['accepted']:,}",
                )
                for a in request.get("answers", ())
            ],
        }

    def step(self, step: Document) -> str:
        role = self.told(step.get("title")) or str(step["role"])
        if step["state"] == "waiting":
            return self.word("waits_for", role=role)
        at = self.moment(step.get("at"))
        key = "approved_by" if step["state"] == "approved" else "refused_by"
        return self.word(key, role=role, who=step.get("by") or "–", at=at, reason=step.get("reason") or "–")


def _verdict(contact: Document) -> str:
    decision: Document = contact.get("decision") or {}
    return str(decision.get("verdict") or "undecided")


def _unlikely(spot: Document) -> float:
    return -float(spot["probability"])
