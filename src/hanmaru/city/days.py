"""What people do all day: where everybody of the city is, when, and how they get there."""

from dataclasses import dataclass

from hanmaru.city.noise import Ints


@dataclass(frozen=True, eq=False, slots=True)
class Days:
    """v visits, sorted by person, start: ``person`` (v,) index into the population, ``place`` (v,) index into places,
    ``start_s``, ``end_s`` (v,) Unix seconds. Between one visit's end and the next one's start the person travels.
    """

    person: Ints
    place: Ints
    start_s: Ints
    end_s: Ints

    def __len__(self) -> int:
        """Return how many visits there are."""
        return len(self.person)
