"""HTTP of the boards: keep and share them, and answer what their tiles ask."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.centre.boards.figures import Figures
from hanmaru.centre.boards.model import MOST_TILES, Ask, Draft
from hanmaru.centre.boards.ready import BOARDS, READY
from hanmaru.centre.boards.store import Board, Boards, StaleError
from hanmaru.centre.domain import CentreError
from hanmaru.hub.client import HubClient
from hanmaru.platform.access import DEFAULT_TENANT
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute, access_of, caller_of, policy_of
from hanmaru.platform.problems import Problem, invalid_request, not_found
from hanmaru.platform.services import Context


class Asks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the tiles of a page ask; ``board`` also says which version the page's board has by now."""

    asks: Annotated[tuple[Ask, ...], Meta(max_length=2 * MOST_TILES)]
    board: str = ""


def _edits(request: Request, board: Board) -> bool:
    """Whether the caller may change a board: their own, and a shared one who acts in the centre."""
    caller = caller_of(request)
    return board.owner == caller.name or (board.shared and policy_of(request).allows(caller, "centre.act"))


def _owns(request: Request, board: Board) -> bool:
    """Whether the caller may delete a board or take it back: their own, and a shared one who sets the rules."""
    caller = caller_of(request)
    return board.owner == caller.name or (board.shared and policy_of(request).allows(caller, "centre.rules"))


def _document(request: Request, board: Board, *, tiles: bool = True) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(board)
    if not tiles:
        del document["tiles"]
    return {**document, "ready": False, "edits": _edits(request, board), "owns": _owns(request, board)}


def _ready(id: str, *, tiles: bool = True) -> dict[str, Any]:
    title, shown = BOARDS[id]
    document: dict[str, Any] = {"id": id, "owner": "", "shared": True, "title": dict(title), "version": 0}
    if tiles:
        document["tiles"] = msgspec.to_builtins(shown)
    return {**document, "ready": True, "edits": False, "owns": False}


async def _read(request: Request, type: Any, expected: str) -> Any:
    try:
        return await read(request, type, expected)
    except CentreError as error:
        raise invalid_request(str(error)) from None


def _ask(request: Request, want: str) -> Ask:
    """Return what a query string asks; raises Problem 400 for another."""
    given: Mapping[str, str] = request.query_params
    body: dict[str, Any] = {key: given[key] for key in ("type", "attr", "agg", "q", "id", "order") if given.get(key)}
    try:
        if "hours" in given:
            body["hours"] = int(given["hours"])
        if "area" in given:
            lon, lat, radius_m = map(float, given["area"].split(","))
            body["area"] = {"at": [lon, lat], "radius_m": radius_m}
        return msgspec.convert({**body, "want": want}, Ask)
    except (ValueError, CentreError) as error:
        raise invalid_request(f"Ask with type, attr, agg, q, hours and area=lon,lat,metres: {error}") from None


