"""What a rule is, and that a wrong one is refused in one line that says where."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmaru.centre.detect.ready import ready
from hanmaru.centre.domain import CentreError
from hanmaru.centre.rules.model import convert, parse

HIGH = {"kind": "threshold", "type": "Water", "attr": "level", "op": ">", "value": 3}
SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}


def rule(when: Any, **others: Any) -> dict[str, Any]:
    return {"id": "r", "name": {"en": "R"}, "when": when, **others}


def test_a_rule_is_written_as_it_was_read() -> None:
    for one in ready():
        assert parse(msgspec.json.encode(one)) == one


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (rule({"kind": "tresh"}), "when.kind: Invalid value"),
        (rule({"kind": "all", "of": [HIGH, HIGH | {"op": "~"}]}), "when.of[1].op: Invalid enum"),
        (rule({"kind": "all", "of": [HIGH, {"kind": "absence", "type": "W", "for_s": -1}]}), "when.of[1].for_s: 1 to"),
        (
            rule({"kind": "all", "of": [HIGH, HIGH | {"type": "Rain"}]}),
            "when: combines conditions about Rain and Water",
        ),
        (rule(HIGH | {"value": "x"}), "when.op: a text or yes/no"),
        (rule(HIGH | {"hysteresis": -1}), "when.hysteresis: 0 or more"),
        (rule(HIGH, extra=1), "rule: Object contains unknown field"),
        (rule(HIGH, where={}), "where: either a polygon or near"),
        (rule(HIGH, where={"polygon": SQUARE | {"coordinates": [[[0, 0]]]}}), "where.polygon.coordinates: each ring"),
        (rule(HIGH, flap={"most": 0}), "flap.most: 1 to 100"),
        (rule({"kind": "change", "type": "W", "attr": "a"}, for_s=5), "for_s: this condition holds for an instant"),
        (rule({"kind": "not", "of": [HIGH, HIGH]}), "when.of: exactly one"),
        (
            rule(
                {
                    "kind": "join",
                    "radius_m": 5,
                    "left": HIGH,
                    "right": {"kind": "all", "of": [HIGH, {**HIGH, "type": "X"}]},
                }
            ),
            "when.right: has to be about one entity type",
        ),
        (rule({"kind": "sequence", "steps": [HIGH], "within_s": 5}), "when.steps: at least two"),
        (rule(HIGH, id="a b"), "id: 1 to 64"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_its_place(wrong: Any, where: str) -> None:
    with pytest.raises(CentreError) as refused:
        parse(json.dumps(wrong))
    assert str(refused.value).startswith(where)
    assert "\n" not in str(refused.value)


JUNK = st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from(["all", "threshold", "geofence", "join"])
KEYS = st.sampled_from(["kind", "of", "type", "attr", "value", "op", "left", "steps", "polygon"])


@given(st.recursive(JUNK, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12))
def test_whatever_comes_is_a_rule_or_an_error_that_can_be_read(when: Any) -> None:
    try:
        convert(rule(when))
    except CentreError as refused:
        assert str(refused)  # noqa: PT017 - most are refused, not all


def test_every_condition_in_the_reference_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/centre-rules.md").read_text("utf-8")
    examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    kinds = {type(parse(json.dumps(rule(json.loads(one)))).when) for one in examples}
    assert len(kinds) == 10
