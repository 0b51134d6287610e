"""Filtering, field selection, sorting and paging of collections (TMF630 part 1).

`state=held,pending&productOrderItem.action=add&orderDate.gte=2026-01-01` : AND by `&`, OR by comma or a repeated key,
operators as suffixes (`.eq .ne .gt .gte .lt .lte .regex`) or signs (`orderDate>=2026-01-01`), dotted paths that look
into arrays (any element matches).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pydantic_core import SchemaError, SchemaValidator, core_schema

from tmf._json import Doc
from tmf.errors import InvalidQuery

MAX_LIMIT = 500

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "regex"]
_OPERATORS = frozenset({"eq", "ne", "gt", "gte", "lt", "lte", "regex"})
_SIGN = re.compile(r"^([^<>]+)([<>])(.*)$")
_SIGNS: Mapping[tuple[str, bool], Operator] = {
    (">", False): "gt",
    (">", True): "gte",
    ("<", False): "lt",
    ("<", True): "lte",
}
_ORDERINGS: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_ALWAYS = frozenset({"id", "href"})
_UNKNOWN = {
    "filter": "JSONPath filters are not supported; use attribute=value",
    "expand": "expand is not part of version 4",
    "depth": "depth is not part of version 4",
}
# `+00:00` in a query value is decoded to a blank: give the sign back
_LOST_PLUS = re.compile(r" (\d\d:\d\d)$")
_DATE = re.compile(r"^\d{4}-\d\d-\d\d([T ]|$)")


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition: any value at `path` stands in relation `op` to any of `values`."""

    path: str
    op: Operator
    values: tuple[str, ...]

    def matches(self, item: Doc) -> bool:
        """Tell whether a document fulfils the condition; a missing attribute only fulfils `ne`."""
        found = [value for value in resolve(item, self.path) if value is not None]
        if self.op == "ne":
            return not any(_equal(value, text) for value in found for text in self.values)
        return any(_compare(self.op, value, text) for value in found for text in self.values)


@dataclass(frozen=True, slots=True)
class Page:
    """The items of one answer and how many match altogether."""

    items: tuple[Doc, ...]
    total: int

    @property
    def headers(self) -> dict[str, str]:
        """Return the two count headers of the v4 files."""
        return {"X-Result-Count": str(len(self.items)), "X-Total-Count": str(self.total)}


@dataclass(frozen=True, slots=True)
class Query:
    """What a client asked of a collection; `limit` is None when it named none (then at most 500 come)."""

    fields: frozenset[str] = frozenset()
    filters: tuple[Filter, ...] = ()
    offset: int = 0
    limit: int | None = None
    sort: tuple[tuple[str, bool], ...] = ()

    @staticmethod
    def parse(params: Iterable[tuple[str, str]] | Mapping[str, str]) -> Query:
        """Read decoded query parameters.

        Raises:
            InvalidQuery: offset, limit, an operator or a regular expression is wrong.

        """
        pairs = params.items() if isinstance(params, Mapping) else params
        query, conditions = Query(), dict[tuple[str, Operator], list[str]]()
        for key, value in pairs:
            match key:
                case "fields":
                    query = replace(query, fields=query.fields | frozenset(_split(value)))
                case "offset":
                    query = replace(query, offset=_count(key, value))
                case "limit":
                    query = replace(query, limit=_limit(value))
                case "sort":
                    query = replace(query, sort=query.sort + tuple(_sort_keys(value)))
                case _:
                    path, op, text = _condition(key, value)
                    conditions.setdefault((path, op), []).extend(_values(op, text))
        found = tuple(Filter(path, op, tuple(v)) for (path, op), v in conditions.items())
        return replace(query, filters=found)

    def matches(self, item: Doc) -> bool:
        """Tell whether a document fulfils all conditions."""
        return all(condition.matches(item) for condition in self.filters)

    def apply(self, items: Iterable[Doc]) -> Page:
        """Filter, sort and cut; the fields are selected by the router, last."""
        return self.cut(self.ordered([item for item in items if self.matches(item)]))

    def ordered(self, items: Sequence[Doc]) -> Sequence[Doc]:
        """Sort stably by the keys asked for; documents without the attribute come last."""
        for path, descending in reversed(self.sort):
            present = [item for item in items if _first(item, path) is not None]
            absent = [item for item in items if _first(item, path) is None]
            present.sort(key=lambda item, path=path: _rank(_first(item, path)), reverse=descending)  # type: ignore[misc]
            items = present + absent
        return items

    def cut(self, items: Sequence[Doc]) -> Page:
        """Take the page asked for."""
        size = MAX_LIMIT if self.limit is None else self.limit
        return Page(tuple(items[self.offset : self.offset + size]), len(items))

    def pinned(self, path: str) -> tuple[str, ...] | None:
        """Return the values an attribute must equal one of, for use in SQL; None when it is free."""
        for condition in self.filters:
            if condition.path == path and condition.op == "eq":
                return condition.values
        return None

    def select(self, item: Doc) -> Doc:
        """Keep the fields asked for, and id, href and @type."""
        if not self.fields:
            return item
        return cast("Doc", _select(item, self.fields | _ALWAYS | {"@type"}))


