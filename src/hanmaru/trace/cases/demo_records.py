"""What the demo's providers answer with: records of a few of the simulated city's people, made by ``trace.synth``.

``python -m hanmaru.trace.cases.demo_records FOLDER PROFILE PEOPLE DAYS LAST`` makes them in a process of its own, which
gives its memory back, and is run once.
"""

# pyright: basic
# (pyarrow has no types)

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

PEOPLE = 6
"""How many people a demo's cases may be."""
MOST_OTHERS = 60
"""People who were where such a person was, whose phones a carrier tells of."""
TOGETHER_S = 900


def make(folder: Path, profile: str, sample: int, days: int, last: date) -> None:
    """Write records of `PEOPLE` people of a city for the days up to ``last``, and the tables of where things are."""
    import numpy as np
    import pyarrow as pa

    from hanmaru.city import places as place
    from hanmaru.trace import synth
    from hanmaru.trace.synth import files, records, truth

    world = synth.city(sample, days, last - timedelta(days - 1), 1, "A", profile)
    reference = folder / "reference"
    reference.mkdir(parents=True, exist_ok=True)
    for name, table in records.reference(world).items():
        files.csv(reference / f"{name}.csv", table)
    city, visits = world.city, world.days
    homes = (place.HOUSE, place.APARTMENT)
    away = ~np.isin(city.places.kind[visits.place], homes) & np.isin(visits.place, world.inside)
    trips = np.bincount(np.searchsorted(world.people, visits.person[away]), minlength=len(world.people))
    works = city.population.work[world.people] >= 0
    phones = world.phones.owned[world.people]
    chosen = world.people[np.argsort(-(trips * works * phones), kind="stable")[:PEOPLE]]
    cells, shops = pa.array(world.network.ids), pa.array(records.merchant_id(np.arange(len(world.shops))))
    spots = truth.place_ids(world)

    def during(table: Any, who: Any) -> Any:
        which = np.isin(table.subject, who)
        return type(table)(*(getattr(table, name)[which] for name in type(table).__dataclass_fields__))

    for number, person in enumerate(chosen.tolist()):
        own = folder / str(number)
        mine = np.flatnonzero((visits.person == person) & away)
        stayed = np.bincount(visits.place[mine], (visits.end_s - visits.start_s)[mine])
        busiest = int(np.argmax(stayed))
        near = np.zeros(len(visits.place), np.bool_)
        for i in mine.tolist():
            here = (visits.place == visits.place[i]) & away
            both = np.minimum(visits.end_s, visits.end_s[i]) - np.maximum(visits.start_s, visits.start_s[i])
            near |= here & (both >= TOGETHER_S)
        others = np.setdiff1d(np.unique(visits.person[near]), [person])[:MOST_OTHERS]
        for who, where in ((np.array([person]), own), (others, own / "others")):
            where.mkdir(parents=True, exist_ok=True)
            with files.Out(where / "phone.parquet") as out:
                for day in range(days):
                    out.add(records.phone(world, world.events(day, who), cells))
        for name in ("cards", "checkins"):
            with files.Out(own / f"{name}.parquet") as out:
                for day in range(days):
                    if name == "cards":
                        out.add(records.cards(during(world.paid(day), [person]), shops))
                    else:
                        out.add(records.checkins(during(world.checked_in(day), [person]), spots))
        points = {"home": int(city.population.home[person]), "busiest": busiest}
        if (work := int(city.population.work[person])) in world.inside:
            points["work"] = work
        at = {kind: city.places.lonlat[index].tolist() for kind, index in points.items()}
        facts = {kind: {"lat": round(lat, 6), "lon": round(lon, 6)} for kind, (lon, lat) in at.items()}
        (own / "person.json").write_text(json.dumps({**facts, "others": len(others)}), "utf-8")
    (folder / "made.json").write_text(json.dumps({"people": len(chosen), "last": last.isoformat()}), "utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), date.fromisoformat(sys.argv[5]))
