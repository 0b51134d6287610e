"""Pool kinds, read from `kinds.yaml`: how values are written, which exist, how they are handed out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from inventory.errors import InvalidRange, KindUnknown, ValueInvalid

Rendering = Literal["integer", "ipv4", "ipv6-prefix", "onu-serial"]
Reuse = Literal["lowest", "oldest"]

_SERIAL = re.compile(r"[!-~]{4}[0-9A-Fa-f]{8}")
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_ADDRESS_BITS = 128


@dataclass(frozen=True, slots=True)
class Kind:
    """What all pools of one kind have in common; see the head of `kinds.yaml`."""

    name: str
    render: Rendering
    range: tuple[int, int] | None = None
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    per_port: bool = False
    on_demand: bool = False
    stock: bool = False
    exclude_first: int = 0
    exclude_last: int = 0
    length: int | None = None
    domain: str | None = None
    quarantine: int = 0
    reuse: Reuse = "lowest"

    def limits(self, technology: str | None = None) -> tuple[int, int] | None:
        """Return the first and last value that exist (None: any). Raises InvalidRange."""
        if not self.ranges:
            return self.range
        if technology is not None and technology in self.ranges:
            return self.ranges[technology]
        raise InvalidRange(
            f"Pools of kind {self.name} need a technology; use one of {', '.join(self.ranges)}.",
            details={"kind": self.name, "technology": technology},
        )


def kind(name: str) -> Kind:
    """Return a kind. Raises KindUnknown (KIND_UNKNOWN)."""
    known = kinds()
    if name not in known:
        raise KindUnknown(
            f"No pool kind {name!r}; use one of {', '.join(sorted(known))}.", details={"kind": name}
        )
    return known[name]


@cache
def kinds() -> Mapping[str, Kind]:
    """Return all kinds by name."""
    return {name: _kind(name, entry) for name, entry in _document()["kinds"].items()}


def technology(name: str) -> str:
    """Return an access technology as orders spell it (`xgs-pon` → `XGS-PON`)."""
    return str(_document()["technologies"].get(name.lower(), name))


def render(kind_name: str, params: Mapping[str, Any], value: int) -> str:
    """Return a value as people and devices write it.

    Args:
        kind_name: the pool's kind.
        params: the pool's parameters (`prefix` and `prefixLength` for pools of prefixes).
        value: 64-bit integer: the number, the IPv4 address, the index of the prefix in its parent,
            or the eight bytes of the ONU's serial (ITU-T G.984.3 §9.2.4.1, G.988).

    """
    match kind(kind_name).render:
        case "ipv4":
            return str(IPv4Address(value))
        case "ipv6-prefix":
            return _prefix_text(params, value)
        case "onu-serial":
            raw = value.to_bytes(8, "big")
            return raw[:4].decode("ascii") + raw[4:].hex().upper()
        case "integer":
            return str(value)


def parse(kind_name: str, params: Mapping[str, Any], text: str) -> int:
    """Return the integer of a value as people write it. Raises ValueInvalid (VALUE_INVALID)."""
    try:
        return _parse(kind(kind_name).render, params, text)
    except ValueError as error:
        raise ValueInvalid(
            f"{text!r} is no value of kind {kind_name}: {error}.",
            details={"kind": kind_name, "value": text},
        ) from None


def _parse(rendering: Rendering, params: Mapping[str, Any], text: str) -> int:
    match rendering:
        case "ipv4":
            return int(IPv4Address(text))
        case "ipv6-prefix":
            return _prefix_index(params, text)
        case "onu-serial":
            return _serial(text)
        case "integer":
            return _integer(text)


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("write an integer in decimal digits")
    return int(text)


def _serial(text: str) -> int:
    if not _SERIAL.fullmatch(text):
        raise ValueError("write four vendor letters and eight hexadecimal digits")
    return int.from_bytes(text[:4].encode("ascii") + bytes.fromhex(text[4:]), "big")


def _prefix_text(params: Mapping[str, Any], index: int) -> str:
    length = int(params["prefixLength"])
    base = int(IPv6Network(params["prefix"]).network_address)
    return str(IPv6Network((base + (index << (_ADDRESS_BITS - length)), length)))


def _prefix_index(params: Mapping[str, Any], text: str) -> int:
    parent, length = IPv6Network(params["prefix"]), int(params["prefixLength"])
    network = ip_network(text)
    if not isinstance(network, IPv6Network) or network.prefixlen != length:
        raise ValueError(f"write an IPv6 prefix of length {length}")
    offset = int(network.network_address) - int(parent.network_address)
    return offset >> (_ADDRESS_BITS - length)


@cache
def _document() -> Mapping[str, Any]:
    path = Path(__file__).with_name("kinds.yaml")
    document: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def _kind(name: str, entry: Mapping[str, Any]) -> Kind:
    exclude = entry.get("exclude", {})
    if entry["render"] not in get_args(Rendering):
        raise ValueError(f"kinds.yaml: {name} has an unknown rendering {entry['render']!r}")
    return Kind(
        name=name,
        render=entry["render"],
        range=_pair(entry.get("range")),
        ranges={tech: _bounds(pair) for tech, pair in entry.get("ranges", {}).items()},
        per_port=entry.get("perPort", False),
        on_demand=entry.get("onDemand", False),
        stock=entry.get("stock", False),
        exclude_first=exclude.get("first", 0),
        exclude_last=exclude.get("last", 0),
        length=entry.get("length"),
        domain=entry.get("domain"),
        quarantine=entry.get("quarantine", 0),
        reuse=entry.get("reuse", "lowest"),
    )


def _pair(entry: list[int] | None) -> tuple[int, int] | None:
    return None if entry is None else _bounds(entry)


def _bounds(entry: list[int]) -> tuple[int, int]:
    first, last = entry
    return first, last