def resolve(item: Any, path: str) -> Iterator[Any]:
    """Yield every value at a dotted path; arrays on the way are looked into, element by element."""
    if isinstance(item, list):
        for element in item:
            yield from resolve(element, path)
    elif not path:
        yield item
    elif isinstance(item, dict):
        if path in item:  # names with dots exist in extension attributes
            yield from resolve(item[path], "")
        else:
            head, _, rest = path.partition(".")
            if head in item:
                yield from resolve(item[head], rest)


def _condition(key: str, value: str) -> tuple[str, Operator, str]:
    sign = _SIGN.match(key)
    if sign:  # `a>=b` arrives as key `a>`, value `b`; `a>b` as key `a>b` without a value
        path, symbol, rest = sign.groups()
        return path, _SIGNS[symbol, not rest], rest or value
    path, _, suffix = key.rpartition(".")
    if suffix in _OPERATORS and path:
        return path, cast("Operator", suffix), value
    if key in _UNKNOWN:
        raise InvalidQuery(f"{key}={value}: {_UNKNOWN[key]}.")
    return key, "eq", value


def _values(op: Operator, text: str) -> list[str]:
    if op != "regex":
        return [part.strip() for part in text.split(",")]
    _pattern(text)
    return [text]


def _pattern(text: str) -> SchemaValidator:
    """Compile with the engine of pydantic: linear in time, so no pattern can stop the server."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=text, regex_engine="rust-regex"))
    except SchemaError as error:
        raise InvalidQuery(f"{text!r} is not a regular expression: {error}.") from None


def _count(key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):  # noqa: PLR2004
        raise InvalidQuery(f"{key}={value}: give a whole number from 0 on.")
    return int(value)


def _limit(value: str) -> int:
    limit = _count("limit", value)
    if limit > MAX_LIMIT:
        raise InvalidQuery(
            f"limit={value}: at most {MAX_LIMIT} items come at once; page by offset."
        )
    return limit


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _sort_keys(value: str) -> Iterator[tuple[str, bool]]:
    for key in _split(value):
        yield key.lstrip("+-"), key.startswith("-")


def _compare(op: Operator, value: Any, text: str) -> bool:
    match op:
        case "regex":
            return _pattern(text).isinstance_python(_text(value))
        case "eq" | "ne":
            return _equal(value, text)
        case _:
            left, right = _order_keys(value, text)
            return bool(_ORDERINGS[op](left, right))


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, dict | list):
        return False
    if _text(value) == text:
        return True
    left, right = _order_keys(value, text)
    return bool(left == right) and not isinstance(left, str)


def _order_keys(value: Any, text: str) -> tuple[Any, Any]:
    """Bring both sides to numbers or instants when both are such, else to texts."""
    for read in (_number, _instant):
        left, right = read(value), read(text)
        if left is not None and right is not None:
            return left, right
    return _text(value), text


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _DATE.match(value):
        return None
    try:
        found = datetime.fromisoformat(_LOST_PLUS.sub(r"+\1", value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _first(item: Doc, path: str) -> Any:
    return next((value for value in resolve(item, path) if value is not None), None)


def _rank(value: Any) -> tuple[int, Any]:
    """Order numbers before instants before texts, so that mixed values still sort."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, value
    instant = _instant(value)
    return (1, instant) if instant else (2, _text(value))


def _select(item: Any, fields: frozenset[str]) -> Any:
    if isinstance(item, list):
        return [_select(element, fields) for element in item]
    if not isinstance(item, dict):
        return item
    return {key: _nested(key, value, fields) for key, value in item.items() if _named(key, fields)}


def _named(key: str, fields: frozenset[str]) -> bool:
    return key in fields or any(field.startswith(key + ".") for field in fields)


def _nested(key: str, value: Any, fields: frozenset[str]) -> Any:
    inner = frozenset(f[len(key) + 1 :] for f in fields if f.startswith(key + "."))
    return value if key in fields or not inner else _select(value, inner)
