"""What requests make the hub remember is bounded in bytes, not only in number."""

import pytest

from hanmaru.hub import contexts, geometry
from hanmaru.hub.contexts import Contexts
from hanmaru.hub.query import check_pattern
from hanmaru.hub.terms import TermMap
from hanmaru.platform.problems import Problem


class Nothing:
    """Keeps no document."""

    async def get_document(self, kind: str, tenant: str, id: str) -> bytes | None:
        return None

    async def put_document(self, kind: str, tenant: str, id: str, doc: bytes) -> bool:
        return True


def remembered(made: Contexts) -> int:
    """Return the characters of all keys that a cache of contexts holds."""
    return sum(map(len, [*made._maps, *made._failed]))  # pyright: ignore[reportPrivateUsage]


async def test_large_contexts_are_refused_or_forgotten_at_once() -> None:
    made = Contexts(Nothing())
    with pytest.raises(Problem, match="at most 1048576 bytes"):
        await made.resolve({"a": "urn:" + "a" * 2**20})
    for wrong in range(5):
        with pytest.raises(Problem):
            await made.resolve([{"a": "urn:" + "a" * 200_000}, wrong])
    for n in range(5):
        assert (await made.resolve({"a": f"urn:{n}" + "a" * 200_000})).expand("a").startswith(f"urn:{n}")
    assert remembered(made) == 0
    await made.resolve({"a": "urn:a"})
    assert remembered(made) < 100


async def test_the_terms_that_are_remembered_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "CACHED_TERMS", 25)
    made = Contexts(Nothing())
    for n in range(9):
        await made.resolve({f"t{n}x{i}": f"urn:{i}" for i in range(10)})
        assert len(made._maps) == min(n + 1, 2)  # pyright: ignore[reportPrivateUsage]


def test_long_names_patterns_and_geometries_are_not_remembered() -> None:
    terms = TermMap({}, {}, None, None)
    before = len(terms._expand)  # pyright: ignore[reportPrivateUsage]
    for n in range(50):
        assert terms.compact(terms.expand(f"n{n}" + "x" * 10_000)).startswith(f"n{n}x")
    assert len(terms._expand) == before  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(Problem, match="not a valid pattern"):
        check_pattern("[가-힣]{250}" * 100, "q")
    line = '{"type":"LineString","coordinates":[[127,36]' + ",[127.1,36.1]" * 30_000 + "]}"
    info = geometry._remembered.cache_info()  # pyright: ignore[reportPrivateUsage]
    geometry.read(line)
    assert geometry._remembered.cache_info() == info  # pyright: ignore[reportPrivateUsage]
