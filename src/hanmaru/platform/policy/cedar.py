"""The policy engine: Cedar policies in readable files decide, everything they do not permit is denied.

A folder of policies holds ``*.cedar`` files, ``views.toml`` with the parts of the hub that they name, and beside each
policy file a ``*.test.toml`` with cases. The built-in folder comes first, then the services', then the city's; a
file of the city's takes the place of a built-in one of the same name. Files are read again when they change; a change
that cannot be used is logged and the rules before it stay in force.

Cedar answers yes or no. What a caller may read becomes the store's `Access` predicate by asking of each view; decisions
and predicates are remembered per caller, so that a request costs a dictionary look-up.
"""

import hashlib
import json
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import cedarpy
import msgspec
import structlog

from hanmaru.platform.access import EVERYTHING, Access, Area, Grant

log = structlog.get_logger()

BUILT_IN = Path(__file__).parent / "policies"
VIEWS = "views.toml"
HERE = 'City::"this"'
LOOK_AGAIN_S = 2.0
MOST_REMEMBERED = 20_000
MOST_VIEWS = 500
ENTRUSTED = frozenset(
    """sensitive personal audit.read audit.verify accounts.entrust vault.read vault.write vault.find vault.destroy
    handover.read handover.request handover.approve""".split()
)
"""The actions that make a role one of trust, beside those that services name: `Rules.entrusted`."""

T = TypeVar("T")


class PolicyError(Exception):
    """Policies that cannot be used; the text names the file and what to change."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as identity established them: an account's or machine's name, its roles, how sure that is."""

    name: str
    roles: tuple[str, ...] = ()
    kind: Literal["person", "machine", "system", "anonymous"] = "person"
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says: whether, and which policies made it so (none: nothing permits it)."""

    allowed: bool
    because: tuple[str, ...] = ()


class ViewFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A view as ``views.toml`` has it. A member that is left out restricts nothing."""

    title: dict[str, str] = {}
    tenants: list[str] | None = None
    types: list[str] | None = None
    scopes: list[str] | None = None
    attributes: list[str] | None = None
    area: str | None = None
    """A GeoJSON file beside ``views.toml`` with a Polygon or MultiPolygon, WGS 84 lon, lat."""


@dataclass(frozen=True, slots=True)
class View:
    """A part of the hub that policies speak of."""

    name: str
    title: Mapping[str, str]
    tenants: frozenset[str] | None
    grant: Grant


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that the files say, parsed and checked."""

    policies: cedarpy.PolicySet
    schema: cedarpy.Schema
    ids: Mapping[str, str]
    """Cedar's own policy ids to the ``@id`` and file that people know."""
    views: Mapping[str, View]
    roles: frozenset[str]
    entrusted: frozenset[str]
    """The roles for which some policy permits an action of trust, whatever its conditions."""
    actions: frozenset[str]
    stamps: tuple[tuple[str, int, int], ...]
    digest: str
    """The SHA-256 of everything that decides."""


