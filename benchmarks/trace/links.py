"""Who infected whom in real outbreaks with known infectors, beside what onsets alone tell, in the same run.

Parameters are published or round, not optimised on these outbreaks (docs/explanation/trace-links.md). The files are
made as a user would make them: onset and attributes; what states an infector is only scored against. DS4C may be
measured with, no more (CC BY-NC-SA).
"""

import csv
import math
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from hanmaru.trace.attributes import CaseFile, read_cases, with_visits
from hanmaru.trace.engine.plane import Plane
from hanmaru.trace.links_command import likeliest, work_out

DATA = Path(os.environ.get("HANMARU_TEST_DATA", Path(__file__).parents[3] / "shared/data")) / "outbreaks"
Rows = list[dict[str, str]]
Truth = dict[str, list[str]]


def run(quick: bool) -> dict[str, Any]:
    """Return for each outbreak the figures of onsets alone and of all attributes; quick leaves out the larger two."""
    if not DATA.is_dir():
        return {"skipped": "the outbreaks are not at HANMARU_TEST_DATA"}
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Any] = {"hagelloch": hagelloch(Path(folder)), "tianjin": tianjin(Path(folder))}
        if not quick:
            made |= {"ds4c": ds4c(Path(folder)), "ebola (simulated)": ebola(Path(folder))}
        return made


def hagelloch(folder: Path) -> dict[str, Any]:
    """Measles 1861: 188 children, family, class, place of the house; 184 known infectors of the list."""
    people = read("measles_hagelloch_1861.csv")
    named = {"case_ID": "case_id", "date_of_prodrome": "onset"}
    more = {key: key for key in ("family_ID", "class", "x_loc", "y_loc", "age", "gender")}
    truth = {row["case_ID"]: [row["infector"]] for row in people}
    return compare(
        folder, people, named, more, truth, "measles", imported=lambda row: row["infector"] not in ids(people)
    )


def tianjin(folder: Path) -> dict[str, Any]:
    """COVID-19 2020: 135 cases with onset, confirmation and exposure window; one or several possible sources each."""
    people = [
        {key.strip(): dated(value) for key, value in row.items()}
        for row in read("tianjin/colijn_Tianjin135cases_revised.csv")
    ]
    edges = {row["case_id"].strip(): row for row in read("tianjin/colijn_tianjin_edges_clean.csv")}
    truth = {key: [(row[f"edge{k}"] or "").strip() for k in range(1, 5)] for key, row in edges.items()}
    named = {"case_id": "case_id", "symptom_onset": "onset", "confirm_date": "confirmed"}
    more = {key: key for key in ("start_source", "end_source", "gender", "age")}
    abroad = {key for key, row in edges.items() if row["infection_source_named"] in ("Wuhan", "Hubei")} - {
        key for key, sources in truth.items() if any(sources)
    }
    return compare(folder, people, named, more, truth, "covid-19", imported=lambda row: row["case_id"] in abroad)


def ds4c(folder: Path) -> dict[str, Any]:
    """COVID-19 in Korea 2020: 4,004 people, of the infected by a known one 329 with both routes."""
    people = [row | {"case_id": row["patient_id"]} for row in read("ds4c/PatientInfo.csv")]
    route = read("ds4c/PatientRoute.csv")
    visits = folder / "visits.csv"
    write(
        visits, route, {"patient_id": "subject", "date": "date", "latitude": "lat", "longitude": "lon", "type": "type"}
    )
    travelled = {row["patient_id"] for row in route}
    named = {"case_id": "case_id", "symptom_onset_date": "onset", "confirmed_date": "confirmed_date"}
    more = {key: key for key in ("province", "city", "sex", "age")}
    truth = {row["case_id"]: [row["infected_by"]] for row in people}
    both = {key for key, (source,) in truth.items() if key in travelled and source in travelled}
    made = compare(
        folder,
        people,
        named,
        more,
        truth,
        "covid-19",
        imported=lambda row: row["infection_case"] == "overseas inflow" and row["infected_by"] not in ids(people),
        visits=visits,
        among=both,
    )
    return made | {"visits within 200 m on one day": radius(route, truth, both)}


def ebola(folder: Path) -> dict[str, Any]:
    """A simulated epidemic whose hospitals and places say nothing of who infected whom: what noise costs, and speed."""
    people = read("ebola_sim_clean_linelist.csv")
    truth = {row["case_id"]: [row["infector"]] for row in read("ebola_sim_clean_contacts.csv")}
    named = {"case_id": "case_id", "date_of_onset": "onset"}
    more = {key: key for key in ("hospital", "lat", "lon")}
    return compare(folder, people, named, more, truth, "ebola")


