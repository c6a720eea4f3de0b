"""Which passwords people may choose, and how they are kept.

The rules are those of NIST SP 800-63B and OWASP ASVS 5.0 chapter 6.2: length counts, composition does not, and what is
guessed first is refused. What is guessed first is found by rules (repetition, sequences, walks on a keyboard) and a
short list of words; what such parts leave over must still be worth guessing.
"""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 128
LEFT_OVER = 6
"""How many letters and digits must remain when every well-known part is taken away."""
DISTINCT = 5

WORDS = frozenset(
    """
    password passwort passwd passcode pass secret login logon signin admin administrator root superuser sysadmin manager
    operator system server default guest user test tester testing temp temporary changeme change master welcome hello
    letmein letme iloveyou loveyou love lovely baby angel princess sunshine flower summer winter spring autumn monday
    friday january february march april june july august september october november december monkey dragon tiger lion
    eagle shadow killer hunter ranger cowboy soccer football baseball basketball hockey liverpool arsenal chelsea
    superman batman spiderman pokemon starwars starcraft trustno trustnoone whatever access freedom ninja mustang
    harley ferrari mercedes porsche samsung hyundai apple google naver kakao daum windows linux android internet
    computer michael jordan jessica ashley daniel charlie thomas george robert andrew matthew joshua william
    money cheese chocolate cookie banana orange purple silver golden diamond phoenix matrix maverick merlin
    qazwsx zxcvbn asdf qwer korea seoul busan daegu incheon daejeon gwangju ulsan sejong jeju hangul
    smartcity city data datahub public office center centre control traffic
    비밀번호 암호 관리자 사용자 사랑해 사랑 안녕 안녕하세요 대한민국 한국 서울 부산 대구 인천 대전 광주 울산 세종 제주
    우리집 행복 천사 공주 시청 도청 구청 통합관제 관제센터 스마트시티 데이터허브
    tkfkdgo tkfkd dkssud dkssudgktpdy qlalfqjsgh rhksflwk eogksalsrnr gksrnr tjdnf sksms wkdrns
    """.split()
)
"""Words that guesses begin with, in English, in Korean, and in Korean typed on Latin keys."""

_ROWS = (
    "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "ㅋㅌㅊㅍㅠㅜㅡ",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "!@#$%^&*()",
)  # fmt: skip
_NEXT = frozenset(a + b for row in _ROWS for a, b in pairwise(row)) | frozenset(
    b + a for row in _ROWS for a, b in pairwise(row)
)
_LEET = str.maketrans("013457@$!", "oleastasi")
OURS = ("hanmaru", "한마루")


class PasswordError(Exception):
    """A password that may not be chosen; the text says why."""


def normal(password: str) -> str:
    """Return the password as it is hashed: in NFC (RFC 8265, OpaqueString), so that every keyboard gives the same."""
    return unicodedata.normalize("NFC", password)


def check(password: str, context: Iterable[str] = ()) -> None:
    """Raise PasswordError unless a person may choose the password; ``context`` are words that it must not lean on."""
    password = normal(password)
    if len(password) < SHORTEST:
        raise PasswordError(f"a password has at least {SHORTEST} characters")
    if len(password) > LONGEST:
        raise PasswordError(f"a password has at most {LONGEST} characters")
    if not password.isprintable():
        raise PasswordError("a password is printable text")
    words = WORDS | {part for word in (*OURS, *context) for part in re.findall(r"\w{3,}", word.casefold())}
    plain = password.casefold()
    left = min(_left_over(plain, words), _left_over(plain.translate(_LEET), words))
    if left < LEFT_OVER or len(set(plain)) < DISTINCT:
        raise PasswordError("this password is among the first that are guessed; choose several unrelated words")


def generate() -> str:
    """Return a random password that may be chosen, 96 bits in 16 characters."""
    while True:
        password = secrets.token_urlsafe(12)
        try:
            check(password)
        except PasswordError:
            continue
        return password


def _left_over(text: str, words: Iterable[str]) -> int:
    """Return how many letters and digits remain without well-known words, repetition, sequences and keyboard walks."""
    for size in range(1, len(text) // 2 + 1):
        if text == (text[:size] * len(text))[: len(text)]:
            text = text[:size]
            break
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, " ")
    left, run = "", text[:1]
    for before, after in zip(text, text[1:] + "\n", strict=True):
        if before == after or abs(ord(before) - ord(after)) == 1 or before + after in _NEXT:
            run += after
        else:
            left += run if len(run) < 3 else " "
            run = after
    return sum(character.isalnum() for character in re.sub(r"(?:19|20)\d\d", "", left))


class Hasher:
    """Argon2id with the library's parameters (RFC 9106's second choice); some 50 ms and 64 MiB a time: use a thread."""

    def __init__(self) -> None:
        """Make it, with a hash of nobody's to spend the same time on names that do not exist."""
        self._argon2 = PasswordHasher()
        self._nobody = self._argon2.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return the hash to keep."""
        return self._argon2.hash(normal(password))

    def verify(self, hash: str | None, password: str) -> bool:
        """Return whether the password is the hash's; takes as long for None."""
        password = normal(password)
        try:
            same = self._argon2.verify(hash or self._nobody, password[:LONGEST])
            return same and hash is not None and len(password) <= LONGEST
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
