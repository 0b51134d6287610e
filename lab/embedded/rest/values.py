"""Checks of values: each says in words what is wrong, or None."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Network, NetmaskValueError
from typing import Any

from lab.embedded.rest.bodies import Check

_SERIAL = re.compile(r"[A-Z]{4}[0-9A-Fa-f]{8}")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def serial(value: Any) -> str | None:
    """An ONT's serial: vendor id and 8 hexadecimal digits (ITU-T G.984.3)."""
    return None if _SERIAL.fullmatch(value) else "must be 4 capital letters and 8 hex digits"


def identifier(value: Any) -> str | None:
    """Fit for a path."""
    return None if _NAME.fullmatch(value) else "must be 1..64 letters, digits or . _ : -"


def one_of(known: Iterable[str]) -> Check:
    """One of the names that the node knows."""
    names = tuple(known)
    return lambda value: None if value in names else f"{value!r} is unknown; known: {list(names)}"


def ipv4(value: Any) -> str | None:
    """An IPv4 address in dotted form."""
    try:
        IPv4Address(value)
    except AddressValueError:
        return "must be an IPv4 address"
    return None


def ipv6_prefix(value: Any) -> str | None:
    """An IPv6 prefix without host bits."""
    try:
        IPv6Network(value)
    except (AddressValueError, NetmaskValueError, ValueError):
        return "must be an IPv6 prefix without host bits"
    return None


def octets(first: int, last: int) -> Check:
    """Length in octets of UTF-8, as IEEE 802.11 counts an SSID."""

    def check(value: Any) -> str | None:
        length = len(value.encode("utf-8", "surrogatepass"))
        return None if first <= length <= last else f"must be {first}..{last} octets, not {length}"

    return check
