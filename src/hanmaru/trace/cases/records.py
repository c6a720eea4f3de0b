"""What is kept of a case and its contacts, as documents of the case's subject in the vault."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec

_PRINTED = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*\Z"
"""Without control characters, and without those that turn the writing around: a name must look like what it is."""
Line = Annotated[str, msgspec.Meta(max_length=200, pattern=_PRINTED)]
Prose = Annotated[str, msgspec.Meta(max_length=20_000)]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")]
Degrees = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

PERSON, CLINICAL, NOTES, CONTACT, DECISION, REQUEST, IDENTITY, STATEMENT, SIGHTING, LINK, OUTCOME = (
    "person", "clinical", "notes", "contact", "decision", "request", "identity", "statement", "sighting", "link",
    "outcome",
)  # fmt: skip
"""Kinds of a case's documents; those there is one of have their kind as id."""


class _Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Point(_Fact, frozen=True):
    """A place on the map."""

    lat: Latitude
    lon: Degrees


class Person(_Fact, frozen=True):
    """Who somebody is; ``home`` and ``work`` are where that is known on the map."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_PRINTED)]
    birth_date: date | None = None
    sex: Literal["female", "male", "other"] | None = None
    phone: Line = ""
    address: Line = ""
    home: Point | None = None
    work: Point | None = None


class Symptom(_Fact, frozen=True):
    """A symptom of the disease's profile, and since when."""

    code: Line
    onset: date | None = None


class Lab(_Fact, frozen=True):
    """A laboratory's result."""

    test: Line = ""
    result: Literal["positive", "negative", "inconclusive", "pending"] | None = None
    sampled: date | None = None
    reported: date | None = None


class Clinical(_Fact, frozen=True):
    """What is known of the illness. ``confirmed`` is the day of a positive result."""

    symptoms: list[Symptom] = []
    onset: date | None = None
    lab: Lab | None = None

    @property
    def confirmed(self) -> date | None:
        """The day on which a positive result was reported, or else sampled."""
        positive = self.lab is not None and self.lab.result == "positive"
        return (self.lab.reported or self.lab.sampled) if self.lab is not None and positive else None

    @property
    def reference(self) -> date | None:
        """The day that windows are counted from: onset, without symptoms the day of the sample.

        As KDCA's COVID-19 guidelines have it for those without symptoms.
        """
        return self.onset or (self.lab.sampled if self.lab else None)


class NewCase(_Fact, frozen=True):
    """What opens a case."""

    disease: Line
    person: Person
    symptoms: Annotated[list[Symptom], msgspec.Meta(max_length=50)] = []
    onset: date | None = None
    lab: Lab | None = None
    notes: Prose = ""


class CaseChange(_Fact, frozen=True):
    """What changes of a case; what is left out stays."""

    person: Person | None = None
    symptoms: Annotated[list[Symptom], msgspec.Meta(max_length=50)] | None = None
    onset: date | msgspec.UnsetType | None = msgspec.UNSET
    lab: Lab | None = None
    notes: Prose | None = None
    status: Literal["new", "investigating", "following"] | None = None


class NewContact(_Fact, frozen=True):
    """A contact that somebody names; ``subject`` is the pseudonym that evidence has for them, where it has one."""

    person: Person
    subject: Id | None = None
    exposed: date | None = None
    notes: Prose = ""


class Verdict(_Fact, frozen=True):
    """What somebody decides of a contact that was found; ``undecided`` takes an earlier decision back."""

    verdict: Literal["accepted", "dismissed", "undecided"]
    reason: Line = ""


class Statement(_Fact, frozen=True):
    """What an interview says: from when to when, at which place or where, in which words, how certain."""

    start: Instant
    end: Instant
    place_id: Id | None = None
    lat: Latitude | None = None
    lon: Degrees | None = None
    text: Prose = ""
    certainty: Literal["sure", "unsure"] = "unsure"


class Sighting(_Fact, frozen=True):
    """What a reviewer saw on a camera."""

    camera_id: Id
    time: Instant
    end: Instant | None = None
    certainty: Literal["sure", "unsure"] = "unsure"
    reviewer: Line = ""


class Period(_Fact, frozen=True):
    """A span of time, from ``start`` up to but not including ``end``."""

    start: Instant
    end: Instant


class Area(_Fact, frozen=True):
    """A place: everything within ``radius_m`` metres of a point."""

    lat: Latitude
    lon: Degrees
    radius_m: Annotated[float, msgspec.Meta(gt=0, le=50_000)]


class Scope(_Fact, frozen=True):
    """What a request asks for and why: the document that lies in the vault. ``subjects`` are pseudonyms."""

    kinds: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=10)]
    period: Period
    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    because: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    subjects: Annotated[list[Id], msgspec.Meta(max_length=500)] = []
    area: Area | None = None


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """Return a value as a document."""
    document: dict[str, Any] = msgspec.to_builtins(value)
    return document
