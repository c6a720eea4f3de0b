"""Every source of evidence: what a row says, and what it does not."""

import numpy as np
import pytest

from hanmaru.trace.evidence import cameras, catalogue, checkins, payments, phone, sightings, statements, work
from hanmaru.trace.evidence.investigate import investigate
from hanmaru.trace.evidence.rows import LATE_POSTING, ONLINE
from tests.trace import small_town as town

FILES = town.files()


def register(**own: tuple[float, float]) -> catalogue.Register:
    listed, paid = (town.table(name, FILES[f"{name}.csv"]) for name in ("places", "merchants"))
    return catalogue.read(listed, paid, own, 0, town.PLANE)


def codes(n: int) -> np.ndarray:
    return np.zeros(n, np.int64)


def test_a_sector_is_where_its_area_is() -> None:
    """Against points drawn evenly from the sector."""
    rng = np.random.default_rng(2)
    for reach, opening in ((300.0, 120.0), (1000.0, 65.0), (200.0, 360.0)):
        ahead, radius = phone.sector(np.array([reach]), np.array([opening]))
        r = reach * np.sqrt(rng.random(20_000))
        a = np.radians(opening) * (rng.random(20_000) - 0.5)
        x, y = r * np.sin(a), r * np.cos(a)
        assert ahead[0] == pytest.approx(y.mean(), abs=0.02 * reach)
        assert np.mean(np.hypot(x, y - ahead[0]) <= radius[0]) == pytest.approx(0.68, abs=0.07)


def test_a_phone_is_ahead_of_its_mast_and_unknown_cells_are_counted() -> None:
    cells = phone.cells(
        town.table(
            "cells", "cell_id,lat,lon,azimuth_deg,beam_deg,radius_m\nA,36.6,127.29,90,120,300\nB,36.6,127.29,,,300\n"
        )
    )
    rows = town.table(
        "phone",
        "subject,time,cell_id,lat,lon,accuracy_m\n"
        "P,2026-03-02T10:00:00Z,B,,,\nP,2026-03-02T09:00:00Z,A,,,\nP,2026-03-02T11:00:00Z,gone,,,\n"
        "P,2026-03-02T12:00:00Z,gone,36.61,127.29,80\n",
    )
    found = phone.locate(rows, codes(4), cells, town.PLANE)
    assert (found.unknown, found.row.tolist(), found.cell.tolist()) == (1, [1, 0, 3], [0, 1, -1])
    assert found.points.x_m[:2] == pytest.approx([165.4, 0], abs=1)
    assert found.points.radius_m[2] == 80
    assert found.points.y_m[2] == pytest.approx(1110, abs=5)


def test_merchants_are_the_places_they_are_in() -> None:
    r = register(home=town.degrees(town.HOME))
    assert r.merchant_at["m-bistro"] == r.place_at["bistro"]
    assert r.merchant_at["m-grocer"] == r.place_at["grocer"]  # another name, the same kind
    assert "m-web" not in r.merchant_at
    assert r.places[-1].kind == "home"
    assert r.engine.owner.tolist() == [-1] * 6 + [0]


def test_payments_online_say_nothing_and_unknown_merchants_are_counted() -> None:
    card, transit, unknown = payments.read(town.table("cards", FILES["cards.csv"]), codes(4), register())
    assert (len(card), len(transit), unknown) == (3, 0, 1)
    assert card.number.tolist() == [1, 2, 3]
    assert card.located.tolist() == [True, False, True]
    assert card.flags.tolist() == [0, ONLINE, 0]
    assert card.late[2] < card.late[0]  # posted a day later: its time is the till's


def test_a_transit_tap_is_an_instant_on_the_way() -> None:
    moves = work.work_out(town.inputs()).moves
    hour = (int(moves.start_s[0] + moves.end_s[0]) // 2 - town.MIDNIGHT) / town.HOUR
    rows = f"subject,time,merchant_id,kind\nP1,{town.iso(hour)},m-grocer,transit\n"
    _, transit, _ = payments.read(town.table("cards", rows), codes(1), register())
    assert (transit.kinds, transit.before_s[0], transit.after_s[0]) == (("transit",), 0, 0)
    found = investigate(town.inputs(cards=rows))
    assert any("transit:1" in move["evidence"] for move in found["moves"])
    assert not any("transit:1" in stay["evidence"] for stay in found["stays"])


def test_check_ins_statements_and_sightings_of_nowhere_are_counted() -> None:
    r = register()
    at = f"{town.iso(9)},{town.iso(10)}"
    _, lost = checkins.read(town.table("checkins", f"subject,time,place_id\nP1,{town.iso(9)},nowhere\n"), codes(1), r)
    assert lost == 1
    said, lost = statements.read(
        town.table(
            "statements",
            f"start,end,place_id,lat,lon,certainty\n{at},cafe-blue,,,unsure\n{at},,36.6,127.3,\n{at},,,,\n",
        ),
        0,
        r,
    )
    assert (len(said), lost, said.place.tolist()) == (2, 1, [r.place_at["cafe-blue"], -1])
    assert said.wrong[0] > said.wrong[1]
    seen_by = cameras.read(town.table("cameras", FILES["cameras.csv"]), town.PLANE)
    seen, lost = sightings.read(
        town.table("sightings", f"camera_id,time\nk-bistro,{town.iso(19)}\nk-gone,{town.iso(19)}\n"), 0, seen_by
    )
    assert (len(seen), lost) == (1, 1)
    x, y = town.PLANE.xy(seen.lon, seen.lat)
    assert (x[0], y[0]) == pytest.approx((800, 796), abs=3)


def test_a_card_used_far_from_the_phone_is_somebody_elses() -> None:
    rows = f"subject,time,merchant_id,kind\nP1,{town.iso(3)},m-far,card\nP1,{town.iso(19.5)},m-bistro,card\n"
    told = {e["id"]: e for e in investigate(town.inputs(cards=rows, checkins=""))["evidence"] if e["kind"] == "card"}
    assert told["card:1"]["flags"] == ["other-person"]
    assert (told["card:1"]["used"], told["card:1"]["why"]) == (False, "other-person")
    assert told["card:1"]["probability"] < 0.5 < 0.9 < told["card:2"]["probability"]
    assert told["card:2"]["used"]


def test_a_payment_posted_at_night_was_made_when_the_phone_was_there() -> None:
    rows = f"subject,time,merchant_id,kind,posted\nP1,{town.iso(23.5)},m-bistro,card,{town.iso(23.5)}\n"
    found = work.work_out(town.inputs(cards=rows, checkins=""))
    at = int(np.flatnonzero(found.judged.rows.start_s == town.at(23.5))[0])
    assert found.judged.rows.flags[at] == LATE_POSTING
    told = next(e for e in investigate(town.inputs(cards=rows, checkins=""))["evidence"] if e["id"] == "card:1")
    assert (told["why"], told["used"]) == ("late-posting", False)


def test_usual_times_follow_who_pays_first() -> None:
    r = register()
    before, after = r.around_s(np.array([r.place_at["bistro"], r.place_at["cafe-blue"]]), paid=True)
    assert before[0] > after[0]
    assert before[1] < after[1]
