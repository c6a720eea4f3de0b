"""The accounts that people sign in with: names, argon2id hashes, roles, locks, and one-time set-up links.

The whole table is held in memory and read again when any process changed it, so that asking who a name is costs
microseconds and a removed or locked account is refused by every worker at once.
"""

import json
import os
import re
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanmaru.platform.identity import passwords
from hanmaru.platform.identity.database import AccountsFile, digest

DEMO_FILE = "demo-accounts.json"
SETUP_S = 24 * 3600
LONGEST_NAME = 64
ROLES = ("admin", "writer", "reader", "security", "privacy", "auditor")
"""The built-in roles; services and policies bring more."""

_ROLE = re.compile(r"[A-Za-z][\w.-]{0,63}", re.ASCII)


class AccountError(Exception):
    """A change to the accounts that cannot be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account.

    ``hash`` is None until its person has chosen a password, and for ever where ``provider`` says that an OpenID Connect
    provider signs them in; ``title`` is what they are called there. ``second_factor`` says whether a password alone is
    not enough.
    """

    name: str
    hash: str | None
    roles: tuple[str, ...]
    provider: bool = False
    locked: bool = False
    second_factor: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo, with its password in the clear: it exists to be told to whoever tries the demo."""

    name: str
    password: str
    role: str


@dataclass(frozen=True, slots=True)
class Setup:
    """What a set-up link is for: choosing a password of ``name``, or, when that is None, of a new account."""

    name: str | None
    roles: tuple[str, ...]


class Accounts:
    """The accounts of one data folder. What changes them waits for the disk; see `AccountsFile`."""

    def __init__(self, folder: Path, keys: Path | None = None, *, context: Iterable[str] = ()) -> None:
        """Open them; ``context`` are words of this city that a password must not lean on."""
        self.file = AccountsFile(folder, keys)
        self._context = tuple(context)
        self._hasher = passwords.Hasher()
        self._generation = -1
        self._accounts: dict[str, Account] = {}

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def all(self) -> list[Account]:
        """Return the accounts by name."""
        known = self._current()
        return [known[name] for name in sorted(known)]

    def find(self, name: str) -> Account | None:
        """Return an account, or None."""
        return self._current().get(unicodedata.normalize("NFC", name))

    def add(self, name: str, password: str, *roles: str) -> None:
        """Add an account with a password.

        Raises AccountError for a name that is taken or holds a colon or unprintable characters, and
        `passwords.PasswordError` for a password that may not be chosen.
        """
        self._add(self.usable(name), self.hashed(name, password), roles)

    def invite(self, name: str, roles: Sequence[str]) -> str:
        """Add an account without a password and return the token of its set-up link; raises AccountError as `add`."""
        name = self.usable(name)
        self._add(name, None, roles)
        return self.setup_token(name)

    def provided(self, name: str, roles: Sequence[str], title: str = "") -> Account:
        """Return the account of somebody whom the provider signed in, made or given the roles and title it has now.

        Raises AccountError when the name is a built-in account's.
        """
        account = self.find(name)
        if account is None:
            self._add(self.usable(name, provider=True), None, roles, provider=True, title=title)
        elif not account.provider:
            raise AccountError(f"the name {name!r} belongs to a built-in account")
        elif set(account.roles) != set(roles):
            with self.file.write(changes=True) as db:  # the provider's word holds for the last administrator, too
                _give(db, account, roles)
        if account and account.title != title:
            with self.file.write(changes=True) as db:
                db.execute("UPDATE account SET title = ? WHERE name = ?", (title, account.name))
        found = self.find(name)
        assert found
        return found

    def set_password(self, name: str, password: str, *, keep: bytes = b"") -> None:
        """Change a password and end the account's sessions but the one with the digest ``keep``.

        Raises AccountError when there is no such account or the provider keeps it, and `passwords.PasswordError`.
        """
        account = self._existing(name)
        if account.provider:
            raise AccountError(f"{name!r} signs in at the OpenID Connect provider and has no password here")
        hash = self.hashed(name, password)
        with self.file.write(changes=True) as db:
            db.execute("UPDATE account SET hash = ? WHERE name = ?", (hash, account.name))
            db.execute("DELETE FROM session WHERE name = ? AND digest != ?", (account.name, keep))
            db.execute("DELETE FROM setup WHERE name = ?", (account.name,))

    def set_roles(self, name: str, roles: Sequence[str]) -> None:
        """Give an account other roles and end its sessions; raises AccountError for the last administrator's."""
        account = self._existing(name)
        with self.file.write(changes=True) as db:
            if "admin" not in roles:
                self._keep_an_admin(account)
            _give(db, account, roles)

    def set_locked(self, name: str, locked: bool) -> None:
        """Lock an account, ending its sessions, or unlock it; raises AccountError for the last administrator's."""
        account = self._existing(name)
        with self.file.write(changes=True) as db:
            if locked:
                self._keep_an_admin(account)
                db.execute("DELETE FROM session WHERE name = ?", (account.name,))
            db.execute("UPDATE account SET locked = ? WHERE name = ?", (locked, account.name))

    def remove(self, name: str) -> None:
        """Remove an account with its sessions and factors; raises AccountError for the last administrator's."""
        account = self._existing(name)
        with self.file.write(changes=True) as db:
            self._keep_an_admin(account)
            for table in ("account", "session", "passkey", "recovery", "setup", "known"):
                db.execute(f"DELETE FROM {table} WHERE name = ?", (account.name,))  # noqa: S608 - our own names

    def signed_in(self, name: str) -> None:
        """Note that somebody signed in now; no other process needs to know at once."""
        with self.file.write() as db:
            db.execute("UPDATE account SET last_sign_in = ? WHERE name = ?", (time.time(), name))

    def verify(self, account: Account | None, password: str) -> bool:
        """Return whether the password is the account's; takes as long for no account. Call it in a thread."""
        return self._hasher.verify(account.hash if account else None, password)

    def hashed(self, name: str, password: str) -> str:
        """Return the hash of a password that its person may choose; raises `passwords.PasswordError`."""
        passwords.check(password, (*self._context, name))
        return self._hasher.hash(password)

    def usable(self, name: str, *, provider: bool = False) -> str:
        """Return a new account's name as it is kept; raises AccountError for one that cannot be had.

        Only a name that the provider gives (``oidc:…``) may hold a colon, so that it is never a built-in one.
        """
        name = unicodedata.normalize("NFC", name)
        if (
            not name
            or (":" in name and not provider)
            or not name.isprintable()
            or name != name.strip()
            or len(name) > LONGEST_NAME
        ):
            raise AccountError(f"an account's name is printable text without a colon, at most {LONGEST_NAME} long")
        if self.find(name):
            raise AccountError(f"there is already an account {name!r}")
        return name

    def setup_token(self, name: str | None, roles: Sequence[str] = ()) -> str:
        """Return the token of a new set-up link, which ends earlier ones.

        For an existing account's next password, or, with ``name`` None, for a new account with the roles. Raises
        AccountError when there is no such account or the provider keeps it.
        """
        if name is not None:
            account = self._existing(name)
            if account.provider:
                raise AccountError(f"{name!r} signs in at the OpenID Connect provider and has no password here")
            name = account.name
        token = secrets.token_urlsafe(32)
        with self.file.write() as db:
            db.execute("DELETE FROM setup WHERE name IS ? OR expires < ?", (name, time.time()))
            db.execute(
                "INSERT INTO setup VALUES(?, ?, ?, ?)",
                (digest(token), name, " ".join(_roles(roles)), time.time() + SETUP_S),
            )
        return token

    def setup(self, token: str) -> Setup | None:
        """Return what a set-up token is for, or None for one that is unknown, used or expired."""
        rows = self.file.read("SELECT name, roles FROM setup WHERE digest = ? AND expires > ?", _now(token))
        return Setup(rows[0][0], tuple(rows[0][1].split())) if rows else None

    def set_up(self, token: str, name: str, password: str) -> Account | None:
        """Use a set-up token: give the account, made where there is none, its password; end its sessions.

        Return None for a token that is unknown, used or expired. Raises AccountError and `passwords.PasswordError`,
        after which the token is still good.
        """
        setup = self.setup(token)
        if setup is None:
            return None
        name = self.usable(name) if setup.name is None else setup.name
        hash = self.hashed(name, password)
        with self.file.write(changes=True) as db:
            if not db.execute("DELETE FROM setup WHERE digest = ? AND expires > ?", _now(token)).rowcount:
                return None
            if setup.name is None:
                _insert(db, name, hash, setup.roles)
            else:
                db.execute("UPDATE account SET hash = ? WHERE name = ?", (hash, name))
            db.execute("DELETE FROM session WHERE name = ?", (name,))
        return self.find(name)

    def _add(
        self, name: str, hash: str | None, roles: Sequence[str], *, provider: bool = False, title: str = ""
    ) -> None:
        with self.file.write(changes=True) as db:
            _insert(db, name, hash, _roles(roles), provider=provider, title=title)

    def _existing(self, name: str) -> Account:
        account = self.find(name)
        if account is None:
            raise AccountError(f"there is no account {name!r}")
        return account

    def _keep_an_admin(self, account: Account) -> None:
        others = [a for a in self.all() if a.name != account.name and not a.locked and (a.hash or a.provider)]
        if "admin" in account.roles and not any("admin" in a.roles for a in others):
            raise AccountError(f"{account.name!r} is the last administrator; make another one first")

    def _current(self) -> dict[str, Account]:
        generation = self.file.generation()
        if generation != self._generation:
            rows = self.file.read(
                "SELECT name, hash, roles, provider, locked, title,"
                " totp IS NOT NULL OR EXISTS(SELECT 1 FROM passkey WHERE passkey.name = account.name) FROM account"
            )
            self._accounts = {
                name: Account(name, hash, tuple(roles.split()), bool(provider), bool(locked), bool(second), title)
                for name, hash, roles, provider, locked, title, second in rows
            }
            self._generation = generation
        return self._accounts


