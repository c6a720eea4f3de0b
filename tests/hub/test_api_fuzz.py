"""Whatever comes in, the answer is never a server error, and always says what to do."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hub.api import api, room

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=12)
members = st.sampled_from(
    "id type value object languageMap vocab json valueList objectList datasetId observedAt unitCode scope @context "
    "coordinates location a b:c https://x.y/z".split()
) | st.text(max_size=8)
values = st.recursive(
    scalars
    | st.sampled_from(["Property", "GeoProperty", "Point", "urn:ngsi-ld:null", "urn:x:1", "2026-01-01T00:00:00Z"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(members, inner, max_size=5),
    max_leaves=15,
)
entities = st.dictionaries(members, values, max_size=5).map(lambda extra: room(1) | extra)
q_texts = st.text(alphabet='ab.;|()[],"=<>!~0123456789:T-Z ', max_size=40) | st.text(max_size=20)
PATHS = [
    ("POST", "/entities"),
    ("PATCH", "/entities/urn:ngsi-ld:Room:1"),
    ("PUT", "/entities/urn:ngsi-ld:Room:1"),
    ("POST", "/entities/urn:ngsi-ld:Room:1/attrs"),
    ("PATCH", "/entities/urn:ngsi-ld:Room:1/attrs"),
    ("PATCH", "/entities/urn:ngsi-ld:Room:1/attrs/a"),
    ("PUT", "/entities/urn:ngsi-ld:Room:1/attrs/a"),
    ("POST", "/entityOperations/create"),
    ("POST", "/entityOperations/upsert"),
    ("POST", "/entityOperations/update"),
    ("POST", "/entityOperations/merge"),
    ("POST", "/entityOperations/delete"),
    ("POST", "/entityOperations/query"),
    ("POST", "/temporal/entities"),
    ("POST", "/temporal/entities/urn:ngsi-ld:Room:1/attrs"),
    ("POST", "/temporal/entityOperations/query"),
    ("POST", "/jsonldContexts"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_bodies(tmp_path: Path, method: str, path: str) -> None:
    async with api(tmp_path) as hub:

        @SETTINGS
        @given(
            body=values | st.dictionaries(members, values, max_size=5).map(lambda extra: room(1) | extra),
            ld=st.booleans(),
        )
        def fuzz(body: Any, ld: bool) -> None:
            bodies.append((msgspec.json.encode(body), "application/ld+json" if ld else "application/json"))

        bodies: list[tuple[bytes, str]] = []
        fuzz()
        await hub.create(room(1, a=1))
        for body, media in bodies:
            answer = await hub(method, path, body, media=media)
            assert answer.status < 500 or answer.status == 504, (answer.body, body)
            if answer.status >= 400:
                assert answer.json()["title"], body


async def test_query_parameters(tmp_path: Path) -> None:
    bodies: list[tuple[str, str, str]] = []

    @settings(SETTINGS, max_examples=300)
    @given(q=q_texts, types=st.text(alphabet="AB,;|()/", min_size=1, max_size=12), coordinates=st.text(max_size=12))
    def fuzz(q: str, types: str, coordinates: str) -> None:
        bodies.append((q, types, coordinates))

    fuzz()
    async with api(tmp_path) as hub:
        await hub.create(room(1, a=1))
        for q, types, coordinates in bodies:
            for params in (
                {"type": "Room", "q": q},
                {"type": types},
                {"scopeQ": q},
                {"attrs": types, "pick": q, "omit": types},
                {"idPattern": q},
                {"type": "Room", "georel": "near;maxDistance==5", "geometry": "Point", "coordinates": coordinates},
                {"type": "Room", "georel": q, "geometry": "Point", "coordinates": "[1,1]"},
                {"type": "Room", "limit": q, "offset": types, "count": q},
                {"type": "Room", "options": q, "lang": q, "datasetId": types},
            ):
                for path in ("/entities", "/temporal/entities"):
                    extra = {"timerel": "before", "timeAt": "2030-01-01T00:00:00Z"} if path != "/entities" else {}
                    answer = await hub("GET", path, **params, **extra)
                    assert answer.status < 500, (answer.body, params)
