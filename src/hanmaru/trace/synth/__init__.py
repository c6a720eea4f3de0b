"""The test city: what phones, cards, QR codes and cameras record of the simulated city, and the exact truth beside it.

In memory, for tests and benchmarks::

    from hanmaru.trace import synth

    world = synth.city(people=4000, days=3, start="2026-03-02", seed=1, layout="A")
    seen = synth.events(world, day=0)          # `phones.Events`: what carriers report, and where phones truly were
    world.days                                 # `hanmaru.city.days.Days`: the true visits
    world.encounters                           # `hanmaru.city.encounters.Encounters`: who of them met, truly
    world.network                              # `cells.Network`: masts and cells; seen.cell are indices of its ids
    world.city.land.plane                      # the plane of all metres; its lonlat gives degrees

``subject`` is always an index into the city's population; `name` makes the id that files use of it. Everything is a
function of the city, the seed, the layout, the person and the day: who else is asked for changes nothing. Layout A is
for development and calibration, B is held out.
"""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hanmaru.trace.domain import Ints
    from hanmaru.trace.synth.phones import Events
    from hanmaru.trace.synth.world import World


def city(
    people: int = 4000,
    days: int = 3,
    start: str | date = "2026-03-02",
    seed: int = 1,
    layout: str = "A",
    profile: str = "sejong",
) -> "World":
    """Return a stretch of the city's life: a dense sample of about ``people`` (`world.sample`), days of its zone.

    Raises TraceError for a layout that there is not, ProfileError for an unknown profile.
    """
    from hanmaru.city.build import build
    from hanmaru.city.profile import load
    from hanmaru.trace.domain import TraceError
    from hanmaru.trace.synth import world
    from hanmaru.trace.synth.cells import LAYOUTS

    if layout not in LAYOUTS:
        raise TraceError(f"there is no cell layout {layout!r}; take one of {', '.join(LAYOUTS)}")
    made = build(load(profile))
    first = date.fromisoformat(start) if isinstance(start, str) else start
    return world.World(made, world.sample(made, people), first, days, seed, layout)


def events(world: "World", day: int = 0, people: "Ints | None" = None) -> "Events":
    """Return the phone events of a day (0 the first) of all people of a world, or of some (ascending indices)."""
    return world.events(day, people)


def name(person: int) -> str:
    """Return the subject's id in files of an index into the population."""
    return f"P{person:06d}"
