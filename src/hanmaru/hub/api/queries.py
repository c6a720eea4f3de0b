"""From request parameters, or the body of a query operation, to the internal queries."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from hanmaru.hub.api.request import MAX_LIMIT, Call, counts, flag, integer, names, not_supported, view_of
from hanmaru.hub.compact import View
from hanmaru.hub.expand import check_uri
from hanmaru.hub.geometry import parse_geo
from hanmaru.hub.query import (
    EntityQuery,
    Node,
    Or,
    TemporalQuery,
    check_pattern,
    parse_q,
    parse_scopes,
    parse_types,
)
from hanmaru.hub.terms import TermMap
from hanmaru.hub.times import canonical, micros
from hanmaru.platform.problems import bad_request

DEFAULT_LIMIT = 20
TIME_PROPERTIES = ("observedAt", "createdAt", "modifiedAt", "deletedAt")
MAX_INSTANCES = 10_000


def entity_query(call: Call, *, narrow: bool = True) -> EntityQuery:
    """Return the query that a GET's parameters ask for; ``narrow`` refuses one that asks for everything."""
    params, terms = call.params, call.terms
    limit = integer(params, "limit", DEFAULT_LIMIT, high=MAX_LIMIT)
    count = counts(params)
    if limit == 0 and not count:
        raise bad_request("limit=0 goes with count=true only.")
    query = EntityQuery(
        types=parse_types(params["type"], terms) if params.get("type", "*") != "*" else None,
        ids=tuple(check_uri(id, "id") for id in params["id"].split(",")) if params.get("id") else (),
        id_pattern=check_pattern(params["idPattern"], "idPattern") if "idPattern" in params else None,
        attrs=names(params, "attrs", terms),
        q=parse_q(params["q"], terms, expand_values=params.get("expandValues", "").split(","))
        if "q" in params
        else None,
        geo=parse_geo(params, terms),
        scopes=parse_scopes(params["scopeQ"]) if "scopeQ" in params else None,
        limit=limit,
        offset=integer(params, "offset", 0),
        count=count,
    )
    if narrow and not (params.get("type") == "*" or flag(params, "local")):
        require_narrow(query)
    return query


def require_narrow(query: EntityQuery) -> None:
    """Refuse a query without any condition on types, ids, attributes, values or place."""
    if not (query.types or query.ids or query.id_pattern or query.attrs or query.q or query.geo or query.scopes):
        raise bad_request("Ask for something: give at least one of type, id, idPattern, attrs, q, georel or scopeQ.")


def posted_query(body: Mapping[str, Any], call: Call) -> EntityQuery:
    """Return the query of an ``entityOperations/query`` body (a Query, ETSI GS CIM 009, 5.2.23)."""
    terms = call.terms
    if body.get("type") != "Query":
        raise bad_request('The body must have "type": "Query".')
    selectors = body.get("entities", [])
    if not isinstance(selectors, list):
        raise bad_request("entities must be a list of objects with type, id or idPattern.")
    types: list[Node] = []
    ids: list[str] = []
    patterns: list[str] = []
    kinds: set[tuple[str, bool, bool]] = set()
    for selector in cast("list[Any]", selectors):
        if not isinstance(selector, dict):
            raise bad_request("entities must be a list of objects with type, id or idPattern.")
        members = cast("dict[str, Any]", selector)
        if members.get("type", "*") != "*":
            types.append(parse_types(str(members["type"]), terms))
        id = members.get("id", [])
        given = cast("list[object]", id) if isinstance(id, list) else [id]
        ids.extend(check_uri(id, "id") for id in given)
        by_pattern = "idPattern" in members and not given  # 5.2.33: an id takes precedence
        if by_pattern:
            patterns.append(check_pattern(str(members["idPattern"]), "idPattern"))
        kinds.add((str(members.get("type", "")), bool(given), by_pattern))
    open_ended = any(type in ("", "*") for type, _, _ in kinds)
    if len(kinds) > 1 and (ids or patterns or open_ended):
        raise not_supported("entities that differ in type and in id or idPattern: ask for each of them by itself.")
    params = call.params
    geo = body.get("geoQ")
    query = EntityQuery(
        types=types[0] if len(types) == 1 else Or(tuple(types)) if types else None,
        ids=tuple(ids),
        id_pattern="|".join(f"(?:{pattern})" for pattern in patterns) if patterns else None,
        attrs=terms.expand_all(_strings(body.get("attrs", []), "attrs")),
        q=parse_q(str(body["q"]), terms, expand_values=str(body.get("expandValues", "")).split(","))
        if "q" in body
        else None,
        geo=parse_geo(cast("dict[str, Any]", geo), terms) if isinstance(geo, dict) else None,
        scopes=parse_scopes(str(body["scopeQ"])) if "scopeQ" in body else None,
        limit=integer(params, "limit", DEFAULT_LIMIT, high=MAX_LIMIT),
        offset=integer(params, "offset", 0),
        count=counts(params),
    )
    if all(type != "*" for type, _, _ in kinds):
        require_narrow(query)
    return query


def posted_view(body: Mapping[str, Any], call: Call) -> View:
    """Return how a query's body, or else its parameters, wants entities shown."""
    given = {m: ",".join(_strings(body[m], m)) for m in ("attrs", "pick", "omit", "datasetId") if m in body}
    if "lang" in body:
        given["lang"] = str(body["lang"])
    return view_of(call, {**call.params, **given})


def _strings(value: object, member: str) -> Sequence[str]:
    items = cast("list[object]", value) if isinstance(value, list) else None
    if items is None or not all(isinstance(item, str) for item in items):
        raise bad_request(f"{member} must be a list of strings.")
    return cast("list[str]", items)


def temporal_query(params: Mapping[str, Any], terms: TermMap, attrs: Sequence[str] = ()) -> TemporalQuery:
    """Return the temporal condition of ``timerel``, ``timeAt``, ``endTimeAt``, ``timeproperty`` and ``lastN``."""
    timerel = params.get("timerel")
    time_property = params.get("timeproperty", "observedAt")
    if time_property not in TIME_PROPERTIES:
        raise bad_request(f"timeproperty must be one of {', '.join(TIME_PROPERTIES)}, not {time_property!r}.")
    start = end = None
    if timerel is not None:
        if "timeAt" not in params:
            raise bad_request("timerel needs timeAt.")
        at = micros(canonical(params["timeAt"], "timeAt"))
        match timerel:
            case "before":
                end = at
            case "after":
                start = at
            case "between":
                if "endTimeAt" not in params:
                    raise bad_request("timerel=between needs endTimeAt.")
                start, end = at, micros(canonical(params["endTimeAt"], "endTimeAt"))
            case _:
                raise bad_request(f"timerel must be before, after or between, not {timerel!r}.")
    elif "timeAt" in params or "endTimeAt" in params:
        raise bad_request("timeAt needs timerel: before, after or between.")
    if "aggrMethods" in params or "aggregatedValues" in str(params.get("options", "")):
        raise not_supported("Aggregated values are not offered yet; ask for temporalValues.")
    last_n = None
    if "lastN" in params:
        last_n = integer({"lastN": str(params["lastN"])}, "lastN", 1, low=1, high=MAX_INSTANCES)
    return TemporalQuery(time_property, start, end, tuple(attrs), last_n, MAX_INSTANCES)
