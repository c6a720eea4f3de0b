"""Hand-over: the one lawful way for personal data between rooms, vault to vault.

Purpose-bound, approved by somebody else, audited on both sides, and expiring: the copy has a key of its own, and its
end is that key's destruction.
"""

from hanmaru.platform.handover.handover import ROOM, WORKFLOWS, Handover, RoomHandover
from hanmaru.platform.handover.requests import Asked, Request

__all__ = ["ROOM", "WORKFLOWS", "Asked", "Handover", "Request", "RoomHandover"]
