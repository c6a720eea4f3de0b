"""Blind indexes: look-up by a name or number that the file does not say.

A value becomes a token of 16 bits: the beginning of its HMAC-SHA-256 under a key of the room. Whoever steals an index
and its key and tries every mobile telephone number finds some 1,500 numbers for each token, not one; whoever asks the
vault pays for it with a few needless decryptions, for what a token finds is always opened and compared. The index is a
file of its own, made from the records and in no backup.
"""

import hmac
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from hanmaru.platform.vault import phonetic
from hanmaru.platform.vault.crypto import Key
from hanmaru.platform.vault.database import Database
from hanmaru.platform.vault.errors import VaultError
from hanmaru.platform.vault.store import Address, Store

log = structlog.get_logger()

TOKEN_BYTES: Final = 2
MOST_VALUES: Final = 50
"""Most values of one field in one record that are indexed."""

_BATCH: Final = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS token(
  token INTEGER NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  PRIMARY KEY(token, subject, kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_subject ON token(subject, kind, id);
CREATE TABLE IF NOT EXISTS made(of_ TEXT NOT NULL, seq INTEGER NOT NULL);
INSERT INTO made SELECT '', 0 WHERE NOT EXISTS (SELECT 1 FROM made);
"""

How = Literal["exact", "phonetic"]
Values = Mapping[str, frozenset[str]]
"""The values of fields, normalised."""


@dataclass(frozen=True, slots=True)
class Index:
    """A field to look records up by.

    ``path`` begins with the record's kind and goes on into its document: ``person.name``, ``person.phones``. A list
    there is many values. Several indexes may have one ``field``: what is looked for is then found in any of them.
    """

    field: str
    path: str
    kinds: tuple[How, ...] = ("exact",)


class BlindIndex:
    """The blind index of one room. For use from threads; every call reads or writes files."""

    def __init__(self, path: Path, store: Store, declared: Sequence[Index]) -> None:
        """Open an index, making the file on first use."""
        self._store, self._declared = store, tuple(declared)
        self.kinds = sorted({index.path.split(".")[0] for index in declared})
        self.db = Database(path, _SCHEMA, "derived")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def how(self, field: str) -> set[How]:
        """Return how a field may be looked up; raises VaultError for one that is not declared."""
        how: set[How] = {kind for index in self._declared if index.field == field for kind in index.kinds}
        if not how:
            raise VaultError(f"the vault {self._store.room!r} has no index of this name")
        return how

    def fields(self) -> list[str]:
        """Return the fields that are declared."""
        return sorted({index.field for index in self._declared})

    def catch_up(self) -> None:
        """Index what was written since; everything when the declaration, the key or the room's file is another.

        Quick when there is nothing to do.
        """
        key = self._store.keys.index_key(self._store.room)
        of = json.dumps([[i.field, i.path, i.kinds] for i in self._declared]) + _mac(key, "index")[:8].hex()
        while not self._level(of):
            with self.db.write() as db:
                made, seq = db.execute("SELECT of_, seq FROM made").fetchone()
                if made != of or seq > self._store.written():
                    db.execute("DELETE FROM token")
                    seq = 0
                rows, upto = self._store.written_after(seq, self.kinds, _BATCH)
                keys = self._store.keys.get_many(
                    self._store.room, [(row.subject, row.key) for row in rows], missing=True
                )
                for row in rows:
                    db.execute("DELETE FROM token WHERE subject = ? AND kind = ? AND id = ?", row.address)
                    if (row.subject, row.key) not in keys:
                        continue  # being destroyed
                    try:
                        document = self._store.opened(row, keys)
                    except VaultError as error:
                        log.error("record not indexed", problem=str(error))
                        continue
                    tokens = set(self._tokens(key, row.kind, document))
                    db.executemany(
                        "INSERT OR IGNORE INTO token VALUES(?, ?, ?, ?)", [(token, *row.address) for token in tokens]
                    )
                db.execute("UPDATE made SET of_ = ?, seq = ?", (of, upto))

    def find(self, field: str, value: object, how: How, most: int) -> list[Address]:
        """Return where records may have a value; what they hold is still to be compared.

        Raises VaultError when there are more than ``most``.
        """
        key = self._store.keys.index_key(self._store.room)
        tokens = sorted({_token(key, field, how, code) for code in _codes(normalised(value), how, phonetic.asked)})
        with self.db.read() as db:
            rows = db.execute(
                "SELECT DISTINCT t.subject, t.kind, t.id FROM json_each(?) w CROSS JOIN token t ON t.token = w.value"
                " LIMIT ?",
                (json.dumps(tokens), most + 1),
            ).fetchall()
        if len(rows) > most:
            raise VaultError(f"more than {most:,} records may match; ask for something rarer", 422)
        return [Address(*row) for row in rows]

    def values(self, kind: str, document: Mapping[str, Any]) -> Values:
        """Return the indexed values of a document by field, normalised."""
        found: dict[str, set[str]] = {}
        for index in self._declared:
            found.setdefault(index.field, set()).update(_values(index, kind, document))
        return {field: frozenset(values) for field, values in found.items() if values}

    def erase(self, subject: str) -> None:
        """Delete a subject's tokens."""
        with self.db.write() as db:
            db.execute("DELETE FROM token WHERE subject = ?", (subject,))

    def clear(self) -> None:
        """Forget everything; `catch_up` makes it again."""
        with self.db.write() as db:
            db.execute("UPDATE made SET of_ = ''")

    def _level(self, of: str) -> bool:
        with self.db.read() as db:
            made, seq = db.execute("SELECT of_, seq FROM made").fetchone()
        return made == of and seq == self._store.written()

    def _tokens(self, key: Key, kind: str, document: Mapping[str, Any]) -> Iterator[int]:
        for index in self._declared:
            for value in _values(index, kind, document):
                for how in index.kinds:
                    for code in _codes(value, how, phonetic.kept):
                        yield _token(key, index.field, how, code)


def matches(kept: Iterable[str], value: object, how: How) -> bool:
    """Return whether one of some normalised values is, or sounds like, another value."""
    normal = normalised(value)
    if how == "exact":
        return normal in kept
    codes = phonetic.asked(normal)
    return any(codes & phonetic.kept(one) for one in kept)


def normalised(value: object) -> str:
    """Return a value as it is compared: NFKC, folded case, single spaces; a number's digits with +82 as 0.

    Hangul is compared without spaces. Raises VaultError for what is no text or number, or nothing.
    """
    text = " ".join(unicodedata.normalize("NFKC", str(value)).casefold().split()) if _is_value(value) else ""
    if not text or len(text) > 1_000 or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise VaultError("look for a text or a number of at most 1,000 characters")
    if re.fullmatch(r"[+(]?[\d ().+-]{6,}", text):
        digits = re.sub(r"\D", "", text)
        international = re.match(r"\(?\+\s*82|0082", text)
        return re.sub(r"^(00)?820?", "0", digits) if international else digits
    return text.replace(" ", "") if re.search("[가-힣]", text) else text


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _values(index: Index, kind: str, document: Mapping[str, Any]) -> Iterator[str]:
    of_kind, *path = index.path.split(".")
    found: list[Any] = [document] if of_kind == kind else []
    for name in path:
        found = [part for one in found for part in _members(one, name)]
    for value in [part for one in found for part in _flat(one)][:MOST_VALUES]:
        if _is_value(value) and str(value).strip() and len(str(value)) <= 1_000:
            yield normalised(value)


def _members(value: Any, name: str) -> Iterator[Any]:
    for one in _flat(value):
        if isinstance(one, dict) and name in one:
            yield one[name]


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _codes(value: str, how: How, sound: Any) -> Iterable[str]:
    return [value] if how == "exact" else sound(value)


def _token(key: Key, field: str, how: How, code: str) -> int:
    return int.from_bytes(_mac(key, f"{how}|{field}|{code}")[:TOKEN_BYTES])


def _mac(key: Key, text: str) -> bytes:
    return hmac.digest(key.secret, text.encode(), "sha256")