def routes(ctx: Context[HubClient]) -> Sequence[BaseRoute]:
    """Return the boards' routes; what tiles show is read with the access of the request's caller."""
    boards = Boards(ctx.data_dir)
    figures = Figures(ctx.hub)
    ctx.closing.push_async_callback(figures.close)

    async def in_thread(work: Any, *given: Any) -> Any:
        try:
            return await asyncio.to_thread(work, *given)
        except StaleError as error:
            current = msgspec.to_builtins(error.current)
            raise Problem(409, "Changed meanwhile", str(error), current=current) from None
        except CentreError as error:
            raise Problem(409, "Not possible", str(error)) from None

    async def seen(request: Request) -> Board:
        board: Board | None = await in_thread(boards.get, request.path_params["id"])
        if board is None or not (board.shared or board.owner == caller_of(request).name):
            raise not_found(f"There is no board {request.path_params['id']!r} for you to see.")
        return board

    async def all_boards(request: Request) -> Response:
        """Return the ready boards, the caller's own and the shared ones, without their tiles."""
        own: list[Board] = await in_thread(boards.seen_by, caller_of(request).name)
        listed = [_document(request, board, tiles=False) for board in own]
        return answer({"items": [*(_ready(id, tiles=False) for id in BOARDS), *listed], "next": None})

    async def get(request: Request) -> Response:
        """Return a board."""
        id = request.path_params["id"]
        return answer(_ready(id) if id in BOARDS else _document(request, await seen(request)))

    async def make(request: Request) -> Response:
        """Keep a new board of the caller's."""
        draft: Draft = await _read(request, Draft, '{"title": …, "shared": …, "tiles": […]}')
        if draft.shared and not policy_of(request).allows(caller_of(request), "centre.act"):
            raise Problem(403, "Not permitted", "You may keep boards of your own: leave it unshared.")
        return answer(_document(request, await in_thread(boards.make, draft, caller_of(request).name)), 201)

    async def change(request: Request) -> Response:
        """Change a board's version that the request names; 409 with the board as it is now when that is another."""
        draft: Draft = await _read(request, Draft, '{"title": …, "shared": …, "version": …, "tiles": […]}')
        if request.path_params["id"].startswith(READY):
            raise Problem(403, "Not permitted", "A ready board stays as it is: keep a copy of it.")
        board = await seen(request)
        if not _edits(request, board):
            raise Problem(403, "Not permitted", "This board is somebody else's: keep a copy of it.")
        if draft.shared != board.shared and not _owns(request, board):
            raise Problem(403, "Not permitted", "Only its owner or a supervisor decides who sees this board.")
        if draft.shared and not board.shared and not policy_of(request).allows(caller_of(request), "centre.act"):
            raise Problem(403, "Not permitted", "You may keep boards of your own: leave it unshared.")
        changed: Board | None = await in_thread(boards.change, board.id, draft, caller_of(request).name)
        if changed is None:
            raise not_found(f"Somebody deleted the board {board.title!r}. Keep yours as a new one.")
        return answer(_document(request, changed))

    async def delete(request: Request) -> Response:
        """Forget a board."""
        board = await seen(request)
        if not _owns(request, board):
            raise Problem(403, "Not permitted", "Only its owner or a supervisor deletes this board.")
        await in_thread(boards.delete, board.id)
        return Response(status_code=204)

    async def data(request: Request) -> Response:
        """Answer what tiles ask, in order: each with its figures or with ``problem``, the reason why there are none."""
        asked: Asks = await _read(request, Asks, '{"asks": [{"want": …, "type": …, "attr": …}], "board": …}')
        access = access_of(request, DEFAULT_TENANT)

        async def one(ask: Ask) -> dict[str, Any]:
            try:
                return await figures.answer(access, ask)
            except Problem as problem:
                return {"problem": str(problem)}

        found = await asyncio.gather(*(one(ask) for ask in asked.asks))
        board: Board | None = await in_thread(boards.get, asked.board) if asked.board else None
        mine = board is not None and (board.shared or board.owner == caller_of(request).name)
        version = {"version": board.version, "by": board.by} if board is not None and mine else {}
        return answer({"items": found, **version})

    async def value(request: Request) -> Response:
        """Return an aggregate now: ``{"value", "count", "at"}``."""
        return answer(await figures.answer(access_of(request, DEFAULT_TENANT), _ask(request, "value")))

    async def series(request: Request) -> Response:
        """Return an aggregate over time: ``{"points": [[seconds, value], …], "step_s", "entities", "of", "at"}``."""
        return answer(await figures.answer(access_of(request, DEFAULT_TENANT), _ask(request, "series")))

    watch = "centre.watch"
    return [
        GuardedRoute("/boards", all_boards, permission=watch),
        GuardedRoute("/boards", make, permission=watch, methods=["POST"]),
        GuardedRoute("/boards/data", data, permission=watch, methods=["POST"]),
        GuardedRoute("/boards/value", value, permission=watch),
        GuardedRoute("/boards/series", series, permission=watch),
        GuardedRoute("/boards/{id}", get, permission=watch),
        GuardedRoute("/boards/{id}", change, permission=watch, methods=["PUT"]),
        GuardedRoute("/boards/{id}", delete, permission=watch, methods=["DELETE"]),
    ]