class Policy:
    """Decides. One for each process; not for use from several threads."""

    def __init__(
        self,
        folders: Sequence[Path] = (),
        *,
        actions: Iterable[str] = (),
        entrusted: Iterable[str] = (),
        demo: bool = False,
        expand: Callable[[str], str] = str,
    ) -> None:
        """Read the built-in policies and those of further folders, the last strongest.

        ``actions`` are the services' permissions, ``entrusted`` those that make a role one of trust; ``expand`` turns
        the short names of views into the store's. Raises PolicyError.
        """
        self._folders, self._actions = (BUILT_IN, *folders), tuple(actions)
        self._entrusted = ENTRUSTED | set(entrusted)
        self.demo, self._expand = demo, expand
        self._rules = self._read()
        self.told: Callable[[], None] | None = None
        """Called when other rules are in force; an error of it is raised to who asks."""
        self._looked = time.monotonic()
        self._decided: OrderedDict[tuple[Caller, str, str, str, str], Decision] = OrderedDict()
        self._seen: OrderedDict[tuple[Caller, str, str], Access] = OrderedDict()

    @property
    def digest(self) -> str:
        """The SHA-256 of the rules in force."""
        return self._rules.digest

    @property
    def roles(self) -> frozenset[str]:
        """The roles that some policy speaks of: an account with another role would have it for nothing."""
        return self._current().roles

    @property
    def entrusted(self) -> frozenset[str]:
        """The roles that open personal data, read the trail or approve it: no administrator gives them away."""
        return self._current().entrusted

    @property
    def actions(self) -> frozenset[str]:
        """The actions that policies may permit."""
        return self._current().actions

    @property
    def policy_names(self) -> frozenset[str]:
        """The names of the policies in force."""
        return frozenset(self._current().ids.values())

    @property
    def views(self) -> Mapping[str, View]:
        """The views by name."""
        return self._current().views

    def decide(
        self, caller: Caller, action: str, resource: str = HERE, *, tenant: str = "", purpose: str = ""
    ) -> Decision:
        """Return the decision on an action on a resource such as ``Vault::"trace"``; an unknown action is denied."""
        rules = self._current()
        key = (caller, action, resource, tenant, purpose)
        known = self._decided.get(key)
        if known is None:
            known = _decide(rules, self._request(caller, action, resource, tenant, purpose), caller)
            _remember(self._decided, key, known)
        return known

    def allows(self, caller: Caller, action: str, resource: str = "", purpose: str = "") -> bool:
        """Return whether policy permits an action."""
        return self.decide(caller, action, resource or HERE, purpose=purpose).allowed

    def access(self, caller: Caller, action: Literal["read", "write"], tenant: str = "") -> Access:
        """Return what the caller may read or write in a tenant: the union of the views that policy permits."""
        rules = self._current()
        key = (caller, action, tenant)
        known = self._seen.get(key)
        if known is None:
            permitted = [
                view.grant
                for view in rules.views.values()
                if (view.tenants is None or tenant in view.tenants)
                and self.decide(caller, action, f"View::{json.dumps(view.name)}", tenant=tenant).allowed
            ]
            known = Access(tenant, _union(permitted), write=action == "write")
            _remember(self._seen, key, known)
        return known

    def _request(self, caller: Caller, action: str, resource: str, tenant: str, purpose: str) -> dict[str, Any]:
        kind, _, name = resource.partition("::")
        try:
            id = json.loads(name)
        except ValueError:
            raise ValueError(f'a resource is written Type::"name", not {resource!r}') from None
        return {
            "principal": {"type": "User", "id": caller.name},
            "action": {"type": "Action", "id": action},
            "resource": {"type": kind, "id": id},
            "context": {"tenant": tenant, "purpose": purpose, "demo": self.demo},
        }

    def _current(self) -> Rules:
        now = time.monotonic()
        if now - self._looked > LOOK_AGAIN_S:
            self._looked = now
            if _stamps(self._folders) != self._rules.stamps:
                before = self._rules.digest
                try:
                    self._rules = self._read()
                    log.info("policies read again", policies=len(self._rules.ids))
                except PolicyError as error:
                    self._rules = replace(self._rules, stamps=_stamps(self._folders))
                    log.error("changed policies cannot be used; those before stay in force", reason=str(error))
                self._decided.clear()
                self._seen.clear()
                if self.told and self._rules.digest != before:
                    self.told()
        return self._rules

    def _read(self) -> Rules:
        return read(self._folders, self._actions, self._expand, self._entrusted)


def read(
    folders: Sequence[Path],
    actions: Iterable[str] = (),
    expand: Callable[[str], str] = str,
    trusted: Set[str] = ENTRUSTED,
) -> Rules:
    """Read and check the policies of several folders, the last strongest; raises PolicyError."""
    stamps = _stamps(folders)
    schema_text = (BUILT_IN / "hanmaru.cedarschema").read_text("utf-8")
    declared = frozenset(cast("Iterable[str]", _names(schema_text)))
    added = sorted(set(actions) - declared)
    schema_text += "".join(
        f"\naction {json.dumps(name)} appliesTo {{ principal: User, resource: City, context: Asked }};"
        for name in added
    )
    schema = cedarpy.Schema.from_str(schema_text)
    texts: list[str] = []
    ids: dict[str, str] = {}
    mentioned: dict[str, dict[str, Path]] = {"Role": {}, "View": {}}
    entrusted: set[str] = set()
    for path in files(folders):
        text = _text(path)
        try:
            parsed = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
        except ValueError as error:
            raise PolicyError(f"{path}: {_one_line(error)}") from None
        checked = cedarpy.validate_policies(text, schema)  # pyright: ignore[reportUnknownMemberType] - bare dicts
        if not checked.validation_passed:
            raise PolicyError(f"{path}: {_one_line(checked.errors[0])}")
        for policy in parsed.values():
            label = policy.get("annotations", {}).get("id")
            if not label:
                raise PolicyError(f'{path}: give every policy a name: @id("…") before permit or forbid')
            if label in ids.values():
                raise PolicyError(f"{path}: the policy name {label!r} is taken")
            ids[f"policy{len(ids)}"] = label
            named = set(_entities(policy))
            for kind, name in named:
                mentioned.get(kind, {}).setdefault(name, path)
            actions_named = {name for kind, name in named if kind == "Action"}
            if policy["effect"] == "permit" and (not actions_named or actions_named & trusted):
                entrusted |= {name for kind, name in named if kind == "Role"}
        texts.append(text)
    views = _views(folders, expand)
    for name, path in mentioned["View"].items():
        if name not in views:
            raise PolicyError(f"{path}: there is no view {name!r}; the views are {', '.join(views)}")
    policies = cedarpy.PolicySet.from_str("\n".join(texts))
    decides = msgspec.json.encode([schema_text, texts, views], order="deterministic")
    digest = hashlib.sha256(decides).hexdigest()
    roles, every = frozenset(mentioned["Role"]), declared | set(added)
    return Rules(policies, schema, ids, views, roles, frozenset(entrusted), every, stamps, digest)