def setup_link(base: str, token: str) -> str:
    """Return a set-up link; the token is in the fragment, which browsers send nowhere and nobody logs."""
    return f"{base.rstrip('/')}/setup#{token}"


def demo_accounts(folder: Path, roles: Sequence[str] = ROLES, keys: Path | None = None) -> list[DemoAccount]:
    """Return the demo's accounts of a data folder, one for each role, making them at the first start.

    An account whose password or factors somebody changed since is left alone and not returned.
    """
    path = folder / DEMO_FILE
    accounts = Accounts(folder, keys)
    try:
        entries: list[dict[str, str]] = json.loads(path.read_text("utf-8")) if path.exists() else []
        before = json.dumps(entries)
        there = {entry["role"] for entry in entries}
        new = [role for role in roles if role not in there]
        entries += [{"name": role, "password": passwords.generate(), "role": role} for role in new]
        for entry in entries:
            account = accounts.find(entry["name"])
            if account is None:
                accounts.add(entry["name"], entry["password"], entry["role"])
                account = accounts.find(entry["name"])
            if "hash" not in entry and accounts.verify(account, entry["password"]):
                entry["hash"] = account.hash or "" if account else ""
        if json.dumps(entries) != before:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(entries, file)
        return [
            DemoAccount(entry["name"], entry["password"], entry["role"])
            for entry in entries
            if entry["role"] in roles and _untouched(accounts.find(entry["name"]), entry.get("hash"))
        ]
    finally:
        accounts.close()


