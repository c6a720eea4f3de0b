"""Search parameters as filters over the index: each can test a resource's key, and most can also name the keys."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from hanmaru.care.fhir.conditions import TABLES, Context, Sql, both, condition, date, either
from hanmaru.care.fhir.definitions import Parameter, parameters, types
from hanmaru.care.fhir.extract import component_type
from hanmaru.care.fhir.near import near
from hanmaru.care.fhir.parameters import MOST_CHAIN, Step, plain, shown, split, steps, wrong
from hanmaru.care.fhir.rows import fused
from hanmaru.care.fhir.sight import seen
from hanmaru.care.fhir.sources import Filter, Source, any_of, numbered, of, owners, typed
from hanmaru.care.fhir.strings import digest
from hanmaru.care.fhir.values import Reader
from hanmaru.platform.problems import Problem

MODIFIERS: Final = {
    "token": {"", "not", "text", "of-type"},
    "uri": {"", "below", "above"},
    "reference": {"", "identifier"},
    "string": {"", "exact", "contains"},
    "date": {""},
    "number": {""},
    "quantity": {""},
    "composite": {""},
    "special": {""},
}
"""What each type of parameter takes beside ``:missing``; a reference also takes the name of a type."""


_RANK: Final = {
    **{("reference", ""): 0, ("string", "exact"): 0, ("string", "contains"): 6, ("uri", "above"): 6},
    **{("date", ""): 4, ("quantity", ""): 4, ("number", ""): 4},
}
"""Where a search is best begun, before anything is counted: a person, then a code, then days and values."""


@dataclass(slots=True)
class Filters:
    """Makes the filters of one search for one reader."""

    reader: Reader
    at: Context
    names: int = field(default=0)

    def name(self) -> str:
        """Return an alias that no other hop of the search has."""
        self.names += 1
        return f"a{self.names}"

    def visible(self, key: str) -> Sql:
        """Return the condition that the reader may see a resource: it belongs to every hop of every query."""
        if self.reader.kind == "all":
            return Sql("1", ())
        q = self.name()
        text, values = seen(self.reader, q, self.at.now)
        return Sql(f"EXISTS (SELECT 1 FROM main.resource {q} WHERE {q}.key = {key} AND {text})", values)

    def everything(self, kind: str) -> Source:
        """Return where all keys of a type come from that the reader may see, and perhaps some more."""
        r = self.name()
        if self.reader.kind == "all":
            return Source(f"ix.resource {r}", typed(kind, r), f"{r}.key")
        owned, values = owners(self.reader, self.at.now)
        where = both(Sql(f"{r}.type = ?", (kind,)) if kind else Sql("1", ()), Sql(f"{r}.deleted = 0", ()))
        return Source(
            f"({owned}) o{r} CROSS JOIN main.resource {r} ON {r}.owner = o{r}.key",
            Sql(where.text, (*values, *where.values)),
            f"{r}.key",
        )

    def make(self, kind: str, name: str, value: str) -> Filter:
        """Return the filter of one parameter, whose values are alternatives. Raises Problem 400."""
        links = steps(name) if not name.startswith("_has:") else ()
        if not links:
            return self.has(kind, name, value)
        if name == "_type" and not kind:
            return self.types(value)
        if name == "_compartment":
            return self.compartment(kind, value)
        return self.chain(kind, links, value)

    def chain(self, kind: str, links: Sequence[Step], value: str) -> Filter:
        """Return the filter of a name that may lead over references."""
        link = links[0]
        if link.code == "_has":
            return self.has(kind, ".".join(f"{s.code}:{s.modifier}" if s.modifier else s.code for s in links), value)
        parameter = parameters()[kind or "Basic"].get(link.code)
        if parameter is None or (not kind and not link.code.startswith("_")):
            raise unknown(kind, link.code)
        if len(links) == 1:
            return self.single(kind, parameter, link.modifier, value)
        if parameter.type != "reference":
            raise wrong(f"{shown(link.code)} is no reference of {kind}: nothing can be chained to it.")
        targets = [link.modifier] if link.modifier else list(parameter.targets) or list(types())
        if link.modifier and link.modifier not in types():
            raise wrong(f"{shown(link.modifier)} is no type: chain as subject:Patient.name.")
        able = [t for t in targets if _takes(t, links[1])]
        if not able:
            raise unknown(targets[0] if len(targets) == 1 else "what it refers to", links[1].code)
        if len(able) > 20:
            raise wrong(
                f"{shown(link.code)} may refer to many types: say which, as {link.code}:Patient.{links[1].code}."
            )
        return any_of([self.hop(parameter, t, self.chain(t, links[1:], value)) for t in able])

    def hop(self, parameter: Parameter, target: str, inner: Filter) -> Filter:
        """Return the filter that a reference leads to a resource of a type that fulfils another filter."""
        number = types()[target]
        if parameter.only not in (0, number):
            return Filter(Sql("0", ()))
        url = parameters()[target].get("url")
        ways = [self._hop(parameter, inner, number, None)]
        if url is not None and parameter.canonical:
            ways.append(self._hop(parameter, inner, 0, url.number))
        return any_of(ways)

    def _hop(self, parameter: Parameter, inner: Filter, number: int, url: int | None) -> Filter:
        """Return the filter of a hop by type and id, or by the ``url`` that a canonical names."""
        f, t = self.name(), self.name()
        if url is None:
            there, back = f"ix.resource {t} ON {t}.type = {f}.type AND {t}.id = {f}.id", f"{f}.id = {t}.id"
            at = f"ix.resource {t} ON {t}.key = {{key}} AND {t}.type = {number}"
        else:
            there, back = f"ix.token {t} ON {t}.number = {url} AND {t}.code = {f}.id", f"{f}.id = {t}.code"
            at = f"ix.token {t} ON {t}.key = {{key}} AND {t}.number = {url}"
        which = f"{of(f, parameter)} AND {f}.type = {number}"
        fulfils = both(inner.on(f"{t}.key"), self.visible(f"{t}.key"))
        test = Sql(
            f"EXISTS (SELECT 1 FROM ix.reference AS {f} INDEXED BY reference_key CROSS JOIN {there}"
            f" WHERE {f}.key = {{key}} AND {which} AND {fulfils.text})",
            fulfils.values,
        )
        if inner.source is None:
            return Filter(test)
        s = inner.source
        tables = f"{s.tables} CROSS JOIN {at.replace('{key}', s.key)} CROSS JOIN ix.reference {f} ON {back}"
        return Filter(test, Source(tables, both(s.where, Sql(which, ()), self.visible(f"{t}.key")), f"{f}.key"))

    def has(self, kind: str, name: str, value: str) -> Filter:
        """Return the filter of ``_has:Type:reference:parameter``: another resource that refers here and fulfils it."""
        parts = name.split(":", 3)
        if len(parts) != 4 or name.count("_has") > MOST_CHAIN:
            raise wrong("_has is written _has:Observation:patient:code.")
        _, other, code, rest = parts
        parameter = parameters().get(other, {}).get(code)
        if parameter is None or parameter.type != "reference":
            raise wrong(f"_has needs a type and a reference of it; {shown(other)}:{shown(code)} is none.")
        if not kind:
            raise unknown(kind, "_has")
        if parameter.only and parameter.only != types()[kind]:
            return Filter(Sql("0", ()))
        inner = self.make(other, rest, value)
        f, t = self.name(), self.name()
        number = types()[kind]
        fulfils = both(inner.on(f"{f}.key"), self.visible(f"{f}.key"))
        test = Sql(
            f"EXISTS (SELECT 1 FROM ix.resource {t} CROSS JOIN ix.reference {f} ON {of(f, parameter)}"
            f" AND {f}.id = {t}.id AND {f}.type = {t}.type WHERE {t}.key = {{key}} AND {fulfils.text})",
            fulfils.values,
        )
        if inner.source is None:
            return Filter(test)
        s, shows = inner.source, self.visible(f"{f}.key")
        where = both(s.where, Sql(f"{of(f, parameter)} AND {t}.type = ?", (number,)), shows)
        tables = (
            f"{s.tables} CROSS JOIN ix.reference {f} ON {f}.key = {s.key}"
            f" CROSS JOIN ix.resource {t} ON {t}.type = {f}.type AND {t}.id = {f}.id"
        )
        return Filter(test, Source(tables, where, f"{t}.key"))

    def single(self, kind: str, parameter: Parameter, modifier: str, value: str) -> Filter:
        """Return the filter of one parameter of a type."""
        if modifier == "missing":
            return self.missing(kind, parameter, value)
        if parameter.type == "special" and not modifier:
            return self.near(parameter, value)
        typed = parameter.type == "reference" and modifier in types()
        if not typed and modifier not in MODIFIERS[parameter.type]:
            known = ", ".join(sorted(f":{m}" for m in {*MODIFIERS[parameter.type], "missing"} if m))
            raise wrong(f"{shown(parameter.code)} does not take :{shown(modifier)}; it takes {known}.")
        texts = [text for text in split(value, ",") if text]
        if not texts:
            raise wrong(f"The parameter {shown(parameter.code)} needs a value.")
        if parameter.code == "_id":
            return self.ids(kind, [plain(text) for text in texts], modifier)
        if parameter.code == "_lastUpdated":
            return self.updated(kind, parameter, texts)
        if parameter.type == "composite":
            return any_of([self.composite(kind, parameter, text) for text in texts])
        type, sign = parameter.type, 1
        match (type, modifier):
            case ("token", "text"):
                type, modifier = "string", ""
            case ("token", "of-type"):
                sign, texts = -1, [_of_type(text) for text in texts]
            case ("reference", "identifier"):
                type, sign, modifier = "token", -1, ""
            case _:
                pass
        found = [condition(parameter, type, modifier, text, self.at) for text in texts]
        where = both(numbered(kind, parameter, sign), Sql("v.part = 0", ()), either(found))
        made = self.rows(TABLES[type], where, _RANK.get((type, modifier), 1 if len(texts) == 1 else 2))
        if modifier == "not":
            return Filter(Sql(f"NOT {made.test.text}", made.test.values))
        return Filter(
            made.test,
            made.source,
            parameter.numbers[0] if type == parameter.type and len(parameter.numbers) == 1 else 0,
        )

    def near(self, parameter: Parameter, value: str) -> Filter:
        """Return the filter of Location's ``near``."""
        x, y = self.name(), self.name()
        places = [near(text, f"{x}.low", f"{y}.low") for text in split(value, ",")]
        both_of = f"{y}.key = {x}.key AND {y}.number = {x}.number + 1"
        tables = f"ix.quantity {x} CROSS JOIN ix.quantity AS {y} INDEXED BY quantity_key ON {both_of}"
        where = both(Sql(of(x, parameter), ()), either(places))
        test = Sql(f"EXISTS (SELECT 1 FROM {tables} WHERE {x}.key = {{key}} AND {where.text})", where.values)
        return Filter(test, Source(tables, where, f"{x}.key"))

    def rows(self, table: str, where: Sql, rank: int = 5) -> Filter:
        """Return the filter that a resource has a row of a table that fulfils a condition on ``v``."""
        v = self.name()
        where = Sql(where.text.replace("v.", f"{v}."), where.values)
        own = f"ix.{table} AS {v} INDEXED BY {table}_key"  # else a range of values may be read for every key
        test = Sql(f"EXISTS (SELECT 1 FROM {own} WHERE {v}.key = {{key}} AND {where.text})", where.values)
        return Filter(test, Source(f"ix.{table} {v}", where, f"{v}.key", rank))

    def missing(self, kind: str, parameter: Parameter, value: str) -> Filter:
        """Return the filter that a resource has no value at all for a parameter (or, for ``false``, has one)."""
        if value not in ("true", "false"):
            raise wrong(f"{shown(parameter.code)}:missing is true or false.")
        if parameter.code in ("_id", "_lastUpdated"):
            return Filter(Sql("0" if value == "true" else "1", ()))
        made = [self.rows(TABLES.get(parameter.type, "quantity"), numbered(kind, parameter))]
        if parameter.type == "composite":  # an element has the rows of all components or none
            first = TABLES[component_type(kind, parameter, 0)]
            made = [self.rows(first, Sql(of("v", parameter, 1), ()))]
        elif parameter.type == "token":  # a concept may be text alone
            made.append(self.rows("string", numbered(kind, parameter)))
        elif parameter.type == "reference" and not parameter.only:  # a reference may be an identifier alone
            made.append(self.rows("token", numbered(kind, parameter, -1)))
        found = any_of(made)
        return found if value == "false" else Filter(Sql(f"NOT {found.test.text}", found.test.values))

    def ids(self, kind: str, ids: list[str], modifier: str) -> Filter:
        """Return the filter of ``_id``."""
        t = self.name()
        marks = ", ".join("?" * len(ids))
        where = both(typed(kind, t), Sql(f"{t}.id IN ({marks})", tuple(ids)))
        test = Sql(f"EXISTS (SELECT 1 FROM ix.resource {t} WHERE {t}.key = {{key}} AND {where.text})", where.values)
        if modifier == "not":
            return Filter(Sql(f"NOT {test.text}", test.values))
        if modifier:
            raise wrong("_id takes :not and :missing alone.")
        return Filter(test, Source(f"ix.resource {t}", where, f"{t}.key"))

    def updated(self, kind: str, parameter: Parameter, texts: list[str]) -> Filter:
        """Return the filter of ``_lastUpdated``."""
        t = self.name()
        made = either([date(parameter.code, text, self.at, f"{t}.updated", f"({t}.updated + 1)") for text in texts])
        where = both(typed(kind, t), made)
        test = Sql(f"EXISTS (SELECT 1 FROM ix.resource {t} WHERE {t}.key = {{key}} AND {where.text})", where.values)
        return Filter(test, Source(f"ix.resource {t}", where, f"{t}.key"))

    def types(self, value: str) -> Filter:
        """Return the filter of ``_type``, of a search over all types."""
        numbers = [types().get(text, 0) for text in value.split(",")]
        if not all(numbers):
            raise wrong("_type takes names of resource types with commas between them.")
        t = self.name()
        where = Sql(f"{t}.type IN ({', '.join(map(str, numbers))})", ())
        test = Sql(f"EXISTS (SELECT 1 FROM ix.resource {t} WHERE {t}.key = {{key}} AND {where.text})", ())
        return Filter(test, Source(f"ix.resource {t}", where, f"{t}.key"))

    def compartment(self, kind: str, value: str) -> Filter:
        """Return the filter that a resource is in a Patient's compartment (``_compartment=Patient/x``)."""
        type, _, id = value.partition("/")
        if type != "Patient" or not id:
            raise wrong("_compartment is a patient's: Patient/x.")
        c, t = self.name(), self.name()
        test = Sql(f"EXISTS (SELECT 1 FROM ix.compartment {c} WHERE {c}.patient = ? AND {c}.key = {{key}})", (id,))
        where = both(Sql(f"{c}.patient = ?", (id,)), typed(kind, t))
        return Filter(
            test, Source(f"ix.compartment {c} CROSS JOIN ix.resource {t} ON {t}.key = {c}.key", where, f"{c}.key")
        )

    def composite(self, kind: str, parameter: Parameter, text: str) -> Filter:
        """Return the filter that one element fulfils all the parts of ``a$b``."""
        parts = split(text, "$")
        if len(parts) != len(parameter.components):
            raise wrong(f"{shown(parameter.code)} needs {len(parameter.components)} parts with $ between them.")
        if (fast := self.measure(kind, parameter, parts)) is not None:
            return fast
        first = ""
        tables: list[str] = []
        wheres: list[Sql] = []
        for i, part in enumerate(parts):
            code = parameter.components[i][0]
            component, type = parameters()[kind][code], component_type(kind, parameter, i)
            v = self.name()
            made = condition(component, type, "", part, self.at)
            where = made if first else both(Sql(of("v", parameter, 1), ()), made)
            wheres.append(Sql(where.text.replace("v.", f"{v}."), where.values))
            same = f"{v}.key = {first}.key AND {v}.number = {first}.number + {i} AND {v}.part = {first}.part"
            join = f" ON {same}" if first else ""
            own = f" INDEXED BY {TABLES[type]}_key" if first else ""
            tables.append(f"ix.{TABLES[type]} AS {v}{own}{join}")
            first = first or v
        where, joined = both(*wheres), " CROSS JOIN ".join(tables)
        test = Sql(f"EXISTS (SELECT 1 FROM {joined} WHERE {first}.key = {{key}} AND {where.text})", where.values)
        return Filter(test, Source(joined, where, f"{first}.key"))

    def measure(self, kind: str, parameter: Parameter, parts: list[str]) -> Filter | None:
        """Return the filter of a ``code$quantity``, or None where it is not one of a certain code."""
        kinds = [component_type(kind, parameter, i) for i in range(len(parts))]
        words = split(parts[0], "|")
        if kinds != ["token", "quantity"] or not plain(words[-1]):
            return None
        component = parameters()[kind][parameter.components[1][0]]
        numbers = ", ".join(
            str(fused(n, plain("|".join(words[1:]) if words[1:] else words[0]))) for n in parameter.numbers
        )
        system = Sql("v.part = ?", (digest(plain(words[0])),)) if len(words) > 1 else Sql("1", ())
        where = both(
            Sql(f"v.number IN ({numbers})", ()), system, condition(component, "quantity", "", parts[1], self.at)
        )
        return self.rows("quantity", where, 1)


def unknown(kind: str, code: str) -> Problem:
    """Refuse a parameter that a type does not have."""
    return wrong(
        f"{kind or 'A search over all types'} has no search parameter {shown(code)}: see the capability"
        " statement, or send Prefer: handling=lenient to leave out what is not known."
    )


def _takes(kind: str, step: Step) -> bool:
    return step.code == "_has" or step.code in parameters()[kind]


def _of_type(text: str) -> str:
    parts = split(text, "|")
    if len(parts) != 3 or not all(parts):
        raise wrong("of-type is written system|code|value, as in identifier:of-type=http://…|MR|446053.")
    return f"{parts[0]}|{parts[1]}\\|{parts[2]}"
