"""What a new pool contains: spans of values from a range, a prefix, or single values of stock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inventory.errors import InvalidPrefix, InvalidRange, ValueInvalid
from inventory.values import blocks
from inventory.values.kind import Kind
from inventory.values.renderings import (
    BITS,
    INDEX_BITS,
    NO_SD,
    Address4,
    Address6,
    Digits,
    Family,
    Names,
    Nssai,
    Params,
    Prefix,
    Route,
    Span,
    fits,
    route_administrator,
)

__all__ = ["Content", "Layout", "Span", "layout", "new_names", "places", "stock_spans", "without"]

_LONGEST_NAME = 255
_SUBNET = 64


@dataclass(frozen=True, slots=True)
class Content:
    """What to put into a pool: one of a range, a prefix, values; nothing = the kind's whole range.

    With a prefix, `first` and `last` are a part of it. `exclude` and `bands` name values, ranges and prefixes as
    `blocks.span` reads them.
    """

    first: int | str | None = None
    last: int | str | None = None
    prefix: str | None = None
    prefix_length: int | None = None
    values: Sequence[str] | None = None
    technology: str | None = None
    exclude: Sequence[str] = ()
    bands: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """The spans of a pool, in order and disjoint, and the parameters that render its values."""

    spans: tuple[Span, ...]
    """What anybody may take."""
    params: Mapping[str, Any] = field(default_factory=dict)
    bands: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    """What only those may take who name the band, or the value."""
    places: Span | None = None
    """First and last place of its domain that the pool occupies, what it excludes included; None for stock."""

    @property
    def all_spans(self) -> tuple[Span, ...]:
        """Return the spans, those of bands included."""
        return tuple(sorted([*self.spans, *(s for spans in self.bands.values() for s in spans)]))

    @property
    def first(self) -> int:
        """Return the lowest value (0 for empty stock)."""
        return self.all_spans[0][0] if self.all_spans else 0

    @property
    def last(self) -> int:
        """Return the highest value (-1 for empty stock)."""
        return self.all_spans[-1][1] if self.all_spans else -1

    @property
    def capacity(self) -> int:
        """Return the number of values."""
        return sum(last - first + 1 for first, last in self.all_spans)


@dataclass(frozen=True, slots=True)
class _Whole:
    """All that a prefix or range names, before anything is excluded: the places it occupies, and what is usable."""

    params: Mapping[str, Any]
    held: Span
    usable: Span


def layout(kind: Kind, content: Content) -> Layout:
    """Return what a pool of this kind contains.

    Raises:
        InvalidPrefix: INVALID_PREFIX, malformed, with host bits, wrong family or length, nothing usable.
        InvalidRange: INVALID_RANGE, missing, empty, outside what the kind has, or bands that overlap.
        ValueInvalid: VALUE_INVALID, a value that is none of the kind.

    """
    if kind.stock:
        return _stock(kind, content)
    if content.values is not None:
        raise InvalidRange(f"Kind {kind.name} has no single values; give first and last.")
    whole = _narrowed(kind, _whole(kind, content), content)
    usable = without([whole.usable], kind.never)
    usable = without(usable, (_named(kind, whole, text) for text in content.exclude))
    if not usable:
        raise InvalidRange(
            f"Nothing is left of the pool of kind {kind.name} after what is excluded; exclude less.",
            details={"exclude": list(content.exclude)},
        )
    bands = _bands(kind, whole, content.bands, usable)
    free = without(usable, [span for spans in bands.values() for span in spans])
    return Layout(tuple(free), whole.params, bands, places(kind, whole.params, whole.held))


def places(kind: Kind, params: Params, values: Span) -> Span:
    """Return the first and last place of the kind's domain that a span of values covers."""
    base, shift = kind.form.origin(params)
    return base + (values[0] << shift), base + ((values[1] + 1) << shift) - 1


def stock_spans(kind: Kind, values: Iterable[str]) -> tuple[Span, ...]:
    """Return one span per distinct value, in order. Raises ValueInvalid."""
    numbers = sorted({_parsed(kind, {}, value) for value in values})
    return tuple((number, number) for number in numbers)


def new_names(params: Params, values: Iterable[str]) -> tuple[str, ...]:
    """Return those names, each once, that a pool of names does not have. Raises ValueInvalid."""
    known = frozenset(params.get("names", ()))
    found = tuple(dict.fromkeys(value for value in values if value not in known))
    for name in found:
        if not (isinstance(name, str) and 0 < len(name.strip()) == len(name) <= _LONGEST_NAME):
            raise ValueInvalid(
                f"{name!r} is no name: write 1 to {_LONGEST_NAME} characters without spaces around.",
                details={"value": name},
            )
    return found


