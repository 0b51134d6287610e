"""What a pool gains when it grows: spans in its own numbering, what they occupy, and its new parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from inventory.errors import InvalidPrefix, InvalidRange
from inventory.values.kind import Kind
from inventory.values.layout import Content, Layout, layout, new_names, stock_spans, without
from inventory.values.renderings import (
    BITS,
    INDEX_BITS,
    Address4,
    Address6,
    Names,
    Params,
    Prefix,
    Route,
    Span,
)

_SUBNET = 64


@dataclass(frozen=True, slots=True)
class Gain:
    """What is added: spans of values, the values it occupies in its domain (ends of prefixes too), parameters."""

    spans: tuple[Span, ...]
    occupies: tuple[Span, ...]
    params: Mapping[str, Any]


def stock(kind: Kind, params: Params, present: Sequence[Span], values: Sequence[str]) -> Gain:
    """Return which of these single values, or names, a pool of stock does not have yet. Raises ValueInvalid."""
    if not isinstance(kind.form, Names):
        wanted = without(stock_spans(kind, values), present)
        return Gain(tuple(wanted), tuple(wanted), params)
    names = [*params.get("names", ()), *new_names(params, values)]
    numbers = {name: index for index, name in enumerate(names)}
    spans = without([(numbers[one], numbers[one]) for one in dict.fromkeys(values)], present)
    return Gain(tuple(spans), tuple(spans), {**params, "names": names})


def span(kind: Kind, params: Params, first: int | str, last: int | str) -> Gain:
    """Return a range of values. Raises InvalidRange, ValueInvalid: it is not the kind's."""
    content = Content(first, last, technology=params.get("technology"))
    if isinstance(kind.form, Prefix | Address6):
        length = params.get("prefixLength")
        content = replace(content, prefix=params["prefix"], prefix_length=length)
    elif isinstance(kind.form, Route):
        content = replace(content, prefix=params["administrator"])
    made = layout(kind, content)
    return Gain(made.spans, _occupied(kind, made, made.params), params)


def prefix(kind: Kind, params: Params, text: str, length: int | None) -> Gain:
    """Return the values of a prefix.

    Raises:
        InvalidPrefix: it is none of the kind, or cut into other lengths than the pool's.
        InvalidRange: its values cannot be numbered beside those the pool has.

    """
    made = layout(kind, Content(prefix=text, prefix_length=length or params.get("prefixLength")))
    if isinstance(kind.form, Address4):
        more = {name: made.params[name] for name in ("prefix", "gateway") if name in made.params}
        further = [*params.get("furtherPrefixes", ()), more]
        return Gain(
            made.spans, _occupied(kind, made, params), {**params, "furtherPrefixes": further}
        )
    wider = _wider(kind, params, made, text)
    shift = _distance(kind, wider, made)
    moved = tuple((first + shift, last + shift) for first, last in made.spans)
    return Gain(moved, _occupied(kind, made, wider), wider)


def _occupied(kind: Kind, made: Layout, params: Params) -> tuple[Span, ...]:
    """Return the values, as the pool counts them, whose places are occupied."""
    if made.places is None:
        return made.spans
    base, shift = kind.form.origin(params)
    return (((made.places[0] - base) >> shift, (made.places[1] - base) >> shift),)


def _distance(kind: Kind, params: Params, made: Layout) -> int:
    base, shift = kind.form.origin(params)
    start, own = kind.form.origin(made.params)
    if shift != own:
        raise InvalidPrefix(
            f"The pool hands out prefixes of length {params['prefixLength']}; give the same length.",
            details={"prefixLength": params["prefixLength"]},
        )
    return (start - base) >> shift


def _wider(kind: Kind, params: Params, made: Layout, text: str) -> Params:
    """Return the parameters with the smallest prefix that begins where the pool's does and has the new one, too."""
    match kind.form:
        case Prefix(family=family):
            bits, shortest = BITS[family], int(params["prefixLength"]) - INDEX_BITS
        case Address6():
            bits, shortest = BITS[6], _SUBNET
        case Route() if kind.form.origin(params) != kind.form.origin(made.params):
            raise InvalidPrefix(
                f"The pool's administrator is {params['administrator']}, not {text}."
            )
        case _:
            return params
    own, new = ip_network(params["prefix"]), ip_network(made.params["prefix"])
    base, end = int(own.network_address), int(new.broadcast_address)
    for length in range(own.prefixlen, max(shortest, 0) - 1, -1):
        places = 1 << (bits - length)
        if base % places:
            break
        if int(new.network_address) >= base and base + places > end:
            return {**params, "prefix": str(type(own)((base, length)))}
    raise InvalidRange(
        f"{text} cannot be counted from {params['prefix']}, whose values are numbered from its beginning; "
        "make a pool of its own.",
        details={"prefix": text, "pool": params["prefix"]},
    )
