"""``hanmaru city``: make and inspect the city that the demo runs."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    no_args_is_help=True,
    help="Make and inspect the city that the demo runs.",
    context_settings=HELP,
    add_completion=False,
)

Profiles = Annotated[str, typer.Argument(help="A built-in profile's name, or the path of a .toml file.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@contextmanager
def _readable() -> Generator[None]:
    """Turn what a user can correct into one line on standard error and exit status 1."""
    from hanmaru.city.profile import ProfileError

    try:
        yield
    except (ProfileError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the built-in city profiles.

    Example: hanmaru city list
    """
    from hanmaru.city.profile import available, load

    with _readable():
        profiles = [load(name) for name in available()]
    rows = [{"id": p.id, "name": {"ko": p.name.ko, "en": p.name.en}, "people": p.population.total} for p in profiles]
    if as_json:
        _print_json(rows)
        return
    for p in profiles:
        typer.echo(f"{p.id:12}  {p.name.en} ({p.name.ko}), {p.population.total:,} people")


@app.command()
def show(profile: Profiles = "sejong", as_json: Json = False) -> None:
    """Show a city's facts and what is generated from them.

    Example: hanmaru city show sejong --json
    """
    from hanmaru.city.build import build
    from hanmaru.city.profile import load

    with _readable():
        facts = load(profile)
        city = build(facts)
        r, land = city.roads, city.land
        left, bottom, right, top = land.plane.to_wgs84(land.boundary).bounds
        found: dict[str, Any] = {
            "id": facts.id,
            "name": {"ko": facts.name.ko, "en": facts.name.en},
            "zone": facts.zone,
            "centre": list(facts.centre),
            "bbox": [round(v, 4) for v in (left, bottom, right, top)],
            "services": list(facts.services),
            "seed": facts.seed,
            "people": facts.population.total,
            "area_km2": round(land.boundary.area / 1e6, 1),
            "districts": len(facts.districts),
            "roads": {
                "nodes": len(r.xy),
                "edges": len(r.source),
                "ring_km": round(float(r.length_m[r.brt].sum()) / 2000, 1),
            },
            "places": len(city.places.kind),
            "sensors": {kind: len(s) for kind, s in city.sensors.items()},
        }
    if as_json:
        _print_json(found)
        return
    typer.echo(f"{facts.name.en} ({facts.name.ko}), {facts.zone}, seed {facts.seed}")
    typer.echo(f"  {found['people']:,} people, {found['area_km2']} km2, {found['districts']} districts")
    typer.echo(f"  roads: {len(r.xy):,} nodes, {len(r.source):,} edges, ring {found['roads']['ring_km']} km")
    typer.echo(f"  places: {found['places']:,}")
    for kind, count in found["sensors"].items():
        typer.echo(f"  {kind:22} {count:>6,}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The new city's id: lower-case letters, digits and _.")],
    source: Annotated[str, typer.Option("--from", help="The built-in profile to start from.")] = "sejong",
    out: Annotated[Path | None, typer.Option(help="The file to write.  [default: NAME.toml]")] = None,
    as_json: Json = False,
) -> None:
    """Write a profile to edit: the facts and comments of another, under a new id.

    Example: hanmaru city new gangneung --from hanbit
    """
    from hanmaru.city import profile

    path = out or Path(f"{name}.toml")
    with _readable():
        text = profile.source(source)
        text = text.replace(f'id = "{source}"', f'id = "{name}"', 1)
        profile.parse(text, str(path))
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    if as_json:
        _print_json({"path": str(path), "id": name, "from": source})
    else:
        typer.echo(f"wrote {path}; edit it, then: hanmaru up --demo --city {path}")


@app.command()
def export(
    profile: Profiles = "sejong",
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("city-export"),
    people: Annotated[bool, typer.Option(help="Write the population too.")] = False,
    as_json: Json = False,
) -> None:
    """Write the map as GeoJSON, and roads, places and optionally people as Parquet.

    Example: hanmaru city export sejong --out build/sejong
    """
    from hanmaru.city.build import build
    from hanmaru.city.export import write
    from hanmaru.city.profile import load

    with _readable():
        written = write(build(load(profile)), out, people=people)
    if as_json:
        _print_json([{"path": str(path), "bytes": path.stat().st_size} for path in written])
        return
    for path in written:
        typer.echo(f"{path}  {path.stat().st_size / 1000:,.0f} kB")


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