def without(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """Return what is left of disjoint spans, in order."""
    left: list[Span] = []
    cuts = _joined(holes)
    position = 0
    for first, last in sorted(spans):
        while position < len(cuts) and cuts[position][1] < first:
            position += 1
        at, start = position, first
        while at < len(cuts) and cuts[at][0] <= last:
            if start < cuts[at][0]:
                left.append((start, cuts[at][0] - 1))
            start = cuts[at][1] + 1
            at += 1
        if start <= last:
            left.append((start, last))
    return left


def _joined(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


# -- stock ------------------------------------------------------------------------------------------


def _stock(kind: Kind, content: Content) -> Layout:
    if content.prefix is not None or content.first is not None or content.last is not None:
        raise InvalidRange(f"Kind {kind.name} holds single values; give them as values.")
    if content.exclude or content.bands:
        raise InvalidRange(
            f"Kind {kind.name} holds single values; leave out those that nobody may take."
        )
    if isinstance(kind.form, Names):
        names = new_names({}, content.values or ())
        return Layout(((0, len(names) - 1),) if names else (), {"names": list(names)})
    return Layout(stock_spans(kind, content.values or ()))


# -- ranges and prefixes ----------------------------------------------------------------------------


def _whole(kind: Kind, content: Content) -> _Whole:
    if content.prefix is not None:
        return _from_prefix(kind, content.prefix, content.prefix_length)
    if isinstance(kind.form, Address6 | Prefix | Route):
        raise InvalidRange(
            f"A pool of kind {kind.name} needs a prefix.", details={"kind": kind.name}
        )
    return _range(kind, content)


def _from_prefix(kind: Kind, prefix: str, length: int | None) -> _Whole:
    match kind.form:
        case Address4():
            return _addresses(kind, prefix, 4)
        case Address6():
            return _addresses(kind, prefix, 6)
        case Prefix(family=family):
            return _prefixes(kind, prefix, length, family)
        case Route():
            return _routes(prefix)
        case Digits() as form:
            return _all(_beginning(kind, form, prefix, length))
        case Nssai():
            return _all(_slices(kind, prefix))
        case _:
            raise InvalidPrefix(f"Kind {kind.name} has no prefixes; give first and last.")


def _all(span: Span, params: Mapping[str, Any] | None = None) -> _Whole:
    return _Whole(params or {}, span, span)


def _range(kind: Kind, content: Content) -> _Whole:
    limits = kind.limits(content.technology) if _limited(kind, content) else None
    if limits is None and (content.first is None or content.last is None):
        needs = "a prefix" if kind.domain and not kind.is_number else "first and last"
        raise InvalidRange(f"A pool of kind {kind.name} needs {needs}.")
    technology = {} if content.technology is None else {"technology": content.technology}
    return _all(limits or kind.form.limits({}), technology)


def _limited(kind: Kind, content: Content) -> bool:
    explicit = content.first is not None and content.last is not None
    return not (kind.ranges and explicit and content.technology is None)


def _addresses(kind: Kind, prefix: str, family: Family) -> _Whole:
    text, (start, end) = blocks.network(family, prefix)
    length = int(text.partition("/")[2])
    if family == 6 and length < _SUBNET:  # noqa: PLR2004
        raise blocks.wrong_prefix(
            family, prefix, f"addresses are numbered in prefixes of /{_SUBNET} to /128"
        )
    params: dict[str, Any] = {"prefix": text}
    base, _ = kind.form.origin(params)
    held = start - base, min(end - base, kind.form.limits(params)[1])
    if kind.whole_from is not None and length >= kind.whole_from:
        return _Whole(params, held, held)
    usable = held[0] + kind.exclude_first, held[1] - kind.exclude_last
    if usable[0] > usable[1]:
        raise blocks.wrong_prefix(
            family, prefix, "no address is left after network, gateway and broadcast"
        )
    if kind.exclude_first > 1:
        params["gateway"] = kind.form.render(params, held[0] + 1)
    return _Whole(params, held, usable)


def _prefixes(kind: Kind, prefix: str, length: int | None, family: Family) -> _Whole:
    text, (start, end) = blocks.network(family, prefix)
    own = BITS[family] - (end - start + 1).bit_length() + 1
    wanted = length if length is not None else kind.length or own
    if not 0 <= wanted - own <= INDEX_BITS or wanted > BITS[family]:
        raise blocks.wrong_prefix(
            family, prefix, f"it cannot be cut into prefixes of length {wanted}"
        )
    return _all((0, (1 << (wanted - own)) - 1), {"prefix": text, "prefixLength": wanted})


def _routes(administrator: str) -> _Whole:
    try:
        route_administrator(administrator)
    except ValueError as error:
        raise InvalidPrefix(
            f"{administrator!r} administers no route distinguishers or targets: {error}.",
            details={"prefix": administrator},
        ) from None
    params = {"administrator": administrator}
    return _all(Route().limits(params), params)


def _beginning(kind: Kind, form: Digits, lead: str, width: int | None) -> Span:
    try:
        found = form.begins(lead, width)
    except ValueError as error:
        raise InvalidPrefix(
            f"{lead!r} begins no values of kind {kind.name}: {error}.", details={"prefix": lead}
        ) from None
    return found


def _slices(kind: Kind, sst: str) -> Span:
    if "-" in sst:
        raise InvalidPrefix(f"{sst!r} is no prefix of kind {kind.name}; write the SST, such as 1.")
    start = _parsed(kind, {}, sst) - NO_SD
    return start, start + NO_SD - 1


# -- parts ------------------------------------------------------------------------------------------


def _narrowed(kind: Kind, whole: _Whole, content: Content) -> _Whole:
    """Return the part from first to last. What a prefix excludes at its ends stays excluded."""
    first, last = (
        None if end is None else _parsed(kind, whole.params, end)
        for end in (content.first, content.last)
    )
    low, high = _existing(kind, whole)
    if first is None and last is None and whole.held == (low, high):
        return whole
    start, end = low if first is None else first, high if last is None else last
    if not low <= start <= end <= high:
        raise _no_range(kind, whole.params, (start, end), (low, high))
    usable = max(start, whole.usable[0]), min(end, whole.usable[1])
    if usable[0] > usable[1]:
        raise _no_range(kind, whole.params, (start, end), whole.usable)
    return _Whole(whole.params, (start, end), usable)


def _existing(kind: Kind, whole: _Whole) -> Span:
    """Return what of it the kind has at all."""
    low, high = whole.held
    if kind.range is None:
        return low, high
    return max(low, kind.range[0]), min(high, kind.range[1])


def _no_range(kind: Kind, params: Params, wanted: Span, allowed: Span) -> InvalidRange:
    first, last = wanted
    low, high = allowed
    words = (
        (kind.form.render(params, low), kind.form.render(params, high)) if low <= high else ("", "")
    )
    within = (
        "; it has none of these"
        if low > high
        else f"; give first and last within {words[0]}..{words[1]}"
    )
    return InvalidRange(
        f"{first}..{last} is no range of kind {kind.name}{within}.",
        details={"first": first, "last": last, "lowest": low, "highest": high},
    )


def _parsed(kind: Kind, params: Params, value: int | str) -> int:
    try:
        return kind.form.parse(params, value) if isinstance(value, str) else fits(value)
    except ValueError as error:
        raise ValueInvalid(
            f"{value!r} is no value of kind {kind.name}: {error}.",
            details={"kind": kind.name, "value": str(value)},
        ) from None


def _named(kind: Kind, whole: _Whole, text: str) -> Span:
    found = blocks.span(kind, whole.params, text)
    if found[1] < whole.held[0] or whole.held[1] < found[0]:
        raise InvalidRange(
            f"{text!r} lies outside the pool of kind {kind.name}; leave it out, or correct it.",
            details={"kind": kind.name, "range": text},
        )
    return found


def _bands(
    kind: Kind, whole: _Whole, wanted: Mapping[str, str], usable: list[Span]
) -> dict[str, tuple[Span, ...]]:
    bands: dict[str, tuple[Span, ...]] = {}
    left = usable
    for name, text in wanted.items():
        if not (name.strip() and len(name) <= _LONGEST_NAME):
            raise InvalidRange(f"{name!r} is no name of a band; give it one.")
        named = _named(kind, whole, text)
        found = _common(left, named)
        if not found or found != _common(usable, named):
            raise InvalidRange(
                f"Band {name!r} ({text}) overlaps another one, or nothing of it is in the pool; "
                "choose another range.",
                details={"band": name, "range": text},
            )
        bands[name], left = found, without(left, found)
    return bands


def _common(spans: Iterable[Span], part: Span) -> tuple[Span, ...]:
    clipped = ((max(first, part[0]), min(last, part[1])) for first, last in spans)
    return tuple((first, last) for first, last in clipped if first <= last)
