"""What people write about blocks when they make or change pools: prefixes, ranges, exclusions. Read with netaddr.

netaddr is imported when the first block is read, not with the module: it costs as much time as the rest of the
inventory together, and whoever only takes values never needs it. Only its types of constant size are used
(IPNetwork, IPRange, glob), never an IPSet, which lists what it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from inventory.errors import InvalidPrefix, InvalidRange
from inventory.values.kind import Kind
from inventory.values.renderings import BITS, OUTSIDE, Family, Params, Span

if TYPE_CHECKING:
    from netaddr import IPNetwork

FAMILIES: Mapping[str, Family] = {"ipv4": 4, "ipv4-prefix": 4, "ipv6": 6, "ipv6-prefix": 6}
_EXAMPLES: Mapping[Family, str] = {4: "100.64.0.0/20", 6: "2001:db8:4000::/40"}
_LENGTH = re.compile(r"/([0-9]{1,3})", re.ASCII)


def network(family: Family, text: str) -> tuple[str, Span]:
    """Return a prefix in its usual form, and its first and last address.

    Raises:
        InvalidPrefix: INVALID_PREFIX, malformed, of the other IP version, or with host bits.

    """
    import netaddr

    try:
        read = netaddr.IPNetwork(text)
    except (ValueError, TypeError, netaddr.AddrFormatError):
        raise wrong_prefix(family, text, "it is malformed") from None
    if read.version != family:
        raise wrong_prefix(family, text, f"it is not IPv{family}")
    if read.ip != read.network:
        raise wrong_prefix(family, text, f"it has host bits set, {read.cidr} is the network")
    return str(read.cidr), (int(read.first), int(read.last))


def asked_length(family: Family, text: str) -> int | None:
    """Return 24 for `/24` (the next free prefix of that length); None for a whole prefix. Raises InvalidPrefix."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        return None
    if int(found[1]) > BITS[family]:
        raise wrong_prefix(family, text, f"IPv{family} has {BITS[family]} bits")
    return int(found[1])


def wrong_prefix(family: Family, text: str, why: str) -> InvalidPrefix:
    """Return the error for a prefix that cannot be used."""
    return InvalidPrefix(
        f"{text!r} is not valid here: {why}. Write network/length, such as {_EXAMPLES[family]}.",
        details={"prefix": text},
    )


def span(kind: Kind, params: Params, text: str) -> Span:
    """Return the first and last value that a text names or touches: a value, a range `a-b`, a prefix, a glob.

    Args:
        kind: the pool's kind.
        params: the pool's parameters.
        text: `1001`, `1001-1010`, `100.64.0.9`, `100.64.0.9-100.64.0.20`, `100.64.0.0/28`, `100.64.0.*`,
            `2001:db8::/56-2001:db8:0:300::/56`, `pon1` …

    Raises:
        InvalidRange: INVALID_RANGE, it is none of these, ends before it begins, or is of another prefix.

    """
    found = _span(kind, params, text.strip())
    if found is None:
        raise InvalidRange(
            f"{text!r} is no value, range or prefix of kind {kind.name}: write {_how(kind)}.",
            details={"kind": kind.name, "range": text},
        )
    return found


def _span(kind: Kind, params: Params, text: str) -> Span | None:
    one = _one(kind, params, text)
    if one is not None:
        return one
    for left, right in _halves(text):
        first, last = _one(kind, params, left), _one(kind, params, right)
        if first is not None and last is not None and first[0] <= last[1]:
            return first[0], last[1]
    return None


def _one(kind: Kind, params: Params, text: str) -> Span | None:
    family = FAMILIES.get(kind.render)
    if family is not None:
        return _touched(kind, params, _addresses(family, text))
    try:
        value = kind.form.parse(params, text)
    except ValueError:
        return None
    return None if value == OUTSIDE else (value, value)


def _addresses(family: Family, text: str) -> Span | None:
    """Return the first and last address of an address, a prefix or a glob."""
    import netaddr

    try:
        if family == 4 and "*" in text:  # noqa: PLR2004
            spread = netaddr.glob_to_iprange(text)
            return int(spread.first), int(spread.last)
        read: IPNetwork[Any] = netaddr.IPNetwork(text)
    except (ValueError, TypeError, netaddr.AddrFormatError):
        return None
    return (int(read.first), int(read.last)) if read.version == family else None


def _touched(kind: Kind, params: Params, addresses: Span | None) -> Span | None:
    if addresses is None:
        return None
    base, shift = kind.form.origin(params)
    first, last = ((place - base) >> shift for place in addresses)
    low, high = kind.form.limits(params)
    return (max(first, low), min(last, high)) if first <= high and low <= last else None


def _halves(text: str) -> Iterator[tuple[str, str]]:
    """Yield all ways to read a text as two ends: names and slices have hyphens of their own."""
    for separator in ("..", " - ", "-"):
        for found in re.finditer(re.escape(separator), text):
            yield text[: found.start()].strip(), text[found.end() :].strip()


def _how(kind: Kind) -> str:
    family = FAMILIES.get(kind.render)
    if family == 4:  # noqa: PLR2004
        return "100.64.0.9, 100.64.0.9-100.64.0.20, 100.64.0.* or 100.64.0.0/28, within the pool"
    if family == 6:  # noqa: PLR2004
        return "2001:db8::9, 2001:db8::9-2001:db8::20 or 2001:db8::/48, within the pool"
    return "a value of the pool, or first-last"
