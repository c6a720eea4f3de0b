"""A made-up investigation in the shapes that the trace room's routes answer, for looking at the screens alone.

Nobody in it exists. The screens' journey on the room's own routes is tested beside this.
"""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

CENTRE = (127.2890, 36.4800)
START = datetime(2026, 11, 9, 15, tzinfo=UTC)  # midnight in Seoul
DAYS = 13
DOTS = ["ping-pong", "load-sharing", "outlier"]


def at(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def spot(number: int) -> dict[str, Any]:
    names = [
        "한솔동 자택",
        "도담 체육관",
        "나성 치과",
        "Café Haneul",
        "정부청사 3동",
        "보람 마트",
        "새롬 학원",
        "어진 식당",
    ]
    kinds = ["home", "gym", "clinic", "cafe", "office", "shop", "school", "restaurant"]
    angle, metres = number * 2.4, 500 + 700 * (number % 5)
    lon = CENTRE[0] + metres * math.sin(angle) / 89_500
    lat = CENTRE[1] + metres * math.cos(angle) / 111_000
    return {"id": f"p{number}", "name": names[number % 8], "kind": kinds[number % 8], "lat": lat, "lon": lon}


def results(rows: int = 20_000) -> dict[str, Any]:
    """Return results with this many rows of evidence, most of them the phone's."""
    rng = random.Random(8)
    stays: list[dict[str, Any]] = []
    moves: list[dict[str, Any]] = []
    evidence: list[dict[str, Any]] = []
    for day in range(DAYS):
        plan = [(0, 8, 0), (9, 12, 4), (12.4, 13.2, 7), (13.5, 18, 4), (18.6, 20, 1 + day % 3), (20.7, 24, 0)]
        before: dict[str, Any] | None = None
        for n, (begin, end, where) in enumerate(plan):
            place, id = spot(where), f"s{day}-{n}"
            start, stop = START + timedelta(days=day, hours=begin), START + timedelta(days=day, hours=end)
            anchor = {"kind": "card" if where else "checkin", "label": f"{place['name']} 12,500원"}
            evidence.append(
                {
                    "id": f"card:{day}-{n}", **anchor, "start": at(start + timedelta(minutes=20)), "end": None,
                    "lat": place["lat"], "lon": place["lon"], "radius_m": 30.0, "request": "r-card",
                    "flags": ["late-posting"] if n == 2 and day % 4 == 1 else [], "used": not (n == 2 and day % 4 == 1),
                    "why": "late-posting" if n == 2 and day % 4 == 1 else "anchor",
                }
            )  # fmt: skip
            stays.append(
                {
                    "id": id, "start": at(start), "end": at(stop), "lat": place["lat"], "lon": place["lon"],
                    "radius_m": rng.choice([40.0, 120.0, 260.0]), "confidence": round(rng.uniform(0.55, 0.99), 2),
                    "places": [{**place, "probability": 0.8}], "evidence": [f"card:{day}-{n}"],
                }
            )  # fmt: skip
            if before is not None:
                a, b = (before["lon"], before["lat"]), (place["lon"], place["lat"])
                path = [
                    [a[0] + (b[0] - a[0]) * k / 4, a[1] + (b[1] - a[1]) * k / 4 + 0.001 * math.sin(k)] for k in range(5)
                ]
                moves.append(
                    {
                        "id": f"m{day}-{n}", "start": before["end"], "end": at(start), "path": path,
                        "radius_m": [60.0, 150.0, 220.0, 150.0, 60.0], "evidence": [],
                    }
                )  # fmt: skip
            before = {"lon": place["lon"], "lat": place["lat"], "end": at(stop)}
    for n in range(rows - len(evidence)):
        moment = START + timedelta(seconds=n * DAYS * 86_400 / rows)
        stay = next((s for s in stays if s["start"] <= at(moment) <= s["end"]), stays[0])
        flags = [DOTS[n % 3]] if n % 41 == 0 else []
        evidence.append(
            {
                "id": f"phone:{n}", "kind": "phone", "start": at(moment), "end": None,
                "lat": stay["lat"] + rng.gauss(0, 0.0012), "lon": stay["lon"] + rng.gauss(0, 0.0012),
                "radius_m": 250.0, "label": f"KT-{n % 97:03d}", "request": "r-phone", "flags": flags,
                "used": not flags, "why": flags[0] if flags else "cell",
            }
        )  # fmt: skip
    contacts: list[dict[str, Any]] = []
    for n in range(60):
        stay = stays[(n * 7 + 4) % len(stays)]
        reason = {"minutes": 40 + n, "start": stay["start"], "end": stay["end"], "weight": 2.1}
        contacts.append(
            {
                "id": f"c-{n}", "subject": f"P{1000 + n * 37}", "probability": round(0.97 * 0.93**n, 4),
                "minutes": 140 - 2 * n, "start": stay["start"], "end": stay["end"], "lat": stay["lat"],
                "lon": stay["lon"], "rank": n + 1, "place": stay["places"][0] if n % 5 else None,
                "reasons": [
                    {"kind": "same_place", **reason, "evidence": stay["evidence"], "other_evidence": 3},
                    {"kind": "same_cell", **reason, "evidence": [f"phone:{n}", f"phone:{n + 1}"], "other_evidence": 12},
                ],
                "decision": None,
            }
        )  # fmt: skip
    hotspots = [
        {
            "id": f"h{n}", "lat": spot(n + 1)["lat"], "lon": spot(n + 1)["lon"], "radius_m": 60.0 + 40 * n,
            "start": stays[4]["start"], "end": stays[4]["end"], "people": 9 - n, "expected": 1.4 + n / 10,
            "probability": 0.93 - 0.2 * n, "place": spot(n + 1), "stays": [stays[4]["id"]],
        }
        for n in range(3)
    ]  # fmt: skip
    cameras = [
        {
            "camera_id": f"SJ-{100 + n}", "lat": spot(n)["lat"] + 0.0006, "lon": spot(n)["lon"] + 0.0005,
            "windows": [
                {"start": s["start"], "end": s["end"], "probability": 0.7, "stay": s["id"]} for s in stays[n : n + 2]
            ],
        }
        for n in range(8)
    ]  # fmt: skip
    return {
        "version": 1,
        "made_at": at(START + timedelta(days=DAYS)),
        "test_data": True,
        "period": {"start": at(START), "end": at(START + timedelta(days=DAYS))},
        "engine": {},
        "evidence": evidence,
        "stays": stays,
        "moves": moves,
        "contacts": contacts,
        "hotspots": hotspots,
        "cameras": cameras,
        "counts": {"phone_rows": rows, "stays": len(stays), "contacts": len(contacts)},
        "refused": {"out_of_period": 12, "out_of_scope": 3},
    }


def chain(cases: int = 24) -> dict[str, Any]:
    """Return a chain: each case's likeliest source is an earlier one, a second source is less likely."""
    listed = [
        {
            "id": f"k{n}", "label": f"2026-{n + 1:03d}", "cluster": f"g{n % 3}" if n % 8 else None,
            "status": "following", "onset": at(START + timedelta(days=n * 0.7))[:10],
        }
        for n in range(cases)
    ]  # fmt: skip
    links: list[dict[str, Any]] = []
    for n in range(1, cases):
        likely = round(0.9 - 0.02 * (n % 20), 3)
        pair = ((n - 1) // 2, likely), (max(0, n - 3), round((1 - likely) * 0.7, 3))
        seen: set[int] = set()
        for rank, (source, probability) in enumerate(pair, 1):
            if source not in seen and source != n:
                seen.add(source)
                links.append(
                    {
                        "infectee": f"k{n}", "infector": f"k{source}", "probability": probability, "rank": rank,
                        "reasons": ["onset", "place"],
                    }
                )  # fmt: skip
        links.append(
            {"infectee": f"k{n}", "infector": "imported", "probability": 0.02, "rank": 3, "reasons": ["onset"]}
        )
    clusters = [
        {"id": f"g{g}", "cases": [c["id"] for c in listed if c["cluster"] == f"g{g}"], "probability": 0.9 - 0.1 * g}
        for g in range(3)
    ]
    return {"cases": listed, "links": links, "clusters": clusters}