def compare(
    folder: Path,
    people: Rows,
    named: dict[str, str],
    more: dict[str, str],
    truth: Truth,
    disease: str,
    imported: Any = None,
    visits: Path | None = None,
    among: set[str] | None = None,
) -> dict[str, Any]:
    """Score the links from onsets alone, and with the other columns and visits."""
    write(folder / "onsets.csv", people, named)
    write(folder / "all.csv", people, named | more)
    bare, full = read_cases(folder / "onsets.csv"), read_cases(folder / "all.csv")
    known = {key: [s for s in sources if s in set(full.ids)] for key, sources in truth.items() if key in set(full.ids)}
    known = {key: sources for key, sources in known.items() if sources and (among is None or key in among)}
    abroad = [row["case_id" if "case_id" in row else "case_ID"] for row in people if imported and imported(row)]
    made = {
        "cases": len(full.ids),
        "infectees scored": len(known),
        "disease that auto takes": likeliest(full.cases),
        "onsets alone": score(bare, disease, known, abroad),
        "with attributes": score(full, disease, known, abroad),
    }
    if visits:
        made["with attributes and routes"] = score(with_visits(full, visits), disease, known, abroad)
    return made


def score(file: CaseFile, disease: str, truth: Truth, abroad: Iterable[str]) -> dict[str, float]:
    """Return top-1, top-5 (ties count by chance), log loss, calibration and how imported cases are told."""
    began = time.perf_counter()
    links = work_out(file, disease)[1].links
    seconds = time.perf_counter() - began
    at = {case_id: i for i, case_id in enumerate(file.ids)}
    first = np.searchsorted(links.infectee, np.arange(len(file.ids) + 1))
    outside = np.zeros(len(file.ids))
    outside[links.infectee[links.infector < 0]] = links.probability[links.infector < 0]
    hits, fives, loss, sure, right = [], [], [], [], []
    for key, sources in truth.items():
        rows = slice(first[at[key]], first[at[key] + 1])
        cases = links.infector[rows] >= 0
        who, probability = links.infector[rows][cases], links.probability[rows][cases]
        mine = probability[np.isin(who, [at[source] for source in sources])]
        best = mine.max() if len(mine) else 0.0
        above, level = (probability > best + 1e-12).sum(), (abs(probability - best) <= 1e-12).sum()
        hits.append((above == 0) / level if best else 0.0)
        fives.append(min(max((5 - above) / level, 0.0), 1.0) if best else 0.0)
        loss.append(-math.log(max(float(mine.sum()), 1e-6)))
        sure.append(probability.max() if len(probability) else 0.0)
        right.append(hits[-1])
    abroad_at = [at[key] for key in abroad if key in at]
    inside_at = [at[key] for key in truth]
    bins = np.digitize(sure, np.linspace(0, 1, 11)[1:-1])
    gaps = [
        abs(np.mean(np.array(sure)[bins == b]) - np.mean(np.array(right)[bins == b])) * (bins == b).sum()
        for b in set(bins)
    ]
    made = {
        "top-1": float(np.mean(hits)),
        "top-5": float(np.mean(fives)),
        "log loss": float(np.mean(loss)),
        "mean probability of the first": float(np.mean(sure)),
        "calibration error of the first": float(sum(gaps) / len(sure)),
        "P(imported) of infected here": float(outside[inside_at].mean()),
    }
    if abroad_at:
        made["P(imported) of imported"] = float(outside[abroad_at].mean())
        made["imported told by P > 0.5"] = float((outside[abroad_at] > 0.5).mean())
    return {name: round(value, 4) for name, value in made.items()} | {"seconds": round(seconds, 2)}


def radius(route: Rows, truth: Truth, both: set[str]) -> dict[str, float]:
    """Return how many true pairs, and how few others, two visits within 200 m on one day find."""
    who, day = [row["patient_id"] for row in route], [row["date"] for row in route]
    lat, lon = (np.array([float(row[key]) for row in route]) for key in ("latitude", "longitude"))
    tree = cKDTree(np.stack(Plane.about(lon, lat).xy(lon, lat), axis=1))
    near = tree.query_pairs(200.0)
    pairs = {frozenset((who[i], who[j])) for i, j in near if who[i] != who[j] and day[i] == day[j]}
    found = sum(frozenset((key, truth[key][0])) in pairs for key in both)
    return {"recall": round(found / len(both), 4), "precision": round(found / len(pairs), 4)}


def ids(people: Rows) -> set[str]:
    """Return the ids of a list of people."""
    return {row["case_id" if "case_id" in row else "case_ID"] for row in people}


def read(name: str) -> Rows:
    """Return the rows of one of the outbreaks' files."""
    with (DATA / name).open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def write(path: Path, rows: Rows, columns: dict[str, str]) -> None:
    """Write some columns of rows under other names."""
    with path.open("w", newline="") as lines:
        out = csv.writer(lines)
        out.writerow(columns.values())
        out.writerows([(row[key] or "").strip() for key in columns] for row in rows)


def dated(text: str | None) -> str | None:
    """Return a date of the form dd/mm/yyyy as ISO 8601, other texts as they are."""
    parts = (text or "").split("/")
    return "-".join(reversed(parts)) if len(parts) == 3 and all(part.isdigit() for part in parts) else text
