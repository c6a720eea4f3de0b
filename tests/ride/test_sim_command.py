"""`hanmaru ride simulate` as an authority meets it."""

import csv
import json
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hanmaru.ride import simulate_command
from hanmaru.ride.cli import app
from hanmaru.ride.domain import RideError
from hanmaru.ride.sim import loop
from hanmaru.ride.sim.outcome import MEASURES


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A network of 5 by 5 crossings 400 m apart, and 90 trips without times."""
    size, side = 5, range(5)
    at = {(x, y): size * x + y for x in side for y in side}
    links = [(n, at[x + a, y + b]) for (x, y), n in at.items() for a, b in ((1, 0), (0, 1)) if (x + a, y + b) in at]
    links += [(b, a) for a, b in links]
    trips = [(k % 25, (k * 7 + 3) % 25) for k in range(100) if k % 25 != (k * 7 + 3) % 25]
    (tmp_path / "net").mkdir()
    for name, head, rows in (
        ("net/nodes.csv", "node_index", [(n,) for n in at.values()]),
        ("net/edges.csv", "from_node,to_node,distance,travel_time", [(a, b, 400, 50) for a, b in links]),
        ("trips.csv", "origin,destination", trips),
    ):
        (tmp_path / name).write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]))
    path = tmp_path / "town.toml"
    path.write_text(
        'name = "A <small> town"\n[area]\nnetwork = "net"\n[demand]\nfile = "trips.csv"\n[hours]\nbegin = "08:00"\n'
        'end = "10:00"\n[riders]\ncancel = 0.05\n[disturbance]\ntravel = 0.1\n'
    )
    return path


def simulate(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["simulate", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_fleets_and_policies_are_compared(town: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    options = ("--vans", "2-3", "--policy", "insertion,rebalancing", "--seeds", "3", "--under", "6", "--out", out)
    found = json.loads(simulate(town, *options, "--json"))
    assert [(case["policy"], case["vans"]) for case in found["cases"]] == [
        ("insertion", 2),
        ("insertion", 3),
        ("rebalancing", 2),
        ("rebalancing", 3),
    ]
    assert found["finished"]
    assert found["under_s"] == 360
    assert all(set(case["measures"]) == set(MEASURES) for case in found["cases"])
    two, three = (found["cases"][k]["measures"] for k in (0, 1))
    assert two["in_time"]["low"] <= two["in_time"]["mean"] <= two["in_time"]["high"]
    assert two["wait_mean_s"]["mean"] > three["wait_mean_s"]["mean"]
    assert two["requests"]["mean"] == 96
    pairs = [(d["policy"], d["vans"], d["base_policy"], d["base_vans"]) for d in found["differences"]]
    assert ("rebalancing", 2, "insertion", 2) in pairs
    assert ("insertion", 3, "insertion", 2) in pairs
    gain = next(d for d in found["differences"] if d["vans"] == 3 and d["base_vans"] == 2)["measures"]["wait_mean_s"]
    assert gain["mean"] == pytest.approx(three["wait_mean_s"]["mean"] - two["wait_mean_s"]["mean"])

    assert json.loads((out / "results.json").read_text())["cases"] == found["cases"]
    runs = list(csv.DictReader((out / "runs.csv").read_text().splitlines()))
    assert len(runs) == 12
    mean = sum(float(run["wait_mean_s"]) for run in runs if (run["policy"], run["vans"]) == ("insertion", "2")) / 3
    assert mean == pytest.approx(two["wait_mean_s"]["mean"], rel=1e-5)
    for language, word in (("ko", "차량 수에 따른 결과"), ("en", "By number of vans")):
        page = (out / f"report.{language}.html").read_text("utf-8")
        assert word in page
        assert "A &lt;small&gt; town" in page
        assert page.count('role="img"') == 8
        assert not re.search(r'(?:src|href)="|nan|\{\w+\}', page.replace("{ ", ""))


def test_how_many_vans_is_one_command(town: Path) -> None:
    said = simulate(town, "--target", "90% under 8 min", "--seeds", "3")
    vans = int(re.search(r"insertion: (\d+) vans for 90 % under 8 minutes \(sure to", said)[1])  # type: ignore[index]
    found = json.loads(simulate(town, "--target", "0.9", "--under", "8", "--seeds", "3", "--json"))
    answer = found["answers"][0]
    assert answer["vans"] == vans
    assert answer["target"] == {"share": 0.9, "wait_s": 480}
    assert answer["certainty"] >= 0.95
    assert answer["fewer"] < 0.95
    shares = {case["vans"]: case["measures"]["in_time"]["mean"] for case in found["cases"]}
    assert shares[vans] >= 0.9


def test_nothing_but_the_result_goes_to_standard_output(town: Path, capfd: pytest.CaptureFixture[str]) -> None:
    simulate_command.run(town, False, "2", "assignment", 1, None, None, None, True)
    found = json.loads(capfd.readouterr().out)
    assert found["cases"][0]["policy"] == "assignment"


def test_ctrl_c_keeps_what_is_done(town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def interrupted(*arguments: object, **named: object) -> loop.Outcome:
        runs.append(1)
        if len(runs) == 4:
            raise KeyboardInterrupt
        return loop.simulate(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(simulate_command, "simulate", interrupted)
    out = tmp_path / "report"
    done = CliRunner().invoke(app, ["simulate", str(town), "--vans", "2,3", "--json", "--out", str(out)])
    assert done.exit_code == 130
    found = json.loads(done.stdout)
    assert not found["finished"]
    assert [case["seeds"] for case in found["cases"]] == [2, 1]
    assert "stopped before its end" in (out / "report.en.html").read_text("utf-8")


def test_the_simulated_city_has_riders(tmp_path: Path) -> None:
    path = tmp_path / "hanbit.toml"
    path.write_text(
        '[area]\ncity = "hanbit"\nzone = -1\n[demand]\nshare = 0.02\nahead = 0.2\n'
        '[hours]\nbegin = "07:00"\nend = "10:00"\n[compare]\nvans = [12]\nseeds = 2\n'
    )
    with pytest.raises(RideError, match="hanbit has no living zone -1; it has"):
        simulate(path)
    path.write_text(path.read_text().replace("zone = -1", 'districts = ["Nowhere"]'))
    with pytest.raises(RideError, match="hanbit has no Nowhere; it has"):
        simulate(path)
    path.write_text(path.read_text().replace('districts = ["Nowhere"]', ""))
    found = json.loads(simulate(path, "--json"))
    measured = found["cases"][0]["measures"]
    assert measured["requests"]["mean"] > 50
    assert measured["served"]["mean"] > 0.5
    assert measured["walk_mean_s"]["mean"] > 0
    assert 1 <= measured["riders"]["mean"] / (measured["served"]["mean"] * measured["requests"]["mean"]) < 1.5


def test_roads_from_a_file_get_stops_where_people_go(tmp_path: Path) -> None:
    at = {(x, y): (127.25 + 0.004 * x, 36.48 + 0.004 * y) for x in range(5) for y in range(5)}
    links = [(n, (n[0] + a, n[1] + b)) for n in at for a, b in ((1, 0), (0, 1)) if (n[0] + a, n[1] + b) in at]
    rows = [(a, b, *at[a], *at[b]) for pair in links for a, b in (pair, pair[::-1])]
    (tmp_path / "links.csv").write_text(
        "LINK_ID,F_NODE,T_NODE,MAX_SPD,wkt\n"
        + "".join(
            f'{k},{a[0]}{a[1]},{b[0]}{b[1]},40,"LINESTRING ({x} {y}, {u} {v})"\n'
            for k, (a, b, x, y, u, v) in enumerate(rows)
        )
    )
    spots = [(127.251 + 0.0005 * (k % 29), 36.481 + 0.0005 * (k * 11 % 29)) for k in range(60)]
    pairs = zip(spots, spots[7:] + spots[:7], strict=True)
    (tmp_path / "trips.csv").write_text(
        "origin_lon,origin_lat,dest_lon,dest_lat\n"
        + "".join(f"{a},{b},{c},{d}\n" for (a, b), (c, d) in pairs)
        + "127.2509,36.4809,127.35,36.50\n"  # 8 km to the east there are no roads
    )
    path = tmp_path / "town.toml"
    path.write_text('[area]\nroads = "links.csv"\n[demand]\nfile = "trips.csv"\n[compare]\nvans = [3]\nseeds = 2\n')
    measured = json.loads(simulate(path, "--json"))["cases"][0]["measures"]
    assert measured["left_out"]["mean"] == 1
    assert measured["requests"]["mean"] == 60
    assert measured["served"]["mean"] > 0.8
    assert 0 < measured["walk_mean_s"]["mean"] < 2 * 500 / 1.2
    assert measured["vehicle_km"]["mean"] > 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a scenario's file, or --city"),
        (["--city", "none.toml"], "give a scenario's file, or --city"),
        (["none.toml"], "none.toml: there is no such file"),
        (["{town}", "--vans", "many"], "numbers such as 8,10,12 or 8-12"),
        (["{town}", "--vans", "3-2"], "the smaller number first"),
        (["{town}", "--vans", "0"], "1 to 2000 vans"),
        (["{town}", "--policy", "magic"], "'magic' is no policy; there are insertion"),
        (["{town}", "--seeds", "0"], "--seeds 0: 1 to 1000"),
        (["{town}", "--target", "most"], "a share such as 95%"),
        (["{town}", "--target", "101%"], "between 0 and 100 %"),
        (["{town}", "--target", "95%", "--under", "-1"], "minutes of a day"),
        (["{town}", "--target", "95%", "--seeds", "1"], "--seeds 2 or more"),
        (["{town}", "--out", "{town}"], "is a file; name a folder"),
    ],
)
def test_errors_say_what_to_do(town: Path, arguments: list[str], said: str) -> None:
    given = [argument.format(town=town) for argument in arguments]
    with pytest.raises((RideError, typer.BadParameter)) as error:
        app(["simulate", *given], standalone_mode=False)
    assert said in str(error.value)


def test_what_a_scenario_names_has_to_be_there(town: Path) -> None:
    text = town.read_text()
    for change, said in (
        ("[service]\nspeed = 3", "[service]: there is no speed; there are max_wait_s"),
        ('[service]\nmax_wait_s = "long"', "[service]: Expected `int`"),
    ):
        town.write_text(f"{text}\n{change}\n")
        with pytest.raises(RideError, match=re.escape(said)):
            simulate(town)
    (town.parent / "trips.csv").write_text("origin,destination\n3,99\n")
    town.write_text(text)
    with pytest.raises(RideError, match="node 99 is not in the network, whose last one is 24"):
        simulate(town)
    town.write_text(text.replace('file = "trips.csv"', "share = 0.1"))
    with pytest.raises(RideError, match="name a file of trips under"):
        simulate(town)
