"""Term maps: a JSON-LD @context compiled to two dictionaries, so that names expand and compact by look-up."""

import re
from collections.abc import Iterable, Mapping
from typing import cast

from hanmaru.hub.core_terms import GEOJSON, core_terms
from hanmaru.hub.model import CORE, DEFAULT_VOCAB
from hanmaru.platform.problems import bad_request

_MEMO_LIMIT = 20_000
_LONGEST_MEMO = 300
"""Longer names are resolved each time: requests may hold names of any length."""
_FORBIDDEN = frozenset("<>\"'=;()[]{}|^`\\ \t\r\n\0&?")


class TermMap:
    """One compiled @context; the core context's terms win over any other definition of theirs.

    ``terms`` maps a term to its IRI, ``prefixes`` a compact-IRI prefix to its namespace, ``vocab`` is the namespace of
    terms that nothing defines. ``reference`` is the @context as the user gave it (URL, object or list);
    ``has_core`` says that its documents name the core @context themselves; ``size`` is how many terms it defines.
    """

    __slots__ = ("_compact", "_expand", "_namespaces", "has_core", "prefixes", "reference", "size", "vocab")

    def __init__(
        self,
        terms: Mapping[str, str],
        prefixes: Mapping[str, str],
        vocab: str | None,
        reference: object,
        *,
        has_core: bool = False,
    ) -> None:
        """Compile the look-up tables."""
        core = core_terms()
        self.reference, self.has_core, self.size = reference, has_core, len(terms)
        self.vocab = vocab or DEFAULT_VOCAB
        self.prefixes = {**prefixes, "ngsi-ld": CORE, "geojson": GEOJSON}
        self._namespaces = sorted(((ns, p) for p, ns in self.prefixes.items()), key=lambda pair: -len(pair[0]))
        self._expand: dict[str, str] = {**terms, **core}
        self._compact: dict[str, str] = {iri: term for term, iri in reversed(list(terms.items())) if term not in core}
        self._compact.update((iri, term) for term, iri in core.items())

    def to_show(self) -> object:
        """Return the @context member of a document: the user's, with the core @context last unless it is in there."""
        if self.has_core:
            return self.reference
        reference: object = self.reference
        return [*(cast("list[object]", reference) if isinstance(reference, list) else [reference]), CORE_CONTEXT_URL]

    def expand(self, term: str) -> str:
        """Return the IRI of a term, compact IRI or IRI; raise a 400 problem when it can be none."""
        iri = self._expand.get(term)
        if iri is None:
            iri = self._resolve(term)
            _remember(self._expand, term, iri)
        return iri

    def expand_all(self, terms: Iterable[str]) -> tuple[str, ...]:
        """Expand several terms."""
        return tuple(map(self.expand, terms))

    def compact(self, iri: str) -> str:
        """Return the shortest name of an IRI that expands back to it."""
        term = self._compact.get(iri)
        if term is None:
            term = self._shorten(iri)
            _remember(self._compact, iri, term)
        return term

    def _resolve(self, term: str) -> str:
        if not term or term.startswith("@") or not _FORBIDDEN.isdisjoint(term):
            raise bad_request(f"{term!r} is not a valid name: use a term, a compact IRI or an IRI")
        prefix, colon, rest = term.partition(":")
        if not colon:
            return self.vocab + term
        return self.prefixes[prefix] + rest if prefix in self.prefixes and not rest.startswith("//") else term

    def _shorten(self, iri: str) -> str:
        if iri.startswith(self.vocab) and len(iri) > len(self.vocab):
            short = iri[len(self.vocab) :]
            if ":" not in short and self._expand.get(short, iri) == iri:
                return short
        for namespace, prefix in self._namespaces:
            if iri.startswith(namespace) and len(iri) > len(namespace):
                return f"{prefix}:{iri[len(namespace) :]}"
        return iri


def _remember(memo: dict[str, str], key: str, value: str) -> None:
    if len(memo) < _MEMO_LIMIT and len(key) <= _LONGEST_MEMO:
        memo[key] = value


CORE_CONTEXT_URL = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.9.jsonld"
CORE_TERMS = TermMap({}, {}, None, CORE_CONTEXT_URL, has_core=True)


_IS_CORE = re.compile(r"https?://uri\.etsi\.org/ngsi-ld/v1/ngsi-ld-core-context(-v\d+\.\d+)?\.jsonld").fullmatch


def is_core(url: str) -> bool:
    """Whether a URL names some version of the core @context, which is built in."""
    return _IS_CORE(url) is not None
