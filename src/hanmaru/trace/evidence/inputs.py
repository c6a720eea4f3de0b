"""What an investigation works on: facts of the case, reference tables, and the evidence that was approved."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportMissingTypeStubs=false
# PyArrow brings no types.

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from hanmaru.trace.evidence import cameras, catalogue, checkins, gps, payments, phone, sightings, statements
from hanmaru.trace.tables import Columns

REFERENCE: Mapping[str, Columns] = {
    "cells": phone.CELLS,
    "places": catalogue.PLACES,
    "merchants": catalogue.MERCHANTS,
    "cameras": cameras.CAMERAS,
}
"""Tables that say where things are."""
EVIDENCE: Mapping[str, Columns] = {
    "phone": phone.PHONE,
    "cards": payments.CARDS,
    "checkins": checkins.CHECKINS,
    "gps": gps.GPS,
    "statements": statements.STATEMENTS,
    "sightings": sightings.SIGHTINGS,
}
"""Tables of evidence; those of other people lack the last two."""
OTHERS = ("phone", "cards", "checkins", "gps")


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its ``subject`` in the evidence, the period from ``start_s`` up to ``end_s`` that is investigated, and
    the subject's ``own`` places by kind (home, work) as lat, lon. Local hours are those of ``zone``.
    """

    id: str
    subject: str
    start_s: int
    end_s: int
    own: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    disease: str = ""
    zone: str = "Asia/Seoul"


@dataclass(frozen=True, slots=True)
class CaseInputs:
    """All tables of an investigation, read as `REFERENCE` and `EVIDENCE` say; only what was approved.

    ``own`` is of the case's subject, ``others`` of people whom a cell-presence request returned. ``requests`` names the
    request behind each table; ``refused`` counts rows that were left out before, by reason.
    """

    case: Case
    reference: Mapping[str, pa.Table]
    own: Mapping[str, pa.Table]
    others: Mapping[str, pa.Table] = field(default_factory=dict[str, pa.Table])
    requests: Mapping[str, str] = field(default_factory=dict[str, str])
    refused: Mapping[str, int] = field(default_factory=dict[str, int])
    test_data: bool = False
