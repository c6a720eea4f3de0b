"""The vault's one error, and the check of the names that appear in files, logs and the audit trail."""

import re
from typing import Final

from hanmaru.platform.problems import Problem

SUBJECT: Final = re.compile(r"[a-z][a-z0-9_]{0,31}-[a-z2-7]{26}")
_NAMES: Final = {
    "room": re.compile(r"[a-z][a-z0-9_-]{0,31}"),
    "kind": re.compile(r"[a-z][a-z0-9_]{0,31}"),
    "id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"),
    "subject": SUBJECT,
}


class VaultError(Problem):
    """What the vault refuses or cannot do, as a problem document; its text holds ids and pseudonyms only.

    400: a name or document that cannot be kept; 404: no such subject; 410: the subject's key is destroyed;
    500: what lies in the file is not what was put there.
    """

    def __init__(self, detail: str, status: int = 400, title: str = "The vault cannot do this") -> None:
        """Make an error whose detail says what to do."""
        super().__init__(status, title, detail)


def altered(what: str) -> VaultError:
    """Say that a ciphertext does not open: changed, moved from another place, or under another key."""
    return VaultError(f"{what} was changed or moved since it was written; restore it from a backup", 500, "Damaged")


def gone(room: str, subject: str) -> VaultError:
    """Say that there is no key for a subject."""
    return VaultError(f"{room}/{subject} has no key here: it was destroyed, or its key was lost", 410, "Gone")


def check(what: str, name: str) -> str:
    """Return a room's, kind's, record's or subject's name; raises VaultError for one that is not short plain ASCII.

    The value is not quoted: what is not an id may be a person's name.
    """
    if not _NAMES[what].fullmatch(name):
        raise VaultError(f"this is not a vault {what}: it matches {_NAMES[what].pattern}")
    return name
