"""Large things in the vault: blobs in chunks, and lake files."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import Desk, VaultError, Vaults, lake
from hanmaru.platform.vault.blobs import CHUNK
from tests.platform.vaults import opened

TABLE = pa.table({"name": ["김민준", "박서연"], "phone": ["01012345678", "01098765432"], "at": [1, 2]})


@pytest.fixture
def vaults(tmp_path: Path) -> Iterator[Vaults]:
    made = opened(tmp_path)
    yield made
    made.close()


@pytest.fixture
def desk(vaults: Vaults) -> Desk:
    return vaults.room("trace").at(Caller("investigator"), "contact tracing")


async def parts(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def whole(desk: Desk, subject: str, id: str) -> bytes | None:
    found = await desk.get_blob(subject, "clip", id)
    return None if found is None else b"".join([part async for part in found])


def file_of(vaults: Vaults, subject: str) -> Path:
    (path,) = (vaults.data / "vaults" / "trace" / "blobs" / subject).iterdir()
    return path


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
async def test_a_blob_of_any_size_comes_back(desk: Desk, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    case = await desk.open_subject("case")
    assert await desk.put_blob(case, "clip", "a", parts(content[:size])) == size
    assert await whole(desk, case, "a") == content[:size]
    assert await whole(desk, case, "b") is None


async def test_a_blob_takes_the_place_of_the_one_before(desk: Desk, vaults: Vaults) -> None:
    case = await desk.open_subject("case")
    await desk.put_blob(case, "clip", "a", parts(b"first"))
    await desk.put_blob(case, "clip", "a", parts(b"second"))
    assert await whole(desk, case, "a") == b"second"
    file_of(vaults, case)  # and it alone is there


async def test_a_blob_whose_parts_stop_coming_is_not_kept(desk: Desk, vaults: Vaults) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"half of a clip"
        raise ConnectionError

    case = await desk.open_subject("case")
    with pytest.raises(ConnectionError):
        await desk.put_blob(case, "clip", "a", breaks())
    assert await whole(desk, case, "a") is None
    assert not list((vaults.data / "vaults" / "trace" / "blobs" / case).iterdir())


@pytest.mark.parametrize("damage", ["cut at a chunk", "cut", "swapped chunks", "a bit", "extended", "doubled last"])
async def test_a_blob_that_was_changed_is_found(desk: Desk, vaults: Vaults, damage: str) -> None:
    case = await desk.open_subject("case")
    await desk.put_blob(case, "clip", "a", parts(bytes(3 * CHUNK)))
    path = file_of(vaults, case)
    head, body, size = path.read_bytes()[:40], path.read_bytes()[40:], CHUNK + 16
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert len(chunks) == 3
    damaged = {
        "cut at a chunk": chunks[:2],
        "cut": [*chunks[:2], chunks[2][:-1]],
        "swapped chunks": [chunks[1], chunks[0], chunks[2]],
        "a bit": [chunks[0], chunks[1][:5] + bytes([chunks[1][5] ^ 1]) + chunks[1][6:], chunks[2]],
        "extended": [*chunks, b"more"],
        "doubled last": [*chunks, chunks[2]],
    }[damage]
    path.write_bytes(head + b"".join(damaged))
    with pytest.raises(VaultError, match="changed or moved"):
        await whole(desk, case, "a")


async def test_a_blob_in_anothers_place_does_not_open(desk: Desk, vaults: Vaults) -> None:
    one, other = await desk.open_subjects("case", 2)
    for case in (one, other):
        await desk.put_blob(case, "clip", "a", parts(case.encode()))
    file_of(vaults, one).write_bytes(file_of(vaults, other).read_bytes())
    with pytest.raises(VaultError, match="changed or moved"):
        await whole(desk, one, "a")


async def test_a_table_comes_back_and_only_with_its_key(desk: Desk, vaults: Vaults) -> None:
    case, other = await desk.open_subjects("dataset", 2)
    await lake.write_table(desk, case, "phones", TABLE)
    assert (await lake.read_table(desk, case, "phones")).equals(TABLE)
    assert (await lake.read_table(desk, case, "phones", ["at"])).column_names == ["at"]
    assert await lake.names(desk, case) == ["phones"]
    path = vaults.data / "vaults" / "trace" / "lake" / case / "phones.parquet"
    content = path.read_bytes()
    for secret in ("김민준", "01012345678", "phone"):
        assert secret.encode() not in content
    assert content[:4] == b"PARE"  # footer encrypted
    with pytest.raises(OSError, match="encrypted"):
        pq.read_table(path)
    with pytest.raises(VaultError, match="no table"):
        await lake.read_table(desk, case, "other")
    await lake.write_table(desk, other, "phones", TABLE)
    path.write_bytes((vaults.data / "vaults" / "trace" / "lake" / other / "phones.parquet").read_bytes())
    with pytest.raises(VaultError, match="changed or moved"):
        await lake.read_table(desk, case, "phones")
    path.write_bytes(content)
    path.with_name("renamed.parquet").write_bytes(content)
    with pytest.raises(VaultError, match="changed or moved"):
        await lake.read_table(desk, case, "renamed")
    path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    with pytest.raises(VaultError, match="changed or moved"):
        await lake.read_table(desk, case, "phones")


async def test_a_table_that_cannot_be_written_leaves_nothing(desk: Desk, vaults: Vaults) -> None:
    case = await desk.open_subject("dataset")
    with pytest.raises(VaultError, match="Parquet can hold"):
        await lake.write_table(desk, case, "calls", pa.table({"a": pa.nulls(1, pa.month_day_nano_interval())}))
    assert not [*(vaults.data / "vaults" / "trace" / "lake" / case).iterdir()]


async def test_many_tables_are_scanned_as_one(desk: Desk) -> None:
    case = await desk.open_subject("dataset")
    for part in range(20):
        await lake.write_table(desk, case, f"part-{part:02}", pa.table({"part": [part] * 1_000, "n": range(1_000)}))
    dataset = await lake.scan(desk, case)
    assert await asyncio.to_thread(dataset.count_rows) == 20_000
    for _ in range(5):
        found = await asyncio.to_thread(lambda: dataset.to_table(columns=["part"], filter=lake_filter()))
        assert found["part"].unique().to_pylist() == [7]
        assert found.num_rows == 1_000
    await desk.destroy(case, "no longer needed")
    with pytest.raises((OSError, VaultError)):
        await asyncio.to_thread(dataset.to_table)


def lake_filter() -> object:
    import pyarrow.compute as pc

    return pc.field("part") == 7
