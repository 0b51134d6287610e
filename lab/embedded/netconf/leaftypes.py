"""Types of leaves (RFC 7950 §9): text in, canonical text out, or why not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Resolve = Callable[[str | None], str | None]
"""Prefix as written in the document -> prefix of the module in our schema, None: unknown."""


class Invalid(Exception):
    """The text is no value of the type."""


class LeafType(Protocol):
    """Turns the text of an element into its canonical form."""

    def canonical(self, text: str, resolve: Resolve) -> str:
        """Return the canonical text; raises Invalid."""


@dataclass(frozen=True, slots=True)
class Text:
    """string with length and pattern."""

    pattern: re.Pattern[str] | None
    length: tuple[int, int]

    def canonical(self, text: str, resolve: Resolve) -> str:  # noqa: ARG002
        """Return the text itself."""
        low, high = self.length
        if not low <= len(text) <= high:
            raise Invalid(f"{text!r} must have {low} to {high} characters")
        if self.pattern and not self.pattern.fullmatch(text):
            raise Invalid(f"{text!r} does not match {self.pattern.pattern!r}")
        return text


@dataclass(frozen=True, slots=True)
class Number:
    """Integers, with ranges as pairs."""

    ranges: tuple[tuple[int, int], ...]

    def canonical(self, text: str, resolve: Resolve) -> str:  # noqa: ARG002
        """Return the number without sign and zeros in front."""
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise Invalid(f"{text!r} is not a whole number")
        value = int(text)
        if not any(low <= value <= high for low, high in self.ranges):
            allowed = " or ".join(f"{low}..{high}" for low, high in self.ranges)
            raise Invalid(f"{value} is not in {allowed}")
        return str(value)


@dataclass(frozen=True, slots=True)
class OneOf:
    """enumeration, boolean; `empty` is the one value ''."""

    values: tuple[str, ...]

    def canonical(self, text: str, resolve: Resolve) -> str:  # noqa: ARG002
        """Return the text itself."""
        if text not in self.values:
            raise Invalid(f"{text!r} is not one of {', '.join(self.values) or 'nothing'}")
        return text


@dataclass(frozen=True, slots=True)
class Identity:
    """identityref: `prefix:name` with our prefix of the identity's module."""

    values: tuple[str, ...]

    def canonical(self, text: str, resolve: Resolve) -> str:
        """Return the identity with our prefix."""
        prefix, colon, name = text.rpartition(":")
        module = resolve(prefix if colon else None)
        if module is None:
            raise Invalid(f"prefix of {text!r} is not declared, or of a module not known here")
        if f"{module}:{name}" not in self.values:
            raise Invalid(f"{module}:{name} is not an identity allowed here")
        return f"{module}:{name}"


@dataclass(frozen=True, slots=True)
class Address:
    """ipv4-address, ipv6-address, ipv4-prefix, ipv6-prefix; a prefix has no host bits."""

    parse: Callable[[str], object]

    def canonical(self, text: str, resolve: Resolve) -> str:  # noqa: ARG002
        """Return the shortest form (RFC 5952)."""
        try:
            return str(self.parse(text))
        except ValueError as error:
            raise Invalid(str(error)) from None


@dataclass(frozen=True, slots=True)
class Union:
    """The first member that accepts the text."""

    members: tuple[LeafType, ...]

    def canonical(self, text: str, resolve: Resolve) -> str:
        """Return what the first fitting member makes of it."""
        reasons = []
        for member in self.members:
            try:
                return member.canonical(text, resolve)
            except Invalid as error:
                reasons.append(str(error))
        raise Invalid("; ".join(reasons))


UNLIMITED = (0, 1 << 62)
BUILT_IN: dict[str, LeafType] = {
    "string": Text(None, UNLIMITED),
    "boolean": OneOf(("true", "false")),
    "empty": OneOf(("",)),
    "uint8": Number(((0, 255),)),
    "uint16": Number(((0, 65535),)),
    "uint32": Number(((0, 2**32 - 1),)),
    "uint64": Number(((0, 2**64 - 1),)),
    "ipv4-address": Address(ipaddress.IPv4Address),
    "ipv6-address": Address(ipaddress.IPv6Address),
    "ipv4-prefix": Address(ipaddress.IPv4Network),
    "ipv6-prefix": Address(ipaddress.IPv6Network),
    "ip-prefix": Address(ipaddress.ip_network),
    "ip-address": Address(ipaddress.ip_address),
}


def define(declared: Mapping[str, Any]) -> dict[str, LeafType]:
    """Return built-in types and those of a model's `types:` section, each defined before use."""
    types = dict(BUILT_IN)
    for name, spec in declared.items():
        types[name] = _define(spec, types)
    return types


def _define(spec: Mapping[str, Any], types: Mapping[str, LeafType]) -> LeafType:
    match spec:
        case {"pattern": pattern, **rest}:
            return Text(re.compile(pattern), _length(rest))
        case {"length": _}:
            return Text(None, _length(spec))
        case {"range": ranges}:
            return Number(parse_ranges(str(ranges)))
        case {"enum": values}:
            return OneOf(tuple(values))
        case {"identity": values}:
            return Identity(tuple(values))
        case {"union": members}:
            return Union(tuple(types[member] for member in members))
        case _:
            raise ValueError(
                f"type {spec} is none of pattern, length, range, enum, identity, union"
            )


def _length(spec: Mapping[str, Any]) -> tuple[int, int]:
    return parse_ranges(str(spec["length"]))[0] if "length" in spec else UNLIMITED


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the pairs of `1..4094` or `20 | 40` (RFC 7950 §9.2.4)."""
    pairs = (part.strip().partition("..") for part in text.split("|"))
    return tuple((int(low), int(high) if dots else int(low)) for low, dots, high in pairs)
