"""Accounts and sessions in their file, seen by several processes' worth of readers."""

import sqlite3
import stat
import time
import unicodedata
from pathlib import Path

import pytest

from hanmaru.platform.identity import sessions as module
from hanmaru.platform.identity.accounts import ROLES, AccountError, Accounts, demo_accounts
from hanmaru.platform.identity.attempts import FREE, FREE_OF_ADDRESS, FREE_OF_NAME, LONGEST_WAIT_S, Attempts
from hanmaru.platform.identity.database import FILE
from hanmaru.platform.identity.passwords import PasswordError, check, generate
from hanmaru.platform.identity.sessions import Sessions
from hanmaru.platform.origin import network

KIM = "reads things"


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    made = Accounts(tmp_path)
    made.add("kim", KIM, "reader")
    return made


def test_an_added_account_is_verified_by_its_password_only(accounts: Accounts) -> None:
    kim = accounts.find("kim")
    assert kim
    assert kim.roles == ("reader",)
    assert (kim.hash or "").startswith("$argon2id$")
    assert accounts.verify(kim, KIM)
    assert not accounts.verify(kim, KIM + "?")
    assert not accounts.verify(None, KIM)
    assert not accounts.verify(kim, "\ud800")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("kim", "already"),
        ("a:b", "colon"),
        ("", "printable"),
        (" lee", "printable"),
        ("x" * 65, "64"),
        ("\x00", "print"),
    ],
)
def test_bad_names_are_refused_with_the_reason(accounts: Accounts, name: str, reason: str) -> None:
    with pytest.raises(AccountError, match=reason):
        accounts.add(name, "writes things", "admin")


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "x" * 129,
        "with\x07a bell in it",
        "Password1234!",
        "P@ssw0rd P@ssw0rd",
        "qwertyuiop12",
        "1q2w3e4r5t6y",
        "abcdefghijkl",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "비밀번호비밀번호1234",
        "hanmaru-2026-hanmaru",
        "Sejong!Sejong!",
        "kim.yeonghui.2026",
    ],
)
def test_passwords_that_are_guessed_first_are_refused(password: str) -> None:
    with pytest.raises(PasswordError):
        check(password, ["Sejong", "kim.yeonghui"])


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "파란 고래가 산을 넘는다", "vKt-5xQ2_hPwz", "twelve chars", "x1!" + "ö" * 3 + "qwzpvb"],
)
def test_length_counts_and_composition_does_not(password: str) -> None:
    check(password, ["Sejong", "kim"])


def test_the_same_password_from_another_keyboard_is_the_same(accounts: Accounts) -> None:
    composed = "파란 고래가 산을 넘는다"
    decomposed = unicodedata.normalize("NFD", composed)
    assert composed != decomposed
    accounts.add("lee", decomposed, "reader")
    assert accounts.verify(accounts.find("lee"), composed)


def test_generated_passwords_may_be_chosen() -> None:
    assert len({generate() for _ in range(100)}) == 100


def test_the_files_are_their_owners_alone(tmp_path: Path) -> None:
    Sessions(Accounts(tmp_path)).start("kim", second_factor=False)
    Attempts(Accounts(tmp_path).file)
    demo_accounts(tmp_path)
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_an_older_file_keeps_its_accounts(tmp_path: Path, accounts: Accounts) -> None:
    kim = accounts.find("kim")
    assert kim
    folder = tmp_path / "old"
    folder.mkdir()
    with sqlite3.connect(folder / "accounts.db") as old:
        old.execute(
            "CREATE TABLE account(name TEXT PRIMARY KEY, hash TEXT NOT NULL, roles TEXT NOT NULL) WITHOUT ROWID"
        )
        old.execute("CREATE TABLE session(digest BLOB PRIMARY KEY, name TEXT NOT NULL, expires REAL) WITHOUT ROWID")
        old.execute("INSERT INTO account VALUES('kim', ?, 'admin reader')", (kim.hash,))
    old.close()
    found = Accounts(folder).find("kim")
    assert found
    assert found.roles == ("admin", "reader")
    assert accounts.verify(found, KIM)


def test_what_one_process_removes_another_refuses_at_once(tmp_path: Path, accounts: Accounts) -> None:
    there = Accounts(tmp_path)
    here_sessions, there_sessions = Sessions(accounts), Sessions(there)
    token = here_sessions.start("kim", second_factor=False)
    session = there_sessions.find(token)
    assert session
    assert session.account == there.find("kim")
    accounts.remove("kim")
    assert there.find("kim") is None
    assert there_sessions.find(token) is None


