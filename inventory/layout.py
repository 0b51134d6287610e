"""What a new pool contains: spans of values from a range, a prefix, or single values of stock. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from inventory.errors import InvalidPrefix, InvalidRange
from inventory.kinds import Kind, parse

Span = tuple[int, int]
_MAX_INDEX_BITS = 62
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Content:
    """What to put into a pool: one of a range, a prefix, values; nothing = the kind's whole range."""

    first: int | None = None
    last: int | None = None
    prefix: str | None = None
    prefix_length: int | None = None
    values: Sequence[str] | None = None
    technology: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The spans of a pool, in order and disjoint, and the parameters that render its values."""

    spans: tuple[Span, ...]
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """Return the lowest value (0 for empty stock)."""
        return self.spans[0][0] if self.spans else 0

    @property
    def last(self) -> int:
        """Return the highest value (-1 for empty stock)."""
        return self.spans[-1][1] if self.spans else -1

    @property
    def capacity(self) -> int:
        """Return the number of values."""
        return sum(last - first + 1 for first, last in self.spans)


def layout(kind: Kind, content: Content) -> Layout:
    """Return what a pool of this kind contains.

    Raises:
        InvalidPrefix: INVALID_PREFIX, malformed, with host bits, wrong family or length, nothing usable.
        InvalidRange: INVALID_RANGE, missing, empty, or outside what the kind has.
        ValueInvalid: VALUE_INVALID, a stock value that is none of the kind.

    """
    if kind.stock:
        return Layout(stock_spans(kind, content.values or ()))
    if content.values is not None:
        raise InvalidRange(f"Kind {kind.name} has no single values; give first and last.")
    if content.prefix is not None:
        return _from_prefix(kind, content.prefix, content.prefix_length)
    return _from_range(kind, content)


def stock_spans(kind: Kind, values: Iterable[str]) -> tuple[Span, ...]:
    """Return one span per distinct value, in order. Raises ValueInvalid."""
    numbers = sorted({parse(kind.name, {}, value) for value in values})
    return tuple((number, number) for number in numbers)


def _from_range(kind: Kind, content: Content) -> Layout:
    limits = kind.limits(content.technology) if _limited(kind, content) else None
    first = content.first if content.first is not None else limits and limits[0]
    last = content.last if content.last is not None else limits and limits[1]
    if first is None or last is None:
        needs = "a prefix" if kind.domain else "first and last"
        raise InvalidRange(f"A pool of kind {kind.name} needs {needs}.")
    low, high = limits or (0, _INT64 - 1)
    if not low <= first <= last <= high:
        raise InvalidRange(
            f"{first}..{last} is no range of kind {kind.name}; give first and last within {low}..{high}.",
            details={"first": first, "last": last, "lowest": low, "highest": high},
        )
    return Layout(((first, last),), _technology(content.technology))


def _limited(kind: Kind, content: Content) -> bool:
    explicit = content.first is not None and content.last is not None
    return not (kind.ranges and explicit and content.technology is None)


def _technology(technology: str | None) -> dict[str, str]:
    return {} if technology is None else {"technology": technology}


def _from_prefix(kind: Kind, prefix: str, length: int | None) -> Layout:
    network = _network(kind, prefix)
    match network:
        case IPv4Network():
            return _addresses(kind, network)
        case IPv6Network():
            return _prefixes(kind, network, length)


def _network(kind: Kind, prefix: str) -> IPv4Network | IPv6Network:
    families: dict[str, type[IPv4Network | IPv6Network]] = {
        "ipv4": IPv4Network,
        "ipv6-prefix": IPv6Network,
    }
    if kind.render not in families:
        raise InvalidPrefix(f"Kind {kind.name} has no prefixes; give first and last.")
    try:
        network = ip_network(prefix)
    except ValueError as error:
        raise _wrong(prefix, str(error)) from None
    if not isinstance(network, families[kind.render]):
        raise _wrong(prefix, f"kind {kind.name} has prefixes of the other IP version")
    return network


def _addresses(kind: Kind, network: IPv4Network) -> Layout:
    first = int(network.network_address) + kind.exclude_first
    last = int(network.broadcast_address) - kind.exclude_last
    if first > last:
        raise _wrong(str(network), "no address is left after network, gateway and broadcast")
    params = {"prefix": str(network), "gateway": str(network[1])}
    return Layout(((first, last),), params)


def _prefixes(kind: Kind, network: IPv6Network, length: int | None) -> Layout:
    wanted = length or kind.length or network.prefixlen
    bits = wanted - network.prefixlen
    if not 0 <= bits <= _MAX_INDEX_BITS or wanted > network.max_prefixlen:
        raise _wrong(str(network), f"it cannot be cut into prefixes of length {wanted}")
    params = {"prefix": str(network), "prefixLength": wanted}
    return Layout(((0, (1 << bits) - 1),), params)


def _wrong(prefix: str, why: str) -> InvalidPrefix:
    return InvalidPrefix(
        f"{prefix!r} is not valid here: {why}. Write network/length, such as 100.64.0.0/20.",
        details={"prefix": prefix},
    )
