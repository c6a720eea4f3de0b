"""What of a write its caller may do: `hanmaru.hub.writes.decide` within the bounds of an `Access`.

To a caller, what it may not see is not there. So a write touches visible attributes only, and it neither hides nor
shows anything by another type, scope or place: which attributes of an entity its caller sees stays as it is or shrinks
to what is there. Where a hidden entity is in the way, the answer is that for an entity that the caller may not write.
"""

from collections.abc import Iterable

from hanmaru.hub.model import Change, Entity
from hanmaru.hub.visibility import Attributes, attributes_of, grants_of, matching, matching_each
from hanmaru.hub.writes import SCOPE, Decision, Write, decide, may_create
from hanmaru.platform.access import Access
from hanmaru.platform.problems import Problem, not_found


def decided(access: Access, write: Write, current: Entity | None, former: Entity | None) -> Decision:
    """Return what a write does to the current entity (None: there is none).

    ``former`` is what is kept of a deleted entity of that id, or of one that has history only: its types and scopes.
    Raises a 400, 403, 404 or 409 problem.
    """
    check_writes(access)
    if access.unrestricted:
        return decide(write, current)
    if current is None:
        decision = decide(write, None)
        assert decision.change is not None
        made = decision.change.entity
        matched = matching(access, made)
        visible = attributes_of(matched)
        if not matched or _hidden(made.attrs, visible) or not _shown_before(access, former, visible):
            raise _refused(write.id)
        return decision
    matched = matching(access, current)
    if not matched:
        raise _refused(write.id) if may_create(write) else not_found(f"There is no entity {write.id}.")
    visible = attributes_of(matched)
    if write.content is not None and _hidden(write.content.attrs, visible):
        raise Problem(403, "Not permitted", "You may not write some of these attributes.")
    if write.attribute not in (None, SCOPE) and _hidden([write.attribute], visible):
        raise not_found(f"The entity {write.id} has no such attribute or instance.")
    hidden = _hidden(current.attrs, visible)
    if hidden and write.operation in ("replace", "delete"):
        raise Problem(403, "Not permitted", f"{write.id} has more attributes than you may see; change those you see.")
    decision = decide(write, current)
    if decision.change is not None and decision.change.kind == "updated":
        _check_update(access, decision.change, visible, hidden)
    return decision


def may_record(access: Access, entity: Entity, current: Entity | None, former: Entity | None) -> bool:
    """Whether the caller may add the entity's attribute instances to the history of that id."""
    check_writes(access)
    matched = matching(access, current or entity)
    visible = attributes_of(matched)
    return bool(
        matched
        and not _hidden(entity.attrs, visible)
        and (current is not None or _shown_before(access, former, visible))
    )


def deletable(access: Access, entity: Entity, *, live: bool) -> Attributes:
    """Return the attributes whose history the caller may delete; that of a deleted entity is for the unrestricted."""
    check_writes(access)
    return attributes_of(matching(access, entity) if live or access.unrestricted else ())


def check_writes(access: Access) -> None:
    """Raise a 403 problem for a caller that may read only."""
    if not access.write:
        raise Problem(403, "Not permitted", "You may read only.")


def _check_update(access: Access, change: Change, before: Attributes, hidden: set[str]) -> None:
    """Refuse an update that makes its caller see more, or less of what is there, or that it could not see happen."""
    matched = matching(access, change.entity)
    after = attributes_of(matched)
    touched = {*change.touched, *change.removed} - {SCOPE}
    if (
        not matched
        or _hidden(touched, after)
        or not _contains(before, after)
        or _hidden(change.entity.attrs, after) != hidden
    ):
        raise _refused(change.entity.id)


def _shown_before(access: Access, former: Entity | None, visible: Attributes) -> bool:
    """Whether the caller would not come to see, by what it makes, history that it could not see before.

    Nothing is kept of where a former entity was, so places are left out of account.
    """
    if former is None or access.unrestricted:
        return True
    (matched,) = matching_each(grants_of(access), [former], anywhere=True)
    return bool(matched) and _contains(attributes_of(matched), visible)


def _hidden(names: Iterable[str], visible: Attributes) -> set[str]:
    return set() if visible is None else set(names) - visible


def _contains(outer: Attributes, inner: Attributes) -> bool:
    return outer is None or (inner is not None and inner <= outer)


def _refused(id: str) -> Problem:
    return Problem(403, "Not permitted", f"You may not write {id} where or what it would then be.")
