"""The cases that stand beside the policies: readable examples that are run against them.

A ``*.test.toml`` file holds ``[[case]]`` tables: ``it`` (what the case shows), who asks (``roles``, ``name``, ``kind``,
``second_factor``), ``purpose``, ``tenant``, ``demo``, and lists ``allow`` and ``deny`` of ``action`` or
``action Type::name``.
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from hanmaru.platform.policy.cedar import BUILT_IN, HERE, Caller, Policy, PolicyError, files


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One example."""

    it: str
    roles: list[str]
    name: str = "somebody"
    kind: Literal["person", "machine", "system", "anonymous"] = "person"
    second_factor: bool = False
    purpose: str = ""
    tenant: str = ""
    demo: bool = False
    allow: list[str] = []
    deny: list[str] = []


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of examples."""

    case: list[Case]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What running the cases found: how many questions were asked, what is wrong, and policies no case decided by."""

    asked: int
    wrong: Sequence[str]
    untested: Sequence[str]


def run(folders: Sequence[Path] = (), *, actions: Iterable[str] = (), expand: Callable[[str], str] = str) -> Outcome:
    """Run every case of the built-in and the given folders; raises PolicyError for files that cannot be read."""
    named = tuple(actions)
    plain = Policy(folders, actions=named, expand=expand)
    demo = Policy(folders, actions=named, expand=expand, demo=True)
    asked, wrong, used = 0, list[str](), set[str]()
    for path in files([BUILT_IN, *folders], "*.test.toml"):
        try:
            cases = msgspec.convert(tomllib.loads(path.read_text("utf-8")), CaseFile).case
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path}: {error}") from None
        for case in cases:
            policy = demo if case.demo else plain
            caller = Caller(case.name, tuple(case.roles), case.kind, case.second_factor)
            for expected, questions in ((True, case.allow), (False, case.deny)):
                for question in questions:
                    asked += 1
                    action, _, resource = question.partition(" ")
                    if action not in plain.actions:
                        raise PolicyError(f"{path}: {case.it!r} asks for {action!r}, which is no action")
                    decision = policy.decide(
                        caller, action, _resource(resource), tenant=case.tenant, purpose=case.purpose
                    )
                    used.update(decision.because)
                    if decision.allowed != expected:
                        why = ", ".join(decision.because) or "no policy permits it"
                        verb = "allow" if decision.allowed else "deny"
                        wrong.append(f"{path.name}: {case.it}: {question!r} is {verb}: {why}")
    return Outcome(asked, wrong, sorted(plain.policy_names - used))


def _resource(text: str) -> str:
    kind, separator, name = text.partition("::")
    return f"{kind}::{json.dumps(name)}" if separator else HERE
