"""HTTP of procedures: which there are, and the city's own, written as TOML."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hanmaru.centre.domain import CentreError
from hanmaru.centre.events import rows, shapes
from hanmaru.centre.events.book import MOST_PROCEDURES, Book
from hanmaru.centre.procedures.book import parse, ready
from hanmaru.platform.bodies import answer, read
from hanmaru.platform.policy import GuardedRoute, caller_of
from hanmaru.platform.problems import invalid_request, not_found, sentence


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``PUT /procedures/{id}``."""

    toml: str


def routes(opened: Callable[[], Awaitable[Book]]) -> Sequence[BaseRoute]:
    """Return the routes."""

    async def all() -> dict[str, tuple[str, bool]]:
        """Return the TOML of each procedure by id, and whether it is a ready one as it came."""
        book = await opened()
        own = await book.read(lambda db: dict(db.execute("SELECT id, toml FROM procedure").fetchall()))
        found = {id: (text, True) for id, (_, text) in ready().items()}
        return found | {id: (text, False) for id, text in own.items()}

    async def listed(request: Request) -> Response:
        """Return the procedures, by id."""
        found = sorted((await all()).items())
        items = [shapes.procedure(parse(text), ready=came) for _, (text, came) in found]
        return answer({"items": items, "next": None})

    async def one(request: Request) -> Response:
        """Return a procedure with its TOML."""
        found = (await all()).get(request.path_params["id"])
        if found is None:
            raise not_found("There is no such procedure.")
        return answer(shapes.procedure(parse(found[0]), ready=found[1], toml=found[0]))

    async def put(request: Request) -> Response:
        """Keep a procedure of the city's own; one with the id of a ready one takes its place."""
        body, id = await read(request, Written, '{"toml"}'), request.path_params["id"]
        try:
            procedure = parse(body.toml)
        except CentreError as error:
            raise invalid_request(sentence(error)) from None
        if procedure.id != id:
            raise invalid_request(f"The procedure's id is {procedure.id!r}, the address says {id[:40]!r}.")
        who, book = caller_of(request).name, await opened()

        def work(db: rows.Db) -> None:
            if db.execute("SELECT count(*) FROM procedure WHERE id != ?", (id,)).fetchone()[0] >= MOST_PROCEDURES:
                raise CentreError(f"a city has at most {MOST_PROCEDURES} procedures of its own: take one away first")
            db.execute("INSERT OR REPLACE INTO procedure VALUES(?,?,?,?)", (id, body.toml, time.time(), who))

        await book.write(work)
        return answer(shapes.procedure(procedure, ready=False, toml=body.toml))

    async def drop(request: Request) -> Response:
        """Take a procedure of the city's own away; a ready one of the same id is there again. Runs go on."""
        id, book = request.path_params["id"], await opened()

        def work(db: rows.Db) -> int:
            db.execute("DELETE FROM procedure WHERE id = ?", (id,))
            return db.changes()

        if not await book.write(work):
            raise not_found("There is no such procedure of the city's own; ready ones stay.")
        return Response(status_code=204)

    rules = "centre.rules"
    return [
        GuardedRoute("/procedures", listed, permission="centre.watch"),
        GuardedRoute("/procedures/{id}", one, permission="centre.watch"),
        GuardedRoute("/procedures/{id}", put, permission=rules, methods=["PUT"]),
        GuardedRoute("/procedures/{id}", drop, permission=rules, methods=["DELETE"]),
    ]
