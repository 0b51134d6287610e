"""Arguments of commands: each parser gives the normalised texts, or None when the token does not fit.

More than one text means a command for several objects at once (`vlan 10-12`, `interface Et1-2`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from typing import Final

from lab.embedded.eos.numbers import format_numbers, parse_numbers

Texts = tuple[str, ...]
Parser = Callable[[str], Texts | None]

FIRST_VLAN: Final = 1
LAST_VLAN: Final = 4094
_KINDS: Final = {
    "e": "Ethernet", "et": "Ethernet", "eth": "Ethernet", "ethernet": "Ethernet",
    "ma": "Management", "management": "Management",
    "vl": "Vlan", "vlan": "Vlan",
    "lo": "Loopback", "loopback": "Loopback",
    "po": "Port-Channel", "port-channel": "Port-Channel",
}  # fmt: skip
_INTERFACE: Final = re.compile(r"([A-Za-z-]+?)(\d[\d,/.-]*)")
_MAX_NUMBER: Final = 65535


def parser_for(kind: str) -> Parser:
    """The parser of `<kind>`; KeyError when the grammar names a kind that does not exist."""
    name, _, limits = kind.partition(":")
    match name:
        case "int":
            first, _, last = limits.partition("-")
            return lambda token: _integer(token, int(first), int(last))
        case "choice":
            choices = limits.split("|")
            return lambda token: (token.lower(),) if token.lower() in choices else None
        case _:
            return _PARSERS[name]


def _integer(token: str, first: int, last: int) -> Texts | None:
    if not (token.isascii() and token.isdigit() and first <= int(token) <= last):
        return None
    return (str(int(token)),)


def _word(token: str) -> Texts | None:
    return (token,)


def _ipv4(token: str) -> Texts | None:
    try:
        return (str(IPv4Address(token)),)
    except AddressValueError:
        return None


def _prefix(token: str) -> Texts | None:
    """`A.B.C.D/M`; host bits are cleared, as EOS does."""
    if "/" not in token:
        return None
    try:
        return (str(IPv4Network(token, strict=False)),)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def _address(token: str) -> Texts | None:
    if "/" not in token:
        return None
    try:
        return (str(IPv4Interface(token)),)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def _vlan_list(token: str) -> frozenset[int] | None:
    return parse_numbers(token, FIRST_VLAN, LAST_VLAN)


def _vlans(token: str) -> Texts | None:
    numbers = _vlan_list(token)
    return None if numbers is None else tuple(str(number) for number in sorted(numbers))


def _vlan_set(token: str) -> Texts | None:
    numbers = _vlan_list(token)
    return None if numbers is None else (format_numbers(numbers),)


def interface_names(token: str) -> Texts | None:
    """`et1-2,5` → Ethernet1, Ethernet2, Ethernet5; one name of a module (`Ethernet1/1`) as it is."""
    match = _INTERFACE.fullmatch(token)
    kind = _KINDS.get(match[1].lower()) if match else None
    if match is None or kind is None:
        return None
    if set(match[2]) & set("/."):
        return (f"{kind}{match[2]}",)
    numbers = parse_numbers(match[2], 0, _MAX_NUMBER)
    return None if numbers is None else tuple(f"{kind}{number}" for number in sorted(numbers))


def _hop(token: str) -> Texts | None:
    if token.lower() == "null0":
        return ("Null0",)
    return _ipv4(token) or interface_names(token)


_PARSERS: Final[dict[str, Parser]] = {
    "word": _word,
    "text": _word,
    "ipv4": _ipv4,
    "prefix": _prefix,
    "address": _address,
    "vlans": _vlans,
    "vlan-set": _vlan_set,
    "interfaces": interface_names,
    "hop": _hop,
}
