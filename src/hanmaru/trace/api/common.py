"""What the routes share: the caller's desk, numbers in the query, bodies."""

from starlette.requests import Request

from hanmaru.platform.origin import address_of
from hanmaru.platform.policy import caller_of, purpose_of
from hanmaru.platform.problems import Problem, invalid_request
from hanmaru.platform.vault import Desk
from hanmaru.trace.cases.room import Room


def desk_of(room: Room, request: Request) -> Desk:
    """Return the caller's desk for the purpose that the request states; raises Problem 400 without one."""
    return room.desk(
        caller_of(request), purpose_of(request), address_of(request.scope), request.scope.get("request_id", "")
    )


def number(request: Request, name: str, most: int) -> int | None:
    """Return a whole number of the query string from 1 to ``most``, None where it is not given."""
    given = request.query_params.get(name, "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and 1 <= int(given) <= most):
        raise invalid_request(f"{name} is a whole number from 1 to {most}.")
    return int(given)


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's whole body; raises Problem 413 for one over ``most`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise Problem(413, "Body too large", f"Send at most {most} bytes here.")
        parts.append(part)
    return b"".join(parts)
