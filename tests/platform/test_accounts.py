"""Accounts and sessions in their file, seen by several processes' worth of readers."""

import stat
import time
from pathlib import Path

import pytest

from hanmaru.platform import accounts as module
from hanmaru.platform.accounts import AccountError, Accounts, demo_accounts


def test_an_added_account_is_verified_by_its_password_only(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("kim", "long enough", "reader")
    kim = accounts.find("kim")
    assert kim
    assert kim.caller.roles == ("reader",)
    assert kim.hash.startswith("$argon2id$")
    assert accounts.verify(kim, "long enough")
    assert not accounts.verify(kim, "long enough?")
    assert not accounts.verify(None, "long enough")


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("kim", "long enough", "already"),
        ("a:b", "long enough", "colon"),
        ("", "long enough", "printable"),
        ("lee", "short", "8 characters"),
    ],
)
def test_bad_accounts_are_refused_with_the_reason(tmp_path: Path, name: str, password: str, reason: str) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("kim", "long enough", "reader")
    with pytest.raises(AccountError, match=reason):
        accounts.add(name, password, "admin")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    Accounts(tmp_path).add("kim", "long enough", "reader")
    demo_accounts(tmp_path)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_what_one_process_removes_another_refuses_at_once(tmp_path: Path) -> None:
    here, there = Accounts(tmp_path), Accounts(tmp_path)
    here.add("kim", "long enough", "reader")
    token = here.start_session("kim")
    assert there.session(token) == there.find("kim")
    here.remove("kim")
    assert there.find("kim") is None
    assert there.session(token) is None


def test_a_session_ends_when_asked_when_the_password_changes_and_when_it_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Accounts(tmp_path), Accounts(tmp_path)
    here.add("kim", "long enough", "reader")
    first, second, third = (here.start_session("kim") for _ in range(3))
    here.end_session(first)
    assert [there.session(token) is None for token in (first, second)] == [True, False]
    here.set_password("kim", "another one")
    assert there.session(second) is None
    assert there.session(third) is None
    fourth = here.start_session("kim")
    later = time.time() + module.SESSION_S + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert there.session(fourth) is None


def test_the_demo_keeps_its_passwords_over_restarts_and_forgets_changed_ones(tmp_path: Path) -> None:
    first = demo_accounts(tmp_path)
    assert [(a.name, a.role) for a in first] == [("admin", "admin"), ("reader", "reader")]
    assert demo_accounts(tmp_path) == first
    Accounts(tmp_path).set_password("admin", "my own password")
    assert [a.name for a in demo_accounts(tmp_path)] == ["reader"]


def test_asking_whose_session_it_is_costs_microseconds(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.add("kim", "long enough", "reader")
    token = accounts.start_session("kim")
    accounts.session(token)
    started = time.perf_counter()
    for _ in range(1000):
        accounts.session(token)
    assert time.perf_counter() - started < 0.2
