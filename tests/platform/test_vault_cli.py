"""The vault's commands, and what a hub does for its vaults once a day."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hanmaru.platform.audit.lines import segments
from hanmaru.platform.policy import Caller
from hanmaru.platform.vault import VaultError, backup
from hanmaru.platform.vault.cli import vault_app
from hanmaru.platform.vault.keys import Keys
from hanmaru.platform.vault.upkeep import look_after
from tests.platform.vaults import opened


def said(folder: Path, *arguments: str) -> str:
    """Run a command and return what it prints; what it raises is raised."""
    app = vault_app(lambda _: (folder / "data", folder / "keys"))
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


async def made(folder: Path) -> str:
    vaults = opened(folder)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    case = await desk.open_subject("case")
    await desk.put(case, "person", "p", {"name": "김민준"})
    vaults.close()
    return case


async def test_the_vaults_are_listed(tmp_path: Path) -> None:
    assert said(tmp_path, "list") == "no vault yet\n"
    await made(tmp_path)
    assert said(tmp_path, "list") == "trace  1 subjects, 1 records, 0 blobs\n"
    found = json.loads(said(tmp_path, "list", "--json"))
    assert found == [{"room": "trace", "subjects": 1, "records": 1, "blobs": 0}]


async def test_keys_are_rotated_and_it_is_in_the_audit_trail(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="nothing was put into a vault"):
        said(tmp_path, "rotate", "--master")
    case = await made(tmp_path)
    assert said(tmp_path, "rotate", "--master") == "rotated the master key: 1 keys\n"
    assert said(tmp_path, "rotate", "--subject", f"trace/{case}") == f"rotated trace/{case}: 1 keys\n"
    assert said(tmp_path, "rotate", "--older-than", "30") == "rotated keys older than 30 days: 0 keys\n"
    assert json.loads(said(tmp_path, "rotate", "--older-than", "0", "--json"))["keys"] == 1
    with pytest.raises(VaultError, match="not a vault subject"):
        said(tmp_path, "rotate", "--subject", "trace/김민준")
    trail = b"".join(path.read_bytes() for path in segments(tmp_path / "data" / "audit" / "cli"))
    assert trail.count(b"vault.rotate") == 5
    vaults = opened(tmp_path)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    assert await desk.get(case, "person", "p") == {"name": "김민준"}
    vaults.close()


async def test_keys_come_back_from_a_backup_but_no_destroyed_one(tmp_path: Path) -> None:
    case, other = await made(tmp_path), await made(tmp_path)
    file = json.loads(said(tmp_path, "backup-keys", str(tmp_path / "kept"), "--json"))["path"]
    elsewhere = tmp_path / "elsewhere" / Path(file).name
    elsewhere.parent.mkdir()
    shutil.copy(file, elsewhere)
    vaults = opened(tmp_path)
    await vaults.room("trace").at(Caller("privacy"), "request of the person").destroy(case, "asked for")
    vaults.close()
    ledger = tmp_path / "ledger.log"
    ledger.write_bytes((tmp_path / "keys" / "destroyed.log").read_bytes())
    for lost in ("keys.db", "destroyed.log"):
        (tmp_path / "keys" / lost).unlink()
    with pytest.raises(VaultError, match="no ledger"):
        said(tmp_path, "restore-keys", str(elsewhere), "--ledger", str(tmp_path / "other.log"))
    told = said(tmp_path, "restore-keys", str(elsewhere), "--ledger", str(ledger))
    assert told == "1 keys came back, 0 were destroyed again\n"
    vaults = opened(tmp_path)
    desk = vaults.room("trace").at(Caller("investigator"), "contact tracing")
    assert await desk.get(other, "person", "p") == {"name": "김민준"}
    assert await desk.get(case, "person", "p") is None
    vaults.close()
    assert case in (tmp_path / "keys" / "destroyed.log").read_text()


async def test_a_restore_destroys_again_what_was_destroyed_on_another_machine(tmp_path: Path) -> None:
    case, other = await made(tmp_path), await made(tmp_path)
    file = json.loads(said(tmp_path, "backup-keys", str(tmp_path / "kept"), "--json"))["path"]
    ledger = tmp_path / "ledger.log"
    ledger.write_text(f"2026-11-23T00:00:00Z trace/{case}\nhalf a li")
    told = said(tmp_path, "restore-keys", file, "--ledger", str(ledger))
    assert told == "0 keys came back, 1 were destroyed again\n"
    assert json.loads(said(tmp_path, "list", "--json"))[0]["subjects"] == 1
    keys = Keys(tmp_path / "keys")
    assert keys.versions("trace", case) == []
    assert keys.versions("trace", other) == [1]
    keys.close()


async def test_once_a_day_key_backups_expire_and_destructions_are_finished(tmp_path: Path) -> None:
    case = await made(tmp_path)
    vaults = opened(tmp_path)
    look_after(vaults)
    old = backup.backup_keys(vaults.keys, tmp_path / "kept")
    eight_days = datetime.now(UTC) - timedelta(days=8)
    old.write_text(
        old.read_text().replace(backup.read_backup(vaults.keys, old).made.isoformat(), eight_days.isoformat())
    )
    unreadable = tmp_path / "kept" / "keys-x.hkb"
    unreadable.write_bytes(b"\xff")
    os.utime(unreadable, (0, eight_days.timestamp()))
    new = backup.backup_keys(vaults.keys, tmp_path / "kept")
    assert [*new.parent.glob("*.hkb")] == [new]  # every backup looks after the old ones, too
    with vaults.keys.db.write() as db:
        db.execute("INSERT INTO destroying VALUES('trace', ?, 0)", (case,))
    look_after(vaults)
    assert vaults.keys.versions("trace", case) == []
    assert backup.read_backup(vaults.keys, new).keys == []
    vaults.close()
