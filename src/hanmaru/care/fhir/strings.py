"""Text as the index compares it."""

import unicodedata
from functools import lru_cache
from hashlib import blake2b


@lru_cache(maxsize=8192)
def folded(text: str) -> str:
    """Return text without case, accents and differences of width and spacing; Hangul stays in whole syllables.

    R4, search, "string": comparison ignores case and accents or other diacritical marks.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    marks = (c for c in unicodedata.normalize("NFKD", text.casefold()) if unicodedata.category(c) != "Mn")
    return " ".join(unicodedata.normalize("NFC", "".join(marks)).casefold().split())


@lru_cache(maxsize=8192)
def digest(text: str) -> int:
    """Return 63 bits that stand for a system's address in the index; 0 for none."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()) >> 1 if text else 0
