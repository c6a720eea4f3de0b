"""How names sound: codes under which spellings of one name meet, for Hangul, Latin script and between the two.

Hangul is compared by jamo with what is confused merged: plain, tense and aspirated consonants; ㅐ and ㅔ; ㅙ, ㅚ and
ㅞ; final consonants by the seven that are pronounced (Standard Pronunciation, articles 8-11); and the initial-sound
rule (Hangul orthography, articles 10-12: 리 and 이, 류 and 유, 로 and 노). Latin names are compared by Metaphone. A
Latin name with a Korean surname meets its Hangul through a coarse transcription that allows for usual romanisations.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_INITIAL: Final = "K K N T T L M P P S S _ C C C K T P H".split()
_MEDIAL: Final = "A E YA YE O E YO YE OH WA WE WE YOH U WO WE WI YU EU I I".split()
_FINAL: Final = "_ K K K N N N T L K M L L L P L M P P T T G T T K T P T".split()
_FIRST: Final = 0xAC00
_SYLLABLES: Final = 11_172
_BEFORE_I: Final = frozenset("YA YE YO YOH YU I".split())

# The Revised Romanisation of a syllable's parts, but ㅢ as i: it is then read as any other romanisation is.
_ROMAN_INITIAL: Final = "g kk n d tt r m b pp s ss _ j jj ch k t p h".split()
_ROMAN_MEDIAL: Final = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu i i".split()
_ROMAN_FINAL: Final = "_ k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split()

_SURNAMES: Final = """
김 kim gim | 이 lee yi rhee ree i | 박 park pak bak bark | 최 choi choe | 정 jung jeong chung cheong
강 kang gang | 조 cho jo joe | 윤 yoon yun | 장 jang chang | 임 lim im rim yim | 한 han hahn | 오 oh o
서 seo suh so | 신 shin sin | 권 kwon gwon | 황 hwang | 안 ahn an | 송 song | 류 ryu yoo yu ryoo lyu
유 ryu yoo yu ryoo lyu | 전 jeon jun chun cheon | 홍 hong | 고 ko go koh | 문 moon mun | 양 yang | 손 son sohn
배 bae pae | 백 baek paik back | 허 heo hur huh | 남 nam | 심 shim sim | 노 noh no roh ro | 하 ha | 곽 kwak gwak
성 sung seong | 차 cha | 주 joo ju choo | 우 woo wu | 구 koo gu ku | 나 na ra nah rah | 민 min | 진 jin chin
지 ji chi jee | 엄 um eom uhm | 채 chae | 원 won | 천 chun cheon | 방 bang pang | 공 kong gong | 현 hyun hyeon
함 ham hahm | 변 byun byeon | 염 yum yeom | 여 yeo | 추 choo chu | 도 do doh | 석 seok suk
"""


def _hangul_of() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in _SURNAMES.strip().replace("\n", "|").split("|"):
        hangul, *romanised = entry.split()
        for one in romanised:
            found.setdefault(one, set()).add(hangul)
    return found


_HANGUL_OF: Final = _hangul_of()
_TWO_SYLLABLES: Final = frozenset("남궁 황보 제갈 선우 독고 사공 서문 동방".split())
_SOUND_OF_SURNAME: Final = str.maketrans("류림로라", "유임노나")


def kept(name: str) -> frozenset[str]:
    """Return the codes under which a name is kept; `asked` gives those under which another is looked for."""
    hangul, latin = _hangul(name), _words(name)
    if hangul:
        return frozenset({"h" + _sound(hangul), *("x" + code for code in _of_hangul(hangul))})
    if latin:
        return frozenset({"m" + _metaphone(latin), *("l" + code for code in _of_latin(latin))})
    return frozenset({"o" + name})


def asked(name: str) -> frozenset[str]:
    """Return the codes under which a name that sounds like this one is kept.

    Hangul is looked for in Hangul exactly by its sound, and coarsely only across the two scripts.
    """
    hangul, latin = _hangul(name), _words(name)
    if hangul:
        return frozenset({"h" + _sound(hangul), *("l" + code for code in _of_hangul(hangul))})
    if latin:
        across = set(_of_latin(latin))
        return frozenset({"m" + _metaphone(latin), *("l" + c for c in across), *("x" + c for c in across)})
    return frozenset({"o" + name})


def _hangul(name: str) -> str:
    text = "".join(unicodedata.normalize("NFC", name).split())
    return text if text and all(0 <= ord(c) - _FIRST < _SYLLABLES for c in text) else ""


def _words(name: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.findall(r"[a-z]+", plain.lower()) if not re.search(r"[^\W\d_a-zA-Z]", plain) else []


def _jamo(syllable: str) -> tuple[int, int, int]:
    code = ord(syllable) - _FIRST
    return code // 588, code % 588 // 28, code % 28


def _sound(name: str) -> str:
    """Return the jamo code of a Hangul name; a surname and a given name both begin a word."""
    codes: list[str] = []
    for position, syllable in enumerate(name):
        initial, medial, final = _jamo(syllable)
        first, vowel = _INITIAL[initial], _MEDIAL[medial]
        if position < 2 and first in "LN":
            first = "_" if vowel in _BEFORE_I else "N"
        if vowel == "YE" and first != "_":
            vowel = "E"
        codes.append(f"{first}{vowel}{_FINAL[final]}")
    return ".".join(codes)


def _of_hangul(name: str) -> Iterator[str]:
    split = 2 if name[:2] in _TWO_SYLLABLES else 1
    letters: list[str] = []
    for syllable in name[split:]:
        initial, medial, final = _jamo(syllable)
        letters += (_ROMAN_INITIAL[initial], _ROMAN_MEDIAL[medial], _ROMAN_FINAL[final])
    yield name[:split].translate(_SOUND_OF_SURNAME) + _coarse("".join(letters).replace("_", ""))


def _of_latin(words: list[str]) -> Iterator[str]:
    """Yield a code for each reading of a name whose first or last word is a Korean surname."""
    readings = [(words[0], words[1:])] + ([(words[-1], words[:-1])] if len(words) > 1 else [])
    for surname, given in readings:
        for hangul in sorted(_HANGUL_OF.get(surname, ())):
            yield hangul.translate(_SOUND_OF_SURNAME) + _coarse("".join(given))


def _coarse(given: str) -> str:
    """Return a romanised Korean given name with its spellings merged: consonants by place, vowels by a e i u."""
    text = re.sub(r"h(?![aeiouwy])", "", re.sub(r"sh|ss", "s", re.sub(r"ch|jj|tch|j|z", "c", given)))
    text = text.translate(str.maketrans("gqdbfrv", "kktpplp"))
    return _squeezed(re.sub(r"[aeiouyw]+", lambda run: _vowel(run[0]), text))


def _vowel(run: str) -> str:
    bare = run.lstrip("yw") or "i"
    if bare in ("oe", "oi"):
        return "e"
    if bare == "ui":
        return "i"
    if "o" in bare or "u" in bare:
        return "u"
    if bare[0] == "a":
        return "e" if bare[1:] else "a"
    return "i" if bare[0] == "i" or bare == "ee" else "e"


def _squeezed(text: str) -> str:
    return re.sub(r"(.)\1+", r"\1", text)


def _metaphone(words: list[str]) -> str:
    from jellyfish import metaphone

    return " ".join(sorted(metaphone(word) for word in words))