def test_a_session_ends_when_asked_when_the_password_changes_and_when_locked(
    tmp_path: Path, accounts: Accounts
) -> None:
    accounts.add("lee", "writes things", "admin")
    kim = accounts.find("kim")
    assert kim
    here, there = Sessions(accounts), Sessions(Accounts(tmp_path))
    tokens = [here.start("kim", second_factor=False, agent=f"browser {n}") for n in range(4)]
    here.end(tokens[0])
    assert [there.find(token) is None for token in tokens] == [True, False, False, False]
    one = next(session for session in there.of(kim) if session.agent == "browser 1")
    assert not there.end_one("lee", one.id)
    assert there.end_one("kim", one.id)
    assert here.find(tokens[1]) is None
    accounts.set_password("kim", "another good one")
    assert [there.find(token) for token in tokens] == [None] * 4
    token = here.start("kim", second_factor=False)
    accounts.set_locked("kim", True)
    assert there.find(token) is None
    accounts.set_locked("kim", False)
    assert there.find(token) is None


def test_a_session_ends_when_idle_and_at_the_end_of_the_day(tmp_path: Path, accounts: Accounts) -> None:
    clock = Clock()
    here, there = Sessions(accounts, 3600, clock), Sessions(Accounts(tmp_path), 3600, clock)
    idle, busy = here.start("kim", second_factor=False), here.start("kim", second_factor=False)
    for _ in range(11):
        clock.now += 3000
        session = here.find(busy)
        assert session
        assert here.due(session)
        assert not here.due(here.find(busy) or session)
        here.touch(session)
        assert there.find(busy)
    assert here.find(idle) is None
    assert there.find(idle) is None
    clock.now += module.SESSION_S - 11 * 3000
    assert here.find(busy) is None
    assert there.find(busy) is None


def test_a_session_takes_the_place_of_the_one_before(accounts: Accounts) -> None:
    sessions, kim = Sessions(accounts), accounts.find("kim")
    assert kim
    first = sessions.start("kim", second_factor=False)
    second = sessions.start("kim", second_factor=True, instead_of=first)
    assert sessions.find(first) is None
    assert [session.second_factor for session in sessions.of(kim)] == [True]
    assert sessions.find(second)
    before = sessions.find(second)
    third = sessions.start("kim", second_factor=True, instead_of=second, renews=before)
    after = sessions.find(third)
    assert before
    assert after
    assert (after.started, after.expires) == (before.started, before.expires)
    for _ in range(module.MOST_OF_ONE + 3):
        sessions.start("kim", second_factor=False)
    assert len(sessions.of(kim)) == module.MOST_OF_ONE


def test_asking_whose_session_it_is_costs_microseconds(accounts: Accounts) -> None:
    sessions = Sessions(accounts)
    token = sessions.start("kim", second_factor=False)
    sessions.find(token)
    started = time.perf_counter()
    for _ in range(1000):
        sessions.find(token)
    assert time.perf_counter() - started < 0.2


def test_the_last_administrator_stays(accounts: Accounts) -> None:
    accounts.add("lee", "writes things", "admin")
    for change in (
        lambda: accounts.remove("lee"),
        lambda: accounts.set_roles("lee", ["reader"]),
        lambda: accounts.set_locked("lee", True),
    ):
        with pytest.raises(AccountError, match="last administrator"):
            change()
    accounts.invite("park", ["admin"])  # has not chosen a password yet: cannot administer
    with pytest.raises(AccountError, match="last administrator"):
        accounts.remove("lee")
    accounts.add("choi", "also writes things", "admin")
    accounts.remove("lee")