def files(folders: Sequence[Path], pattern: str = "*.cedar") -> list[Path]:
    """Return the folders' files, a later folder's in place of an earlier one's of the same name."""
    by_name = {path.name: path for folder in folders for path in sorted(folder.glob(pattern))}
    return list(by_name.values())


def require_apart(folders: Iterable[Path]) -> None:
    """Raise PolicyError where a service's folder would take the place of a built-in file or view, or another service's.

    Only a city's own folder may do that: else a package could put an end to a rule that somebody else relies on.
    """
    taken: dict[str, Path] = {path.name: path for path in files([BUILT_IN])}
    views: dict[str, Path] = dict.fromkeys(_views([BUILT_IN], str), BUILT_IN / VIEWS)
    for folder in folders:
        own = {path.name: path for path in files([folder])}
        named = dict.fromkeys(_views([folder], str), folder / VIEWS)
        for name in own.keys() & taken.keys():
            raise PolicyError(f"{own[name]}: give the file another name, for {taken[name]} has this one")
        for name in named.keys() & views.keys():
            raise PolicyError(f"{named[name]}: there is a view {name!r} already, in {views[name]}")
        taken |= own
        views |= named


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from None


def _stamps(folders: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    found: list[tuple[str, int, int]] = []
    for folder in folders:
        for path in sorted(folder.glob("*")):
            if path.suffix in (".cedar", ".toml", ".geojson"):
                status = path.stat()
                found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


def _names(schema_text: str) -> Iterator[str]:
    for statement in schema_text.split(";"):
        code = "\n".join(line.partition("//")[0] for line in statement.splitlines()).strip()
        if code.startswith("action"):
            head = code.removeprefix("action").partition("appliesTo")[0].partition(" in ")[0]
            yield from (name.strip().strip('"') for name in head.split(","))


def _entities(node: object) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        members = cast("dict[str, object]", node)
        kind, id = members.get("type"), members.get("id")
        if isinstance(kind, str) and isinstance(id, str):
            yield kind, id
        for member in members.values():
            yield from _entities(member)
    elif isinstance(node, list):
        for item in cast("list[object]", node):
            yield from _entities(item)


def _views(folders: Sequence[Path], expand: Callable[[str], str]) -> dict[str, View]:
    views: dict[str, View] = {}
    for folder in folders:
        path = folder / VIEWS
        if not path.is_file():
            continue
        try:
            tables = msgspec.convert(tomllib.loads(_text(path)), dict[str, ViewFile])
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise PolicyError(f"{path}: {error}") from None
        for name, table in tables.items():
            grant = Grant(
                _set(table.types, expand),
                None if table.scopes is None else tuple(table.scopes),
                _set(table.attributes, expand),
                None if table.area is None else Area(_geometry(folder / table.area)),
            )
            views[name] = View(name, table.title, _set(table.tenants, str), grant)
    if len(views) > MOST_VIEWS:
        raise PolicyError(f"there are {len(views)} views; {MOST_VIEWS} is the most")
    return views


def _set(names: Sequence[str] | None, expand: Callable[[str], str]) -> frozenset[str] | None:
    return None if names is None else frozenset(map(expand, names))


def _geometry(path: Path) -> str:
    try:
        document = json.loads(_text(path))
    except ValueError as error:
        raise PolicyError(f"{path} is not JSON: {error}") from None
    geometry = document.get("geometry", document) if isinstance(document, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    kind: object = cast("dict[str, object]", geometry).get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise PolicyError(f"{path} must be a GeoJSON Polygon or MultiPolygon, or a Feature with one")
    return json.dumps(geometry)


def _decide(rules: Rules, request: dict[str, Any], caller: Caller) -> Decision:
    principal = {
        "uid": request["principal"],
        "attrs": {"kind": caller.kind, "second_factor": caller.second_factor},
        "parents": [{"type": "Role", "id": role} for role in caller.roles],
    }
    result = cedarpy.is_authorized(  # pyright: ignore[reportUnknownMemberType] - bare dicts in its signature
        request, rules.policies, [principal], rules.schema
    )
    reasons = result.diagnostics.reasons
    return Decision(bool(result.allowed), tuple(rules.ids.get(reason, reason) for reason in reasons))


def _union(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    """Return the same union with fewer members: one for grants that differ in their types only."""
    alike: dict[Grant, frozenset[str] | None] = {}
    for grant in grants:
        if grant == EVERYTHING:
            return (EVERYTHING,)
        rest = replace(grant, types=None)
        before = alike.get(rest, frozenset[str]())
        alike[rest] = None if before is None or grant.types is None else before | grant.types
    return tuple(replace(rest, types=types) for rest, types in alike.items())


def _remember(table: "OrderedDict[Any, T]", key: Any, value: T) -> None:
    table[key] = value
    while len(table) > MOST_REMEMBERED:
        table.popitem(last=False)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
