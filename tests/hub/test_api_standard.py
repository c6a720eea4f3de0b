"""Where the standard (ETSI GS CIM 009 v1.9.1) is particular: each example names its clause."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.hub.api import Api, api, room

ONE = "/entities/urn:ngsi-ld:Room:1"
CORE = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncGenerator[Api]:
    async with api(tmp_path) as running:
        yield running


async def test_a_final_slash_after_a_fixed_name_is_welcome(hub: Api) -> None:
    """6.2: /entities/, /entities/{entityId}/attrs/."""
    assert (await hub("POST", "/entities/", room(1, a=1))).status == 201
    assert (await hub("POST", f"{ONE}/attrs/", {"b": 2})).status == 204
    assert (await hub("PATCH", f"{ONE}/attrs/", {"a": 3})).status == 204
    assert await hub.get(ONE, options="keyValues") == room(1, a=3, b=2)
    assert (await hub("PATCH", "/entities/", {"a": 3})).status == 400


async def test_names_of_any_script_go_into_headers(hub: Api) -> None:
    made = await hub("POST", "/entities", {"id": "urn:방:1%2F?#", "type": "방"})
    assert made.status == 201
    assert made.headers["location"] == "/ngsi-ld/v1/entities/urn:%EB%B0%A9:1%252F%3F%23"
    unseen = await hub("POST", "/entities", {"id": "urn:room:\u200b1", "type": "Room"})
    assert unseen.status == 400


async def test_the_core_context_is_not_named_twice(hub: Api) -> None:
    """4.4, 6.3.6: the core @context is last, unless the user's own context has it."""
    headers = {"accept": "application/ld+json"}
    for own, shown in (({"a": "ex:a"}, [{"a": "ex:a"}, CORE]), ([{"a": "ex:a"}, CORE], [{"a": "ex:a"}, CORE])):
        query = {"type": "Query", "entities": [{"type": "Room"}], "@context": own}
        await hub("POST", "/entities", room(1))
        found = await hub("POST", "/entityOperations/query", query, media="application/ld+json", headers=headers)
        assert found.json()[0]["@context"] == shown
