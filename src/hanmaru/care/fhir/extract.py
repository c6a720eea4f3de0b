"""What the index keeps of a resource: one row for each value that a search parameter of its type can find.

Each type's parameters are compiled once into getters with the row maker that fits the element's type. A composite's
components are rows under numbers of their own, tied by ``part``: the n-th element that the composite speaks of.
"""

from datetime import tzinfo
from functools import cache
from typing import Any

from hanmaru.care.fhir import paths
from hanmaru.care.fhir.dates import KOREA
from hanmaru.care.fhir.definitions import Parameter, compartment, parameters, types
from hanmaru.care.fhir.rows import MAKERS, TEXTED, Element, IndexRows, Maker, fused, reference


def rows(resource: Element, zone: tzinfo = KOREA) -> IndexRows:
    """Return what the index keeps of a resource; odd content is left out, never an error."""
    found = IndexRows((), [], [], [], [], [])
    plain, composites = _plan(resource["resourceType"])
    for number, legs in plain:
        for get, make in legs:
            for value in get(resource, resource):
                make(value, number, 0, found, zone)
    for number, elements in composites:
        part = 0
        for get, components in elements:
            for element in get(resource, resource):
                part += 1
                _composite(element, resource, number, part, components, found, zone)
    return found._replace(patients=tuple(sorted(_patients(resource, found))))


def patients(resource: Element) -> frozenset[str]:
    """Return the ids of the Patients whose compartment (R4's CompartmentDefinition "patient") a resource is in."""
    found = IndexRows((), [], [], [], [], [])
    kind = resource["resourceType"]
    for code in compartment().get(kind, ()):
        for leg in paths.compile(parameters()[kind][code].expression, kind):
            for value in leg.get(resource, resource):
                reference(value, parameters()[kind][code].numbers[0], 0, found, KOREA)
    return frozenset(_patients(resource, found))


def _patients(resource: Element, found: IndexRows) -> set[str]:
    kind = resource["resourceType"]
    wanted = _compartment(kind)
    patient = types()["Patient"]
    ids = {id for number, id, type, _, _ in found.references if type == patient and number in wanted}
    if kind == "Patient" and isinstance(resource.get("id"), str):
        ids.add(resource["id"])
    return ids


@cache
def _compartment(kind: str) -> frozenset[int]:
    return frozenset(number for code in compartment().get(kind, ()) for number in parameters()[kind][code].numbers)


_Legs = list[tuple[paths.Get, Maker]]


_Composite = tuple[int, list[tuple[paths.Get, list[_Legs]]]]


@cache
def _plan(kind: str) -> tuple[list[tuple[int, _Legs]], list[_Composite]]:
    plain: list[tuple[int, _Legs]] = []
    composites: list[_Composite] = []
    for parameter in parameters()[kind].values():
        if parameter.derived or parameter.code in ("_id", "_lastUpdated"):  # columns of the resource's own row
            continue
        bases = paths.compile(parameter.expression, kind)
        if parameter.type != "composite":
            if legs := _made(parameter.type, bases):
                plain.append((parameter.number, legs))
            continue
        elements: list[tuple[paths.Get, list[_Legs]]] = []
        for base in bases:
            kinds = [component_type(kind, parameter, i) for i in range(len(parameter.components))]
            legs = [_legs(k, path, base.type) for k, (_, path) in zip(kinds, parameter.components, strict=True)]
            if all(legs):
                elements.append((base.get, legs[::-1]))
        composites.append((parameter.number, elements))
    return plain, composites


def _composite(
    element: Any, resource: Element, number: int, part: int, components: list[_Legs], found: IndexRows, zone: tzinfo
) -> None:
    """Add a composite's rows, which only an element has that has all its components; the rarest come last in R4."""
    values: list[tuple[Maker, Any, int]] = []
    for i, legs in enumerate(components):
        before = len(values)
        for get, make in legs:
            for value in get(element, resource):
                values.append((make, value, number + len(components) - i))
        if len(values) == before:
            return
    tokens, quantities = len(found.tokens), len(found.quantities)
    for make, value, at in values:
        strings = len(found.strings)
        make(value, at, part, found, zone)
        if make in TEXTED:  # :text is not asked of a component
            del found.strings[strings:]
    if len(components) == 2 and len(found.tokens) > tokens:
        for row in found.quantities[quantities:]:
            for _, code, system, _ in found.tokens[tokens:]:
                found.quantities.append((fused(number, code), *row[1:-1], system))


def component_type(kind: str, parameter: Parameter, at: int) -> str:
    """Return the type of a composite's component."""
    return parameters()[kind][parameter.components[at][0]].type


def _legs(type: str, expression: str, base: str) -> _Legs:
    return _made(type, paths.compile(expression, base))


def _made(type: str, legs: tuple[paths.Leg, ...]) -> _Legs:
    makers = MAKERS[type]
    return [(leg.get, makers[leg.type]) for leg in legs if leg.type in makers]
