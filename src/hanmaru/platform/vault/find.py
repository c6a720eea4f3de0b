"""Look-up in a blind index: what a token finds is opened and compared, so that only what really matches is returned."""

from dataclasses import dataclass
from typing import Final

from hanmaru.platform.vault.blind import BlindIndex, How, Values, matches
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.store import Store

MOST_FOUND: Final = 10_000
"""Most records that a look-up compares."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Somebody who may be the same: the fields that agree exactly, and those that only sound the same."""

    subject: str
    exact: tuple[str, ...]
    phonetic: tuple[str, ...]


def find(store: Store, index: BlindIndex, field: str, value: object, how: How) -> list[str]:
    """Return whose records have a value in a field, in order.

    Raises VaultError for a field that is not indexed so, and when more than `MOST_FOUND` records may match.
    """
    if how not in index.how(field):
        raise VaultError(f"the field {field!r} of the vault {store.room!r} has no {how} index")
    documents = store.get(index.find(field, value, how, MOST_FOUND))
    return sorted(
        {
            address.subject
            for address, document in documents.items()
            if matches(index.values(address.kind, document).get(field, ()), value, how)
        }
    )


def duplicates(store: Store, index: BlindIndex, subject: str) -> list[Duplicate]:
    """Return who may be the same as a subject, likeliest first: two fields agree, or the only one there is."""
    agree: dict[str, dict[How, set[str]]] = {}
    for field, values in _all_values(store, index, subject).items():
        for how in index.how(field):
            for value in values:
                for other in find(store, index, field, value, how):
                    agree.setdefault(other, {"exact": set(), "phonetic": set()})[how].add(field)
    agree.pop(subject, None)
    least = min(2, len(index.fields()))
    found = [
        Duplicate(other, tuple(sorted(how["exact"])), tuple(sorted(how["phonetic"] - how["exact"])))
        for other, how in agree.items()
    ]
    likely = [one for one in found if len(one.exact) + len(one.phonetic) >= least]
    return sorted(likely, key=lambda one: (-len(one.exact), -len(one.phonetic), one.subject))


def _all_values(store: Store, index: BlindIndex, subject: str) -> Values:
    found: dict[str, frozenset[str]] = {}
    for address, document in store.of_subject(subject).items():
        for field, values in index.values(address.kind, document).items():
            found[field] = found.get(field, frozenset()) | values
    return found
