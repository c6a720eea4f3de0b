"""Lake files with personal data: Parquet, encrypted as files under a subject's key (Parquet Modular Encryption).

Footer and columns are sealed with AES-GCM (``AES_GCM_V1``) under keys of the file, which the file holds wrapped by the
subject's data key: who has the key reads single columns and row groups; when it is destroyed, the file is noise. Arrow
opens them; DuckDB and Ibis scan what Arrow has opened, in the same process::

    dataset = await lake.scan(desk, subject)
    duckdb.connect(config={"temp_directory": ""}).from_arrow(dataset)

An engine that spills to a disk would write plaintext there: give it no folder to spill to.
"""

# pyright: basic
# (pyarrow has no types)

import asyncio
import base64
import secrets
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hanmaru.platform.disk import private, sync_file, sync_folder
from hanmaru.platform.vault.crypto import Key, place
from hanmaru.platform.vault.errors import VaultError, altered, check, gone
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.store import Store

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet.encryption as pe

    from hanmaru.platform.vault.desk import Desk

SUFFIX: Final = ".parquet"
_KEY: Final = "lake"
_PLACE: Final = b"hanmaru.place"
"""Member of the (encrypted) schema metadata that says where a file belongs."""


async def write_table(desk: "Desk", subject: str, name: str, table: "pa.Table") -> None:
    """Write a table as an encrypted file of a subject, over the one of that name.

    Asks for ``vault.write``; raises VaultError 404 for a subject not there.
    """
    await desk.ask("vault.write", _what(subject, name), [subject])

    def work() -> None:
        version = desk.vault.store.key_versions([subject])[subject]
        of(desk.vault.store, subject).write(name, table, version)

    await asyncio.to_thread(work)


async def read_table(desk: "Desk", subject: str, name: str, columns: Sequence[str] | None = None) -> "pa.Table":
    """Return a table, or some columns of it.

    Asks for ``vault.read``; raises VaultError 404 where there is none, 410 when the key is destroyed, 500 when the file
    was changed or is another's.
    """
    await desk.ask("vault.read", _what(subject, name), [subject])
    return await asyncio.to_thread(lambda: of(desk.vault.store, subject).read(name, columns))


async def names(desk: "Desk", subject: str) -> list[str]:
    """Return the names of a subject's tables, in order; asks for ``vault.read``."""
    await desk.ask("vault.read", f"{check('subject', subject)}/lake", [subject])
    return await asyncio.to_thread(lambda: of(desk.vault.store, subject).names())


async def scan(desk: "Desk", subject: str, wanted: Sequence[str] | None = None) -> "ds.Dataset":
    """Return many or all of a subject's tables of one schema as one dataset; asks for ``vault.read``.

    Reading from the dataset blocks: do it in a thread. Each file is checked to be the subject's own.
    """
    await desk.ask("vault.read", f"{check('subject', subject)}/lake", [subject])
    return await asyncio.to_thread(lambda: of(desk.vault.store, subject).scan(wanted))


def of(store: Store, subject: str) -> "SubjectLake":
    """Return the tables of a subject of a room."""
    return SubjectLake(store, subject)


