"""The after-action report of an event as a tagged PDF, in Korean or English."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanmaru.centre.domain import CentreError
from hanmaru.centre.events.model import SYSTEM
from hanmaru.centre.procedures.engine import named
from hanmaru.centre.reports import drawn
from hanmaru.centre.reports.figures import instant
from hanmaru.centre.reports.words import Language, Speech
from hanmaru.platform.typeset import TypesetError, as_pdf

TEMPLATE = Path(__file__).with_name("event.typ")

Document = Mapping[str, Any]


def render(found: Document, lang: Language, *, zone: str, basemap: Document, now: str) -> bytes:
    """Return all of an event (`hanmaru.centre.reports.record.whole`) as PDF/UA-1; blocks.

    ``now`` (RFC 3339) ends what goes on. Raises CentreError where the fonts have not been built.
    """
    try:
        return as_pdf(TEMPLATE, _Writer(lang, zone).document(found, basemap, now))
    except TypesetError as error:
        raise CentreError(str(error)) from None


class _Writer(Speech):
    def document(self, found: Document, basemap: Document, now: str) -> Document:
        """Return what the template shows."""
        event, run = found["event"], found["run"]
        title = self.word("event_title", number=event["number"])
        point = drawn.point_of(event["location"])
        place = self.place(event)
        facts = [
            ("number", event["number"]),
            ("state", self.code("state_words", event["state"])),
            ("severity", self.code("severities", event["severity"])),
            ("category", self.code("categories", event["category"])),
            ("place", place or self.word("no_place")),
            ("owner", event["owner"] or "–"),
            ("opened", self.second(event["opened"])),
            ("alarms", f"{event['count']:,}"),
            ("rule", event["rule"] or "–"),
            ("escalated", self.escalated(event)),
        ]
        return {
            "lang": self.lang,
            "words": self.words,
            "title": title,
            "what": self.told(event["title"]),
            "footer": self.word("footer", what=title, made=self.moment(now)),
            "facts": [[self.word(key), value] for key, value in facts],
            "summary": self.summary(event),
            "durations": self.durations(event, run, now),
            "map": drawn.place_map(*point, basemap) if point else None,
            "map_alt": self.word("map_event_alt", place=place),
            "timeline": [
                {"at": self.second(one["at"]), "who": self.person(one["who"]), "text": self.told(one["text"])}
                for one in event["timeline"]
            ],
            "run": None
            if run is None
            else self.word(
                "run_state", name=self.told(run["procedure"]["name"]), state=self.code("state_words", run["state"])
            ),
            "steps": [] if run is None else [self.step(step, now) for step in run["steps"]],
            "handovers": [self.handover(one, run) for one in found["handovers"]],
            "sources": [
                self.word("source_events"),
                self.word("source_map"),
                f"{self.word('zone')}: {self.zone.key}",
                self.word("source_personal"),
            ],
        }

    def person(self, who: str | None) -> str:
        if who and who.startswith("agency:"):
            en, ko = named(who)
            return self.told({"en": en, "ko": ko})
        return self.word("system") if who == SYSTEM else who or "–"

    def escalated(self, event: Document) -> str:
        if not (found := event["escalated"]):
            return self.word("no")
        return f"{self.code('roles', found['to'])}, {self.second(found['at'])}"

    def summary(self, event: Document) -> str:
        opened = event["opened"]
        if event["state"] == "closed":
            course = self.word("course_closed", length=self.lasting(opened, event["closed"]))
        elif event["state"] == "taken":
            course = self.word(
                "course_taken", owner=event["owner"], taken=self.lasting(opened, event["taken"] or opened)
            )
        else:
            course = self.word("course_open")
        return self.word(
            "event_summary",
            severity=self.code("severities", event["severity"]),
            category=self.code("categories", event["category"]),
            opened=self.moment(opened),
            course=course,
        )

    def durations(self, event: Document, run: Document | None, now: str) -> list[list[str]]:
        opened = event["opened"]
        found: list[list[str]] = []
        if event["taken"]:
            found.append([self.word("taken_after"), self.lasting(opened, event["taken"])])
        if event["closed"]:
            found.append([self.word("closed_after"), self.lasting(opened, event["closed"])])
        if run:
            found.append([self.word("procedure"), self.lasting(run["started"], run["ended"] or now)])
        return found

    def step(self, step: Document, now: str) -> Document:
        due, done = step["due"], step["done_at"]
        late = ""
        if due and instant(done or now) > instant(due) and step["state"] != "skipped":
            late = self.word("late", length=self.lasting(due, done or now))
        notes = [step["reason"]]
        notes += [
            f"{'■' if item['done'] else '□'} {self.told(item['text'])}"
            + (f" ({self.person(item['by'])}, {self.second(item['at'])})" if item["done"] else "")
            for item in step["items"]
        ]
        notes += [self.told(one["text"]) for one in step["options"] if one["id"] == step["chosen"]]
        return {
            "title": self.told(step["title"]),
            "role": self.code("roles", step["role"]),
            "state": self.code("state_words", "to_do" if step["state"] == "open" else step["state"]),
            "due": self.second(due),
            "late": late,
            "done": self.second(done),
            "by": self.person(step["done_by"]) if step["done_by"] else "",
            "notes": [note for note in notes if note],
        }

    def handover(self, one: Document, run: Document | None) -> Document:
        steps: Document = {step["id"]: step["title"] for step in (run or {"steps": ()})["steps"]}
        return {
            "agency": self.told(one["agency"]),
            "step": self.told(steps.get(one["step"], one["step"])),
            "state": self.code("state_words", one["state"]),
            "at": self.second(one["at"]),
            "reference": one["reference"] or "–",
            "reason": one["reason"],
        }