def _untouched(account: Account | None, hash: str | None) -> bool:
    return account is not None and account.hash == hash and not account.locked and not account.second_factor


def _give(db: sqlite3.Connection, account: Account, roles: Sequence[str]) -> None:
    db.execute("UPDATE account SET roles = ? WHERE name = ?", (" ".join(_roles(roles)), account.name))
    db.execute("DELETE FROM session WHERE name = ?", (account.name,))


def _insert(
    db: sqlite3.Connection,
    name: str,
    hash: str | None,
    roles: Sequence[str],
    *,
    provider: bool = False,
    title: str = "",
) -> None:
    row = (name, hash, " ".join(roles), provider, secrets.token_bytes(32), time.time(), title)
    try:
        columns = "name, hash, roles, provider, handle, created, title"
        db.execute(f"INSERT INTO account({columns}) VALUES(?, ?, ?, ?, ?, ?, ?)", row)
        if "admin" in roles:  # by whatever way: the link that was printed for the first one is good for nobody now
            db.execute("DELETE FROM setup WHERE name IS NULL")
    except sqlite3.IntegrityError:
        raise AccountError(f"there is already an account {name!r}") from None


def _roles(roles: Iterable[str]) -> list[str]:
    """Return roles as they are kept: each once, in the order given; raises AccountError for what is no role's name."""
    kept = list(dict.fromkeys(roles))
    for role in kept:
        if not _ROLE.fullmatch(role):
            raise AccountError(f"{role!r} is no role's name: letters, digits, '.', '_' and '-'")
    return kept


def _now(token: str) -> tuple[bytes, float]:
    return digest(token), time.time()
