"""What only the PostgreSQL store can get wrong."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import psycopg
import pytest

from hanmaru.hub.local import make_store
from hanmaru.hub.query import check_pattern, pattern_found
from hanmaru.hub.stores.patterns import to_postgres
from hanmaru.platform.problems import Problem
from tests.hub.store_contract.building import ALL, ask, do, found, statuses, write

TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "a\nb",
    "b\n",
    "10",
    "a1 b2",
    "x_y",
    "가나",
    "a.b",
    "a-b",
    "[x]",
    "a\\b",
    "\t",
    "Ä",
    "a{2}",
    "^",
]
PATTERNS = r"""
a ^a$ ^$ A (?i)A (?i)ä a.b (?s)a.b ^.$ \d \D+ \w+_
\s \S\s\S [\d] [^\d] [a-b]+ [가-힣]{2} []x] [^]x] [[:alpha:]] [^a]$ a\.b a\-b
\[x\] \\ \^ a\{ (?:a)(b) (?P<n>a)b a+? a* a{1,2} \bb \Bb \Ab
b\z \x61 [\x61] \x{ac00} \t [\t] [.] [a\-z] [-a] (ab|10) (?i)[ä] |
""".split()


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Connect beside the stores."""
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_patterns_mean_the_same(server: psycopg.AsyncConnection, pattern: str) -> None:
    check_pattern(pattern, "q")
    sql = 'SELECT t FROM unnest(%b::text[]) t WHERE t COLLATE "C" ~ %s'
    rows = await (await server.execute(sql, (TEXTS, to_postgres(pattern)))).fetchall()
    assert {text for (text,) in rows} == {text for text in TEXTS if pattern_found(pattern, text)}


@pytest.mark.parametrize("pattern", [r"\p{L}", r"a(?i:b)", r"\Qa.b\E", r"[\D]", r"[[:^alpha:]]", r"\C"])
async def test_a_pattern_that_it_has_no_words_for_is_refused(pattern: str) -> None:
    with pytest.raises(Problem, match="write it in another way"):
        to_postgres(pattern)


async def test_what_the_database_cannot_keep_is_the_writers_fault_and_nobody_elses(postgres_url: str) -> None:
    store = make_store(postgres_url)
    await store.open()
    try:
        long = "".join(chr(0x3400 + n % 20_000) for n in range(9_000))
        good, bad = write("upsert", "a", n=1), write("upsert", long)
        outcomes = await asyncio.gather(store.write(ALL, [good]), store.write(ALL, [bad]), return_exceptions=True)
        assert not isinstance(outcomes[0], BaseException)
        assert isinstance(outcomes[1], Problem)
        assert outcomes[1].status == 400
    finally:
        await store.close()


async def test_lost_connections_are_replaced(postgres_url: str, server: psycopg.AsyncConnection) -> None:
    store = make_store(postgres_url)
    await store.open()
    try:
        await do(store, write("upsert", "kept", n=1))
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='hanmaru'"
        for again in (
            lambda: store.query(ALL, ask(ids=["kept"])),
            lambda: store.write(ALL, [write("upsert", "kept", n=2)]),
        ):
            await (await server.execute(sql)).fetchall()
            with pytest.raises(Problem, match="went away"):
                await again()
            await again()
        assert await found(store, q="n==2", ids=["kept"]) == ["kept"]
    finally:
        await store.close()


async def test_a_writer_that_waits_for_a_row_holds_up_no_other(
    postgres_url: str, server: psycopg.AsyncConnection
) -> None:
    store = make_store(postgres_url)
    await store.open()
    try:
        await do(store, write("upsert", "slow", n=1))
        async with server.transaction():
            await server.execute("SELECT 1 FROM entity WHERE id='urn:x:slow' FOR UPDATE")
            waiting = asyncio.create_task(statuses(store, write("upsert", "slow", n=2)))
            head = await store.head()
            await do(store, write("upsert", "other", n=1))
            assert [c.entity.id for c in await store.changes(head)] == ["urn:x:other"]
            assert not waiting.done()
        assert await waiting == [0]
    finally:
        await store.close()


def test_a_missing_driver_is_named_with_its_way_out() -> None:
    code = "import sys; sys.modules['psycopg']=None; import hanmaru.hub.stores.postgres"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'hanmaru[postgres]'" in done.stderr.splitlines()[-1]
