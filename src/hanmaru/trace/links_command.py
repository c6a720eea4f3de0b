"""``hanmaru trace links``: a file of cases in, who probably infected whom out."""

import json
import time
from pathlib import Path

from hanmaru.trace import tables
from hanmaru.trace.attributes import IMPORTED, CaseFile, read_cases, with_contacts, with_visits
from hanmaru.trace.domain import TraceError
from hanmaru.trace.engine.clusters import clusters
from hanmaru.trace.engine.links import Inference, infer
from hanmaru.trace.engine.onsets import COURSES, agreement
from hanmaru.trace.engine.weights import Cases

AUTO = "auto"
CANDIDATES = ("covid-19", "mers", "measles")
UNTOLD = "covid-19"
TELLING = 3.0
"""By how much the log likelihood of another disease must exceed that of `UNTOLD`: twenty times likelier, our choice."""


def run(path: Path, visits: Path | None, contacts: Path | None, disease: str, out: str, as_json: bool) -> None:
    """Read cases, work out links, write them. Raises TraceError for what cannot be read or an unknown disease."""
    begun = time.perf_counter()
    if disease not in (AUTO, *COURSES):
        raise TraceError(f"there is no disease {disease}; take one of {AUTO}, {', '.join(COURSES)}")
    file = read_cases(path)
    if visits is not None:
        file = with_visits(file, visits)
    if contacts is not None:
        file = with_contacts(file, contacts)
    chosen, inference = work_out(file, disease)
    found = inference.links
    names = [*file.ids, IMPORTED]
    tables.write(
        out,
        {
            "infectee": [file.ids[i] for i in found.infectee],
            "infector": [names[i] for i in found.infector],
            "probability": found.probability,
            "rank": found.rank,
        },
    )
    summary = {
        "cases": len(file.ids),
        "links": len(found),
        "disease": chosen,
        "clusters": sum(len(cluster.cases) > 1 for cluster in clusters(len(file.ids), found)),
        "read": file.used,
        "unread": file.unread,
        "warnings": file.warnings,
        "seconds": round(time.perf_counter() - begun, 3),
    }
    if as_json:
        tables.tell(out, json.dumps(summary, ensure_ascii=False))
    else:
        tables.tell(out, f"{summary['cases']} cases, {summary['links']} links ({chosen}), read {', '.join(file.used)}")
        for warning in file.warnings:
            tables.tell(out, f"note: {warning}")


def work_out(file: CaseFile, disease: str = AUTO) -> tuple[str, Inference]:
    """Return the disease, judged from the onsets if it is ``auto``, and the links under its course."""
    chosen = disease if disease != AUTO else likeliest(file.cases)
    return chosen, infer(file.cases, COURSES[chosen])


def likeliest(cases: Cases) -> str:
    """Return the disease whose course agrees best with the intervals within households, or else classes and the like.

    The intervals of a whole outbreak do not tell diseases apart, nor do a few; without groups it is `UNTOLD`, and so it
    is unless another agrees better by `TELLING`.
    """
    known = ~cases.reported
    for kind in ("household", "group"):
        if codes := [group.code[known] for group in cases.groups if group.kind == kind]:
            onset = cases.onset_s[known]
            fit = {name: sum(agreement(onset, code, COURSES[name]) for code in codes) for name in CANDIDATES}
            best = max(CANDIDATES, key=lambda name: fit[name])
            return best if fit[best] > fit[UNTOLD] + TELLING else UNTOLD
    return UNTOLD