def test_a_setup_link_is_good_once_for_a_day_and_its_successor_ends_it(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = accounts.invite("lee", ["writer"])
    token = accounts.setup_token("lee")
    assert accounts.set_up(earlier, "", "writes things") is None
    with pytest.raises(PasswordError):
        accounts.set_up(token, "", "short")
    lee = accounts.set_up(token, "somebody else", "writes things")
    assert lee
    assert (lee.name, lee.roles) == ("lee", ("writer",))
    assert accounts.verify(lee, "writes things")
    assert accounts.set_up(token, "", "writes other things") is None
    late = accounts.setup_token("lee")
    now = time.time() + 24 * 3600 + 1
    monkeypatch.setattr("hanmaru.platform.identity.accounts.time.time", lambda: now)
    assert accounts.set_up(late, "", "writes other things") is None


def test_the_first_setup_link_makes_an_administrator(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    token = accounts.setup_token(None, ["admin"])
    with pytest.raises(AccountError, match="printable"):
        accounts.set_up(token, "", "writes things")
    made = accounts.set_up(token, "lee", "writes things")
    assert made
    assert made.roles == ("admin",)


def test_roles_from_a_provider_replace_those_before_and_never_touch_built_in_accounts(accounts: Accounts) -> None:
    assert accounts.provided("lee@city", ["reader"]).roles == ("reader",)
    assert accounts.provided("lee@city", ["writer", "auditor"]).roles == ("writer", "auditor")
    assert accounts.provided("lee@city", ["reader"], "Lee").title == "Lee"
    assert accounts.provided("lee@city", ["reader"], "Lee Jun").title == "Lee Jun"
    with pytest.raises(AccountError, match="built-in"):
        accounts.provided("kim", ["admin"])
    for refused in (accounts.setup_token, lambda name: accounts.set_password(name, "writes things")):
        with pytest.raises(AccountError, match="provider"):
            refused("lee@city")


def test_guessing_costs_ever_more_time_by_name_and_address(tmp_path: Path, accounts: Accounts) -> None:
    clock = Clock()
    here, there = Attempts(accounts.file, clock), Attempts(Accounts(tmp_path).file, clock)
    for _ in range(FREE):
        assert there.wait_s("kim", "192.0.2.1") == 0
        here.failed("kim", "192.0.2.1")
    waits = []
    for _ in range(8):
        waits.append(there.wait_s("kim", "192.0.2.1"))
        clock.now += waits[-1]
        assert there.wait_s("kim", "192.0.2.1") == 0
        here.failed("kim", "192.0.2.1")
    assert [round(w) for w in waits] == [30, 60, 120, 240, 480, 900, 900, 900]
    assert there.wait_s("kim", "192.0.2.2") == 0
    clock.now += 900
    here.succeeded("kim", "192.0.2.1")
    here.failed("kim", "192.0.2.1")
    assert here.wait_s("kim", "192.0.2.1") == 0


def test_an_address_that_tries_many_names_waits(accounts: Accounts) -> None:
    attempts = Attempts(accounts.file)
    for n in range(FREE_OF_ADDRESS):
        attempts.failed(f"name {n}", f"2001:db8::{n:x}")  # one customer's network is one address
    assert attempts.wait_s("kim", "2001:db8::ffff") > 0
    assert attempts.wait_s("kim", "2001:db8:0:1::1") == 0
    assert network("::ffff:192.0.2.1") == "192.0.2.1"
    assert network("unix:") == "unix:"


def test_strangers_cannot_lock_somebody_out_of_where_they_work(accounts: Accounts) -> None:
    clock = Clock()
    attempts = Attempts(accounts.file, clock)
    attempts.succeeded("kim", "192.0.2.1")
    for n in range(FREE_OF_NAME):
        attempts.failed("kim", f"198.51.100.{n}")
    assert attempts.locked_s("kim") == pytest.approx(LONGEST_WAIT_S)
    assert attempts.wait_s("kim", "203.0.113.1") > 0
    assert attempts.wait_s("kim", "192.0.2.1") == 0
    clock.now += LONGEST_WAIT_S
    assert attempts.wait_s("kim", "203.0.113.1") == 0  # it ends by itself
    attempts.failed("kim", "203.0.113.1")
    assert attempts.locked_s("kim") == 0
    for n in range(FREE_OF_NAME):
        attempts.failed("kim", f"198.51.100.{n}")
    attempts.lift("kim")
    assert attempts.locked_s("kim") == 0


def test_neither_names_nor_addresses_of_failures_are_kept(tmp_path: Path, accounts: Accounts) -> None:
    Attempts(accounts.file).failed("my secret password", "192.0.2.77")
    accounts.close()
    for path in tmp_path.glob("accounts.db*"):
        assert b"my secret" not in path.read_bytes()
        assert b"192.0.2.77" not in path.read_bytes()


def test_the_demo_has_an_account_for_each_role_and_forgets_changed_ones(tmp_path: Path) -> None:
    first = demo_accounts(tmp_path)
    assert [(a.name, a.role) for a in first] == [(role, role) for role in ROLES]
    for entry in first:
        check(entry.password)
    with_service = demo_accounts(tmp_path, (*ROLES, "dispatcher"))
    assert with_service[:-1] == first
    assert with_service[-1].role == "dispatcher"
    assert demo_accounts(tmp_path) == first
    Accounts(tmp_path).set_password("admin", "quite another one")
    assert [a.name for a in demo_accounts(tmp_path, ("admin", "reader"))] == ["reader"]


def test_the_provider_takes_a_role_from_the_last_administrator_and_ends_their_sessions(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.provided("oidc:lee", ["admin"])
    sessions = Sessions(accounts)
    token = sessions.start("oidc:lee", second_factor=False, address="", agent="")
    assert sessions.find(token)
    assert accounts.provided("oidc:lee", ["reader"]).roles == ("reader",)
    assert sessions.find(token) is None
    with pytest.raises(AccountError, match="without a colon"):
        accounts.add("oidc:kim", "writes many things", "reader")
    accounts.close()


def test_a_file_without_titles_gets_them(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    accounts.provided("oidc:lee", ["reader"], "Lee")
    accounts.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("ALTER TABLE account DROP COLUMN title")
        db.execute("PRAGMA user_version = 1")
    db.close()
    accounts = Accounts(tmp_path)
    assert accounts.provided("oidc:lee", ["reader"], "Lee").title == "Lee"
    accounts.close()
