"""What the room's parts share."""

from typing import Final, Literal

SYSTEM_NAME: Final = "system:care"
"""The caller as which the room works by itself."""

Sex = Literal["male", "female"]


class CareError(Exception):
    """What cannot be done, in one readable line that says what to do about it."""