class SubjectLake:
    """The encrypted tables of one subject. For use from threads; every call reads or writes files."""

    def __init__(self, store: Store, subject: str) -> None:
        """Name the subject of a room."""
        self._store, self._subject, self._keys, self._room = store, subject, store.keys, store.room
        self._folder = store.files.lake(subject)

    def names(self) -> list[str]:
        """Return the tables' names, in order."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob("*" + SUFFIX))

    def write(self, name: str, table: "pa.Table", version: int, over: int | None = None) -> None:
        """Write a table under a version of the subject's key; with ``over``, only over the file of that inode."""
        import pyarrow.parquet as pq
        from pyarrow.parquet.encryption import EncryptionConfiguration

        self._keys.get(self._room, self._subject, version)
        how = EncryptionConfiguration(
            footer_key=f"{self._room}/{self._subject}/{version}",
            uniform_encryption=True,
            encryption_algorithm="AES_GCM_V1",
            plaintext_footer=False,
            data_key_length_bits=256,
        )
        metadata = {**(table.schema.metadata or {}), _PLACE: self._place(name)}
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._folder / f"{name}.{secrets.token_hex(4)}.new"
        factory, connection = self._factory()
        seal = factory.file_encryption_properties(connection, how)
        try:
            private(new)
            pq.write_table(table.replace_schema_metadata(metadata), new, encryption_properties=seal)
            sync_file(new)
            with self._store.holding(self._subject, version):
                path = self._folder / (name + SUFFIX)
                if over is None or (path.exists() and path.stat().st_ino == over):
                    new.replace(path)
        except (ValueError, NotImplementedError):
            raise VaultError(f"{self._what(name)} is to be a table that Parquet can hold", 400) from None
        finally:
            new.unlink(missing_ok=True)
        sync_folder(self._folder)

    def read(self, name: str, columns: Sequence[str] | None = None) -> "pa.Table":
        """Return a table, or some columns of it."""
        import pyarrow.parquet as pq

        with _errors(self._what(name)):
            factory, connection = self._factory()
            unseal = factory.file_decryption_properties(connection)
            with pq.ParquetFile(self._path(name), decryption_properties=unseal) as file:
                self._check(name, file.schema_arrow)
                table = file.read(list(columns) if columns is not None else None)
        return table.replace_schema_metadata(_without_place(table.schema.metadata))

    def scan(self, wanted: Sequence[str] | None = None) -> "ds.Dataset":
        """Return tables of one schema as one dataset."""
        import pyarrow.dataset as ds
        import pyarrow.parquet as pq
        from pyarrow.parquet.encryption import DecryptionConfiguration

        found = self.names() if wanted is None else list(wanted)
        if not found:
            raise VaultError(f"{self._room}/{self._subject} has no table", 404)
        for name in found:
            with _errors(self._what(name)):
                factory, connection = self._factory()
                unseal = factory.file_decryption_properties(connection)
                self._check(name, pq.read_schema(self._path(name), decryption_properties=unseal))
        factory, connection = self._factory()
        unlock = ds.ParquetDecryptionConfig(factory, connection, DecryptionConfiguration())
        options = ds.ParquetFragmentScanOptions(decryption_config=unlock)
        paths = [str(self._path(name)) for name in found]
        with _errors(f"tables of {self._room}/{self._subject}"):
            dataset = ds.dataset(paths, format=ds.ParquetFileFormat(default_fragment_scan_options=options))
        return dataset.replace_schema(dataset.schema.with_metadata(_without_place(dataset.schema.metadata)))

    def reseal(self, version: int) -> None:
        """Write the tables again that are not under a version of the key."""
        for name in self.names():
            if not self._is_under(name, version):
                inode = self._path(name).stat().st_ino
                self.write(name, self.read(name), version, over=inode)

    def resealed(self, version: int) -> bool:
        """Return whether all tables are under a version of the key."""
        return all(self._is_under(name, version) for name in self.names())

    def _is_under(self, name: str, version: int) -> bool:
        import pyarrow.parquet as pq

        used: set[int] = set()
        with _errors(self._what(name)):
            factory, connection = self._factory(used)
            pq.read_schema(self._path(name), decryption_properties=factory.file_decryption_properties(connection))
        return used == {version}

    def _factory(self, used: set[int] | None = None) -> "tuple[pe.CryptoFactory, pe.KmsConnectionConfig]":
        from pyarrow.parquet.encryption import CryptoFactory, KmsConnectionConfig

        return CryptoFactory(_client(self._keys, self._room, self._subject, used)), KmsConnectionConfig()

    def _path(self, name: str) -> Path:
        path = self._folder / (check("id", name) + SUFFIX)
        if not path.is_file():
            raise VaultError(f"there is no table {self._what(name)}", 404)
        return path

    def _what(self, name: str) -> str:
        return f"{self._room}/{self._subject}/lake/{name}"

    def _place(self, name: str) -> bytes:
        return place("lake", self._room, self._subject, name).encode()

    def _check(self, name: str, schema: "pa.Schema") -> None:
        if (schema.metadata or {}).get(_PLACE) != self._place(name):
            raise altered(f"the table {self._what(name)}")


def _what(subject: str, name: str) -> str:
    return f"{check('subject', subject)}/lake/{check('id', name)}"


def _without_place(metadata: Mapping[bytes, bytes] | None) -> dict[bytes, bytes] | None:
    return {name: value for name, value in (metadata or {}).items() if name != _PLACE} or None


@contextmanager
def _errors(what: str) -> Generator[None]:
    """Turn what Arrow says about a file into the vault's error; the library's text may quote content."""
    try:
        yield
    except VaultError:
        raise
    except FileNotFoundError:
        raise VaultError(f"there is no table {what}", 404) from None
    except (OSError, ValueError, RuntimeError) as error:
        if "has no key here" in str(error):
            raise gone(what.split("/")[0], what.split("/")[1]) from None
        raise altered(f"the table {what}") from None


def _client(
    keys: Keys, room: str, subject: str, used: set[int] | None
) -> "Callable[[pe.KmsConnectionConfig], pe.KmsClient]":
    """Return what makes Arrow's key service of a subject: it wraps and unwraps with their key and no other's.

    The versions of the key that a file asks for are added to ``used``.
    """
    from pyarrow.parquet.encryption import KmsClient

    class Client(KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
            return base64.b64encode(self._key(master_key_identifier).seal(key_bytes, _KEY)).decode()

        def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> bytes:
            key = self._key(master_key_identifier).open(base64.b64decode(wrapped_key), _KEY)
            if key is None:
                raise altered(f"a table of {room}/{subject}")
            return key

        def _key(self, id: str) -> Key:
            *whose, version = id.split("/")
            if whose != [room, subject] or not version.isdigit():
                raise altered(f"a table of {room}/{subject}")
            if used is not None:
                used.add(int(version))
            return keys.get(room, subject, int(version)).derive(_KEY)

    return lambda _: Client()
