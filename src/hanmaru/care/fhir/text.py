"""JSON as FHIR needs it: decimals keep their digits, a name is said once, nothing is nested without end.

"The precision of the decimal value has significance: 0.010 is regarded as different to 0.01" (FHIR R4, JSON,
https://hl7.org/fhir/R4/json.html#decimal). So what is written as a fraction or with an exponent is a `Decimal` here,
and is written again with the digits that came.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

import msgspec

from hanmaru.platform.problems import Problem

Resource = dict[str, Any]
"""A FHIR resource or any other JSON object: dict, list, str, int, bool, None, Decimal."""

MOST_DEPTH: Final = 100
"""Deepest nesting of objects and arrays; the deepest of the standard's own examples has 14."""

_NESTED: Final = (dict, list)
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")


def decode(text: bytes | str) -> Resource:
    """Return the JSON object in a text. Raises Problem 400 for what is none, says a name twice, or is nested too deep.

    What the text holds is not quoted: it may be about a person.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        found = _decoder.decode(raw)
    except InvalidOperation:
        raise refused("a number has an exponent that no measurement has") from None
    except RecursionError:
        raise refused(_TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refused(str(error)) from None
    if not isinstance(found, dict):
        raise refused("a resource is a JSON object")
    resource = cast("Resource", found)
    if depth(resource) > MOST_DEPTH:
        raise refused(_TOO_DEEP)
    if _may_repeat(raw, resource):
        _refuse_repeats(raw)
    return resource


def encode(resource: Mapping[str, Any]) -> bytes:
    """Return an object as compact JSON in UTF-8. Raises Problem 400 for what cannot be written, such as half a letter.

    A float is written as Python does; put a `Decimal` where digits matter.
    """
    try:
        return _encoder.encode(resource)
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        raise refused("it holds what JSON cannot") from None


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two objects say the same, digit by digit; the order of names does not matter."""
    return _sorted.encode(one) == _sorted.encode(other)


def depth(value: object) -> int:
    """Return how deep objects and arrays are nested; 0 for what is neither."""
    level: list[Any] = [value]
    deep = 0
    while nested := [each for each in level if type(each) in _NESTED]:
        deep += 1
        level = []
        for each in nested:
            level.extend(cast("dict[str, Any]", each).values() if type(each) is dict else each)
    return deep


_TOO_DEEP: Final = f"objects and arrays are nested at most {MOST_DEPTH} deep"


def refused(why: str) -> Problem:
    """Say that a text is no JSON that is taken here."""
    return Problem(400, "Not readable", f"This is not a JSON object as FHIR has it: {why}.")


def _may_repeat(raw: bytes, resource: Resource) -> bool:
    """Return whether a name may be there twice: then fewer colons come back. Several times quicker than looking."""
    return b"\\u003" in raw or raw.count(b":") != _encoder.encode(resource).count(b":")


def _refuse_repeats(raw: bytes) -> None:
    def once(pairs: list[tuple[str, object]]) -> None:
        if len({name for name, _ in pairs}) != len(pairs):
            raise refused("an object says a name twice")

    json.loads(raw, object_pairs_hook=once, parse_float=str)
