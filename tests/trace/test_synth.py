"""The test city: rates as published, errors as stated, truth that fits what is seen, no dependence on samples."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hanmaru.city.build import build
from hanmaru.city.plane import nearest, tree
from hanmaru.city.profile import load
from hanmaru.trace import synth, tables
from hanmaru.trace.cli import app
from hanmaru.trace.domain import TraceError
from hanmaru.trace.evidence import casedir
from hanmaru.trace.synth import cameras, cells, checkins, near, paths, payments, phones, presence, statements
from hanmaru.trace.synth.paths import Moves
from hanmaru.trace.synth.phones import Events
from hanmaru.trace.synth.world import World


@pytest.fixture(scope="module")
def world() -> World:
    """3,000 people of a small city for two days."""
    return synth.city(people=3000, days=2, start="2026-03-03", seed=5, profile="hanbit")


@pytest.fixture(scope="module")
def seen(world: World) -> Events:
    """What carriers record on the first day."""
    return synth.events(world)


def test_masts_stand_as_far_apart_as_published() -> None:
    city = build(load("sejong"))
    a, b = cells.make(city, "A"), cells.make(city, "B")
    for carrier in range(3):
        own = a.mast_carrier == carrier
        xy, planned = a.mast_xy[own], a.spacing_m[own]
        metres = np.hypot(*(xy[near.nearest(xy, xy, 2)[:, 1]] - xy).T)
        for low, high in ((50, 200), (200, 300), (500, 1000)):
            zone = (planned >= low) & (planned < high)
            assert zone.sum() > 100
            assert low <= metres[zone].mean() <= high
            assert metres[zone].mean() == pytest.approx(planned[zone].mean(), rel=0.25)
    shared = set(map(tuple, a.mast_xy.round().tolist())) & set(map(tuple, b.mast_xy.round().tolist()))
    assert len(shared) < 10  # of 7,800 drawn apart, one or two fall on the same square metre by chance
    assert (cells.make(city, "A").mast_xy == a.mast_xy).all()
    assert np.isnan(a.azimuth_deg[a.spacing_m[a.mast] < cells.OMNI_M]).all()
    assert len(set(a.ids)) == len(a)


def test_a_phone_has_228_events_a_day(world: World) -> None:
    everybody = np.arange(len(world.city.population))
    rate = world.phones.rate
    assert rate.min() >= phones.FEWEST
    assert rate.max() <= phones.MOST
    assert rate[everybody].mean() == pytest.approx(phones.EVENTS_A_DAY, rel=0.01)
    owned = world.people[world.phones.owned[world.people]]
    for day in range(world.n_days):
        counts = np.bincount(np.searchsorted(owned, synth.events(world, day).subject), minlength=len(owned))
        assert counts.mean() == pytest.approx(world.phones.rate[owned].mean(), rel=0.02)


def test_events_come_in_bursts_and_by_the_clock(seen: Events) -> None:
    gap = np.diff(seen.time_s)[np.diff(seen.subject) == 0]
    assert (gap >= 0).all()
    assert np.median(gap) < 60
    assert np.mean(gap) > 300
    assert (gap == phones.PERIODIC_S).mean() > 0.01
    night = (seen.time_s - seen.time_s.min()) % 86400 < 5 * 3600
    assert night.mean() < 5 / 24 / 1.5


def test_phones_are_off_and_left_at_home_as_often_as_stated(world: World) -> None:
    who = np.arange(20_000)
    off_from, off_to, left = phones.fates(who, world.midnight(0), world.seed)
    assert (off_to > 0).mean() == pytest.approx(phones.OFF_SHARE, rel=0.1)
    assert left.mean() == pytest.approx(phones.LEFT_SHARE, rel=0.15)
    hours = (off_to - off_from)[off_to > 0] / 3600
    assert hours.min() >= phones.OFF_H[0] - 0.001
    assert hours.max() <= phones.OFF_H[1]


def test_nothing_is_recorded_while_a_phone_is_off_or_elsewhere_than_it_is_left(world: World, seen: Events) -> None:
    off_from, off_to, left = phones.fates(seen.subject, world.midnight(0), world.seed)
    assert not ((seen.time_s >= off_from) & (seen.time_s < off_to)).any()
    home = world.city.places.xy[world.city.population.home[seen.subject]]
    at = np.stack((seen.phone_x_m, seen.phone_y_m), axis=1)
    assert left.any()
    assert (at[left] == home[left]).all()
    assert (seen.phone_x_m[~left] == seen.true_x_m[~left]).all()
    assert (seen.true_x_m[left] != seen.phone_x_m[left]).any()


def test_hand_overs_and_reported_errors_are_as_stated(world: World, seen: Events) -> None:
    share = np.bincount(seen.why, minlength=3) / len(seen)
    assert share[phones.PINGED] == pytest.approx(phones.PING_PONG, rel=0.25)
    assert share[phones.SHARED] == pytest.approx(phones.LOAD_SHARING, rel=0.2)
    error = np.hypot(seen.x_m - seen.phone_x_m, seen.y_m - seen.phone_y_m)
    usual = seen.why != phones.SHARED
    assert (error[usual] <= seen.radius_m[usual]).mean() == pytest.approx(0.68, abs=0.06)
    assert np.median(error[~usual]) > 2 * np.median(error[usual])
    # The regulator's figure leaves out the worst tenth; passive records are between its 100 m and a few times 225 m.
    assert 60 < np.sort(error)[: int(0.9 * len(error))].mean() < 400
    mast = np.hypot(*(world.network.xy[seen.cell] - np.stack((seen.phone_x_m, seen.phone_y_m), axis=1)).T)
    assert np.quantile(mast, 0.99) < 8 * np.quantile(world.network.radius_m[seen.cell], 0.99)
    pairs = np.flatnonzero((seen.why[1:] == phones.PINGED) & (seen.why[:-1] == phones.PINGED))
    assert (seen.cell[pairs] != seen.cell[pairs + 1]).mean() > 0.3


def test_records_do_not_depend_on_who_else_is_asked_for(world: World, seen: Events) -> None:
    some = np.unique(world.city.population.household[world.people])[::7]
    few = world.people[np.isin(world.city.population.household[world.people], some)]
    again = synth.events(world, 0, few)
    mine = np.isin(seen.subject, few)
    for name in ("subject", "time_s", "cell", "x_m", "radius_m", "why"):
        assert (getattr(again, name) == getattr(seen, name)[mine]).all(), name
    paid, own = world.paid(0), world.paid(0, few)
    mine = np.isin(paid.payer, few)
    assert (np.sort(paid.true_s[mine]) == np.sort(own.true_s)).all()
    other = synth.city(people=800, days=1, start="2026-03-03", seed=5, profile="hanbit")
    both = np.intersect1d(other.people, world.people)
    assert len(both) > 100
    theirs = synth.events(other, 0, both)
    mine = np.isin(seen.subject, both)
    assert (theirs.cell == seen.cell[mine]).all()
    assert (theirs.time_s == seen.time_s[mine]).all()
    assert len(synth.events(world, 0, few[:0])) == 0


def test_a_phone_is_where_its_person_is(world: World, seen: Events) -> None:
    days = world.days
    order = np.searchsorted(days.person * 2**33 + days.start_s, seen.subject * 2**33 + seen.time_s, side="right") - 1
    inside = (days.person[order] == seen.subject) & (seen.time_s < days.end_s[order])
    assert 0.75 < inside.mean() < 0.99
    spot = world.spots.of(world.city.profile.seed, days.person[order], days.place[order])
    at = np.stack((seen.true_x_m, seen.true_y_m), axis=1)
    assert (at[inside] == world.spots.xy[spot[inside]]).all()
    moves = world.moves
    k = np.searchsorted(moves.person * 2**33 + moves.start_s, seen.subject * 2**33 + seen.time_s, side="right") - 1
    leg = paths.select(moves, k[~inside])
    share = (seen.time_s[~inside] - leg.start_s) / (leg.end_s - leg.start_s)
    way = paths.at_share(world.ways, world.spots, leg, share)
    np.testing.assert_allclose(at[~inside], way, atol=1e-6)


def test_paths_follow_the_roads(world: World) -> None:
    some = paths.select(world.moves, np.arange(0, len(world.moves), 29))
    here = paths.at_share(world.ways, world.spots, some, np.full(len(some), 0.5))
    ends = world.spots.xy[some.from_spot], world.spots.xy[some.to_spot]
    for share, end in ((0.0, ends[0]), (1.0, ends[1])):
        np.testing.assert_allclose(paths.at_share(world.ways, world.spots, some, np.full(len(some), share)), end)
    crow = np.hypot(*(ends[0] - ends[1]).T)
    far = crow > 1500
    beside = nearest(tree(world.city.roads.midpoints()), here)
    off = np.hypot(*(world.city.roads.midpoints()[beside] - here).T)
    assert np.median(off[far]) < 150
    assert set(np.unique(world.moves.mode[np.isin(world.moves.person, some.person)])) <= {0, 1, 2}


def test_adults_pay_1_6_times_a_day_and_records_err_as_stated(world: World) -> None:
    adults = (world.city.population.age[world.people] >= 19).sum()
    days = [world.paid(day) for day in range(world.n_days)]
    cards = [(p, ~p.transit) for p in days]
    total = sum(int(k.sum()) for _, k in cards)
    assert total / adults / world.n_days == pytest.approx(payments.PAYMENTS_A_DAY, rel=0.06)
    error = np.concatenate([p.error[k] for p, k in cards])
    online = (error == payments.IS_ONLINE).mean()
    assert payments.ONLINE < online < 0.45
    person = ~np.isin(error, (payments.IS_ONLINE, payments.IS_DELIVERED))
    assert (error[person] == payments.IS_BATCHED).mean() == pytest.approx(payments.BATCHED, rel=0.4)
    assert (error[person] == payments.IS_LATE).mean() == pytest.approx(payments.LATE, rel=0.4)
    whose = np.concatenate([(p.subject != p.payer)[k] for p, k in cards]).mean()
    assert 0.4 * payments.BORROWED < whose < 1.2 * payments.BORROWED
    for paid, card in cards:
        family = world.city.population.household
        assert (family[paid.subject] == family[paid.payer]).all()
        assert (world.shops.online[paid.merchant] == (paid.error == payments.IS_ONLINE)).all()
        assert (paid.posted_s >= paid.time_s).all()
        assert (paid.time_s[paid.error != payments.IS_BATCHED] == paid.true_s[paid.error != payments.IS_BATCHED]).all()
        assert (paid.channel[card & (paid.error == payments.IS_ONLINE)] != 0).all()


def test_payments_in_person_are_made_near_the_person(world: World) -> None:
    paid, days = world.paid(0), world.days
    real = ~paid.transit & np.isin(paid.error, (payments.OK, payments.IS_LATE, payments.IS_BATCHED))
    who, at, shop = paid.payer[real], paid.true_s[real], world.shops.xy[paid.merchant[real]]
    closest = np.full(len(who), np.inf)
    for shift in (-240, 0, 240):
        v = np.searchsorted(days.person * 2**33 + days.start_s, who * 2**33 + at + shift, side="right") - 1
        for w in (v, np.minimum(v + 1, len(days) - 1)):
            beside = (days.person[w] == who) & (days.start_s[w] - 300 <= at) & (at <= days.end_s[w] + 300)
            spot = world.spots.of(world.city.profile.seed, days.person[w], days.place[w])
            metres = np.hypot(*(world.spots.xy[spot] - shop).T)
            closest = np.where(beside, np.minimum(closest, metres), closest)
    assert (closest <= 501).all()
    assert (closest == 0).mean() > 0.3
    wrong = np.hypot(*(world.city.land.plane.xy(world.shops.lonlat) - world.shops.xy).T)[world.shops.place >= 0]
    assert (wrong > 100).mean() == pytest.approx(payments.HEAD_OFFICE + payments.MISPLACED, rel=0.4)


def test_taps_are_at_stops_beside_the_ride(world: World) -> None:
    paid = world.paid(0)
    taps = np.flatnonzero(paid.transit)
    assert len(taps) > 30
    assert (paid.merchant[taps] >= world.shops.stop_from).all()
    boarded, alighted = (paid.amount_krw[taps] > 0).sum(), (paid.amount_krw[taps] == 0).sum()
    assert alighted / boarded == pytest.approx(1 - payments.MISSED_TAP, abs=0.06)
    moves = world.moves
    k = np.searchsorted(
        moves.person * 2**33 + moves.start_s, paid.payer[taps] * 2**33 + paid.true_s[taps], side="right"
    )
    trip: Moves = paths.select(moves, k - 1)
    assert (trip.mode == paths.TRANSIT).all()
    share = (paid.true_s[taps] - trip.start_s) / (trip.end_s - trip.start_s)
    off = paths.at_share(world.ways, world.spots, trip, share) - world.shops.xy[paid.merchant[taps]]
    assert np.median(np.hypot(*off.T)) < 500


def test_some_scan_at_some_doors(world: World) -> None:
    found = world.checked_in(0)
    codes = checkins.codes(world.city)
    assert codes[found.place].all()
    assert world.phones.owned[found.subject].all()
    days, start = world.days, world.midnight(0)
    arrived = codes[days.place] & world.phones.owned[days.person] & (days.start_s >= start)
    arrived &= (days.start_s < start + 86400) & (world.city.population.work[days.person] != days.place)
    visitors = world.city.population.work[found.subject] != found.place
    assert visitors.sum() / arrived.sum() == pytest.approx(checkins.COMPLIANCE, abs=0.08)


def test_fixes_are_good_to_their_radius(world: World) -> None:
    found = [world.fixes(day) for day in range(world.n_days)]
    who = np.unique(np.concatenate([f.subject for f in found]))
    assert 0 < len(who) < 4 * checkins.CONSENTED * len(world.people)
    inside = 0
    total = 0
    for fix in found:
        days = world.days
        v = np.searchsorted(days.person * 2**33 + days.start_s, fix.subject * 2**33 + fix.time_s, side="right") - 1
        at_rest = fix.time_s < days.end_s[v]
        spot = world.spots.of(world.city.profile.seed, days.person[v], days.place[v])
        error = np.hypot(*(world.spots.xy[spot] - np.stack((fix.x_m, fix.y_m), axis=1)).T)[at_rest]
        inside, total = inside + (error <= fix.radius_m[at_rest]).sum(), total + len(error)
    assert inside / total == pytest.approx(0.68, abs=0.03)


def test_who_passes_a_camera_is_in_its_field(world: World) -> None:
    views, moves, passes = world.cameras, world.moves, world.passes
    assert len(views) > 40
    street = np.flatnonzero(views.node[passes.camera] >= 0)
    assert len(street) > 100
    k = np.searchsorted(
        moves.person * 2**33 + moves.start_s, passes.person[street] * 2**33 + passes.time_s[street], side="right"
    )
    trip = paths.select(moves, k - 1)
    share = (passes.time_s[street] - trip.start_s) / (trip.end_s - trip.start_s)
    at = paths.at_share(world.ways, world.spots, trip, share) - views.xy[passes.camera[street]]
    metres = np.hypot(*at.T)
    assert np.quantile(metres, 0.95) < cameras.STREET_RANGE_M + 15  # times are whole seconds: a car goes 14 m
    off = np.degrees(np.arctan2(at[:, 0], at[:, 1])) - views.azimuth_deg[passes.camera[street]]
    slow = (trip.mode == paths.WALK) & (metres > 5)
    assert (np.abs((off[slow] + 180) % 360 - 180) < cameras.STREET_FOV_DEG / 2 + 20).mean() > 0.95
    door = views.node[passes.camera] < 0
    assert 0.6 < passes.seen[door].mean() < cameras.SEEN_AT_DOOR + 0.03
    assert passes.seen[street][trip.mode == paths.CAR].mean() < 0.35


def test_a_reviewer_misses_some_and_mistakes_some(world: World) -> None:
    passes = world.passes
    person = int(np.bincount(passes.person).argmax())
    own = np.flatnonzero(passes.person == person)
    windows = passes.camera[own], passes.time_s[own] - 600, passes.time_s[own] + 600
    found = cameras.review(passes, person, *windows, seed=3)
    at = set(zip(passes.camera[own].tolist(), passes.time_s[own].tolist(), strict=True))
    reported = set(zip(found.camera[found.true].tolist(), found.time_s[found.true].tolist(), strict=True))
    assert reported <= at
    assert len(reported) == len({(c, t) for c, t, s in zip(*_columns(passes, own), strict=True) if s})
    everybody = np.unique(passes.camera)
    start, end = np.full(len(everybody), world.midnight(0)), np.full(len(everybody), world.midnight(2))
    nobody = int(np.setdiff1d(world.people, passes.person)[0])
    wrong = cameras.review(passes, nobody, everybody, start, end, seed=3)
    assert not wrong.true.any()
    assert len(wrong.true) < 4 * cameras.MISTAKEN * len(everybody) + 5


def _columns(passes: cameras.Passes, which: np.ndarray) -> tuple[list[int], list[int], list[bool]]:
    return passes.camera[which].tolist(), passes.time_s[which].tolist(), passes.seen[which].tolist()


def test_a_cell_presence_request_finds_who_was_around(world: World, seen: Events) -> None:
    days, start = world.days, world.midnight(0)
    population = world.city.population
    owners = world.people[world.phones.owned[world.people]]
    _, off_to, left = phones.fates(owners, start, world.seed)
    steady = np.isin(population.work[owners], world.inside) & (off_to == 0) & ~left
    people = owners[steady][:: max(1, steady.sum() // 30)][:30]
    asked = presence.requests(world.network, seen, people, world.city.places.xy[population.home[people]], start)
    counts = np.zeros((len(world.people), len(people)), np.uint16)
    presence.count(asked, seen, world.people, counts)
    found = total = 0
    for k, person in enumerate(people.tolist()):
        assert counts[np.searchsorted(world.people, person), k] >= counts[:, k].max() * 0.5
        for v in np.flatnonzero((days.person == person) & (days.start_s < start + 86400)).tolist():
            home = world.city.places.xy[population.home[person]]
            if np.hypot(*(world.city.places.xy[days.place[v]] - home)) < 800:
                continue  # too near home to be asked for
            low, high = max(int(days.start_s[v]), start), min(int(days.end_s[v]), start + 86400)
            both = (days.place == days.place[v]) & (np.minimum(days.end_s, high) - np.maximum(days.start_s, low) > 7200)
            others = np.setdiff1d(np.intersect1d(days.person[both], owners[steady]), [person])
            found += (counts[np.searchsorted(world.people, others), k] >= presence.AT_LEAST).sum()
            total += len(others)
    assert total > 50
    assert found / total > 0.85


def test_a_case_remembers_most_of_its_visits(world: World) -> None:
    days, start, end = world.days, world.midnight(0), world.midnight(2)
    told = right = visits = 0
    for person in world.people[::10].tolist():
        said = statements.make(world.city, days, person, start, end, world.seed)
        mine = days.person == person
        for a, b, where in zip(said.start_s.tolist(), said.end_s.tolist(), said.place.tolist(), strict=True):
            overlap = np.minimum(days.end_s[mine], b) - np.maximum(days.start_s[mine], a)
            right += days.place[mine][overlap.argmax()] == where
            told += 1
        out = (days.place[mine] != world.city.population.home[person]) & np.isin(days.place[mine], world.inside)
        visits += (out & (days.end_s[mine] - days.start_s[mine] >= 1200)).sum()
    assert told / visits == pytest.approx(statements.REMEMBERED, abs=0.06)
    assert 0.7 < right / told <= 1 - statements.MIXED_UP / 2


def test_the_sample_is_dense_and_of_whole_households(world: World) -> None:
    p = world.city.population
    assert len(world.people) <= 3000 * 1.01
    assert len(world.people) > 2700
    chosen = np.isin(np.arange(len(p)), world.people)
    family = np.bincount(p.household, chosen)
    assert np.isin(family, (0, *np.unique(np.bincount(p.household)))).all()
    assert (family[family > 0] == np.bincount(p.household)[family > 0]).all()
    inside = np.isin(p.work[world.people], world.inside)
    mates = np.bincount(p.work[world.people][inside])
    random = len(world.people) / len(p)
    staff = np.bincount(p.work[p.work >= 0], minlength=len(mates))[: len(mates)]
    met = (mates * (mates - 1)).sum() / (mates * np.maximum(staff - 1, 0)).sum()
    assert met > 3 * random


def test_a_world_that_cannot_be_is_refused() -> None:
    with pytest.raises(TraceError, match="no cell layout 'C'"):
        synth.city(people=100, layout="C", profile="hanbit")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """What the command writes of a small city, and what it says."""
    out = tmp_path_factory.mktemp("synth") / "city"
    args = ["synth", str(out), "--people", "1500", "--days", "3", "--cases", "4", "--city", "hanbit", "--json"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    return out, json.loads(done.stdout)


def test_the_command_writes_what_its_page_says(written: tuple[Path, dict[str, object]]) -> None:
    out, told = written
    page = (Path(__file__).parents[2] / "docs/reference/trace-files.md").read_text("utf-8")
    section = page[page.index("## The test city") :]
    for name in ("cells.csv", "places.csv", "merchants.csv", "cameras.csv", "cases.csv"):
        header = (out / name).read_text("utf-8").partition("\n")[0].replace('"', "")
        assert f"| `{name}` | `{header}`" in section, (name, header)
    for path in sorted(out.glob("**/*.parquet")):
        group = pq.read_metadata(path).row_group(0)
        used = {encoding for i in range(group.num_columns) for encoding in group.column(i).encodings}
        assert used <= {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY"}, "what Spark reads"
        name = str(path.relative_to(out))
        if name.startswith("cases/"):
            continue
        label = "phone/day=YYYY-MM-DD/part-NNNN.parquet" if name.startswith("phone/") else name
        row = next((line for line in section.splitlines() if f"`{label}`" in line), "")
        columns = ",".join(pq.read_schema(path).names)
        assert f"`{columns}`" in row, (name, columns)
    rows = told["rows"]
    assert isinstance(rows, dict)
    assert rows["phone"] == sum(pq.read_metadata(p).num_rows for p in out.glob("phone/**/*.parquet"))
    assert len(list((out / "phone").iterdir())) == 3
    assert rows["infections"] == pq.read_metadata(out / "truth/infections.parquet").num_rows


def test_phone_files_are_sorted_and_read_as_events(written: tuple[Path, dict[str, object]]) -> None:
    out, _ = written
    wanted = {
        "subject": tables.TEXT,
        "time": tables.WHEN,
        "lat": tables.LAT,
        "lon": tables.LON,
        "accuracy_m": tables.MAYBE_METRES,
        "cell_id": tables.MAYBE_TEXT,
    }
    known = set(tables.read(out / "cells.csv", {"cell_id": tables.TEXT})["cell_id"].to_pylist())
    for day in sorted((out / "phone").iterdir()):
        table = tables.read(day / "part-0000.parquet", wanted)
        keys = list(zip(table["subject"].to_pylist(), tables.seconds(table, "time").tolist(), strict=True))
        assert keys == sorted(keys)
        assert set(table["cell_id"].to_pylist()) <= known


def test_truth_files_agree_with_one_another(written: tuple[Path, dict[str, object]]) -> None:
    out, _ = written
    visits = pq.read_table(out / "truth/visits.parquet").to_pylist()
    at: dict[tuple[str, str], list[tuple[object, object]]] = {}
    for v in visits:
        at.setdefault((v["subject"], v["place_id"]), []).append((v["start"], v["end"]))
    meetings = pq.read_table(out / "truth/encounters.parquet").to_pylist()
    assert len(meetings) > 1000
    for e in meetings[::17]:
        for who in (e["a"], e["b"]):
            spans = at[who, e["place_id"]]
            assert any(start <= e["start"] and e["end"] <= end + timedelta(seconds=20) for start, end in spans)  # type: ignore[operator]
    people = {p["subject"] for p in pq.read_table(out / "truth/people.parquet").to_pylist()}
    infections = pq.read_table(out / "truth/infections.parquet").to_pylist()
    known = {i["infectee"]: i for i in infections}
    for i in infections:
        assert i["infectee"] in people
        if i["infector"] is not None:
            assert known[i["infector"]]["time"] < i["time"]
        if i["reported"] is not None:
            assert i["onset"] <= i["reported"]


def test_a_case_folder_is_what_an_investigation_reads(written: tuple[Path, dict[str, object]]) -> None:
    out, told = written
    folders = sorted((out / "cases").iterdir())
    assert len(folders) == 4, told
    table = tables.read(out / "cases.csv", {"case_id": tables.TEXT, "subject": tables.TEXT, "onset": tables.WHEN})
    who = dict(zip(table["case_id"].to_pylist(), table["subject"].to_pylist(), strict=True))
    assert "infector" not in (out / "cases.csv").read_text("utf-8").partition("\n")[0]
    truth = pq.read_table(out / "truth/encounters.parquet").to_pylist()
    present = 0
    for folder in folders:
        facts = casedir.case(folder)
        assert facts.subject == who[facts.id]
        inputs = casedir.read(folder, facts, None, test_data=True)
        assert not any(inputs.refused.values())
        assert len(inputs.own["phone"]) > 50
        assert set(inputs.own["phone"]["subject"].to_pylist()) == {facts.subject}
        assert facts.subject not in set(inputs.others["phone"]["subject"].to_pylist())
        for name in ("cells", "places", "merchants", "cameras"):
            assert len(inputs.reference[name])
        cells_of = set(inputs.reference["cells"]["cell_id"].to_pylist())
        assert set(inputs.others["phone"]["cell_id"].to_pylist()) <= cells_of
        met = {e["b"] if e["a"] == facts.subject else e["a"] for e in truth if facts.subject in (e["a"], e["b"])}
        scanned = {r for t in (inputs.own, inputs.others) for r in t["checkins"]["place_id"].to_pylist()}
        assert scanned <= set(inputs.reference["places"]["place_id"].to_pylist())
        present += len(met & set(inputs.others["phone"]["subject"].to_pylist()))
    assert present > 4


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--start", "yesterday"], "is no date"),
        (["--days", "0"], "days"),
        (["--layout", "Z"], "no cell layout"),
        (["--cases", "900"], "at most 64 cases"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, args: list[str], says: str) -> None:
    with pytest.raises(TraceError, match=says):
        CliRunner().invoke(app, ["synth", str(tmp_path / "new"), *args], catch_exceptions=False)


def test_the_command_does_not_write_over_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept", "utf-8")
    with pytest.raises(TraceError, match="is not empty; choose a new folder"):
        CliRunner().invoke(app, ["synth", str(tmp_path)], catch_exceptions=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
