"""Names: what expands compacts back, whatever the context."""

from hypothesis import given
from hypothesis import strategies as st

from hanmaru.hub.contexts import compile_context
from hanmaru.hub.core_terms import core_terms
from hanmaru.hub.terms import CORE_TERMS, TermMap

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,10}", fullmatch=True)
iris = st.from_regex(r"https://[a-z]{1,6}\.org/[A-Za-z]{1,8}[/#]?[A-Za-z]{0,5}", fullmatch=True)


@given(
    st.dictionaries(names, iris, max_size=6), st.dictionaries(names, iris, max_size=3), st.none() | iris, names | iris
)
def test_what_expands_compacts_back(
    terms: dict[str, str], prefixes: dict[str, str], vocab: str | None, name: str
) -> None:
    compiled = TermMap(terms, prefixes, vocab, "urn:x")
    expanded = compiled.expand(name)
    assert compiled.expand(compiled.compact(expanded)) == expanded


def test_core_terms_win() -> None:
    compiled = compile_context({"location": "https://example.org/location", "name": "https://example.org/name"}, None)
    assert compiled.expand("location") == "https://uri.etsi.org/ngsi-ld/location"
    assert compiled.expand("name") == "https://example.org/name"
    assert compiled.compact("https://example.org/name") == "name"


def test_compiled_contexts_know_prefixes_nesting_and_vocab() -> None:
    context = [
        {"ex": "https://example.org/", "warmth": {"@id": "ex:warmth", "@type": "@id"}},
        {"@vocab": "https://v.org/"},
    ]
    compiled = compile_context(context, None)
    assert compiled.expand("warmth") == "https://example.org/warmth"
    assert compiled.expand("ex:cold") == "https://example.org/cold"
    assert compiled.compact("https://example.org/cold") == "ex:cold"
    assert compiled.expand("other") == "https://v.org/other"


def test_the_core_context_is_built_in() -> None:
    assert len(core_terms()) > 200
    assert CORE_TERMS.expand("unitCode") == "https://uri.etsi.org/ngsi-ld/unitCode"
    assert CORE_TERMS.compact("https://uri.etsi.org/ngsi-ld/default-context/AirQualityObserved") == "AirQualityObserved"
