"""Who meets whom face to face: contacts of at most 2 m within the visits of one place."""

from dataclasses import dataclass

from hanmaru.city.noise import Ints


@dataclass(frozen=True, eq=False, slots=True)
class Encounters:
    """e face-to-face encounters, sorted by ``start_s``: persons ``a`` < ``b`` (e,), the ``place`` (e,) they are at,
    ``start_s``, ``end_s`` (e,) Unix seconds.
    """

    a: Ints
    b: Ints
    place: Ints
    start_s: Ints
    end_s: Ints

    def __len__(self) -> int:
        """Return how many encounters there are."""
        return len(self.a)
