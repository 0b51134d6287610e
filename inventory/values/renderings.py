"""How values are written: a small closed set of renderings, with parameters from `kinds.yaml`. Pure.

Inside, a value is an integer of 64 bits. A rendering turns it into what people and devices write, and back
(`parse(render(v)) == v`), and says where the value lies among those of other pools of its domain. What stands
here is passed by every order, so it uses the interpreter's own address conversions; the blocks that people write
when they make a pool are read in `blocks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, Literal, Protocol

Params = Mapping[str, Any]
Span = tuple[int, int]
Family = Literal[4, 6]

INT64_MAX = (1 << 63) - 1
INDEX_BITS = 62
"""Indices of addresses and prefixes stay below this many bits, so that no sum of sizes overflows."""
OUTSIDE = -1
"""The value of what is well written but lies outside the pool's prefix: no pool has it."""
BITS: Mapping[Family, int] = {4: 32, 6: 128}


class Rendering(Protocol):
    """One way of writing values; `params` are the pool's."""

    def render(self, params: Params, value: int) -> str:
        """Return the value as people and devices write it."""
        ...

    def parse(self, params: Params, text: str) -> int:
        """Return the value of a text. Raises ValueError, which says how to write it."""
        ...

    def limits(self, params: Params) -> Span:
        """Return the first and last value that can be written."""
        ...

    def origin(self, params: Params) -> tuple[int, int]:
        """Return (base, shift): value v covers the 2^shift places from base + v * 2^shift of its domain."""
        ...


class _Absolute:
    """A value is its own place."""

    def origin(self, params: Params) -> tuple[int, int]:  # noqa: ARG002
        return 0, 0


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Integer(_Absolute):
    """A number: `1001`."""

    def render(self, params: Params, value: int) -> str:  # noqa: ARG002
        return str(value)

    def parse(self, params: Params, text: str) -> int:  # noqa: ARG002
        if not _INTEGER.fullmatch(text):
            raise ValueError("write an integer in decimal digits, such as 1001")
        return fits(int(text))

    def limits(self, params: Params) -> Span:  # noqa: ARG002
        return 0, INT64_MAX


@dataclass(frozen=True, slots=True)
class Digits(_Absolute):
    """A string of digits: of one width (leading zeros kept) or of `least` to `most`, maybe with a check digit.

    The check digit is that of ISO/IEC 7812-1 (Luhn), as ITU-T E.118 asks of an ICCID; it is computed, not kept.
    """

    least: int
    most: int
    base: int = 10
    before: str = ""
    after: str = ""
    ignore: str = ""
    luhn: bool = False

    def render(self, params: Params, value: int) -> str:  # noqa: ARG002
        digits = f"{value:0{self.least}d}" if self.base == 10 else f"{value:0{self.least}X}"  # noqa: PLR2004
        check = luhn(digits) if self.luhn else ""
        return f"{self.before}{digits}{check}{self.after}"

    def parse(self, params: Params, text: str) -> int:  # noqa: ARG002
        body = self._body(text)
        wide = self.least != self.most
        if not _digits(self.base, self.least, self.most).fullmatch(body):
            raise ValueError(f"write {self.form}")
        if wide and len(body) > self.least and body.startswith("0"):
            raise ValueError(f"write {self.form}, not beginning with 0")
        return fits(int(body, self.base))

    def limits(self, params: Params) -> Span:  # noqa: ARG002
        return 0, min(INT64_MAX, self.base**self.most - 1)

    def begins(self, lead: str, width: int | None) -> Span:
        """Return the first and last value of all numbers of this width that begin so. Raises ValueError."""
        total = width or (self.least if self.least == self.most else 0)
        if not total:
            raise ValueError("say with the prefix length how many digits the numbers have")
        lead = lead.removeprefix(self.ignore)
        if not _digits(self.base, 1, total).fullmatch(lead) or not (
            self.least <= total <= self.most
        ):
            raise ValueError(f"write the leading digits of {self.form}")
        if self.least != self.most and lead.startswith("0"):
            raise ValueError("no number of this kind begins with 0")
        free = self.base ** (total - len(lead))
        return int(lead, self.base) * free, (int(lead, self.base) + 1) * free - 1

    @property
    def form(self) -> str:
        """Return how it is written, in words."""
        width = str(self.least) if self.least == self.most else f"{self.least} to {self.most}"
        name = "digits" if self.base == 10 else "hexadecimal digits"  # noqa: PLR2004
        with_check = " and their check digit" if self.luhn else ""
        around = f" as {self.before}…{self.after}" if self.before or self.after else ""
        return f"{width} {name}{with_check}{around}"

    def _body(self, text: str) -> str:
        bare = text.removeprefix(self.ignore)
        if not (bare.startswith(self.before) and bare.endswith(self.after)):
            raise ValueError(f"write {self.form}")
        bare = bare[len(self.before) : len(bare) - len(self.after)]
        if not self.luhn:
            return bare
        body, check = bare[:-1], bare[-1:]
        if not (body.isascii() and body.isdecimal() and len(body) >= self.least):
            raise ValueError(f"write {self.form}")
        if check != luhn(body):
            raise ValueError(f"its check digit is {check}, that of {body} is {luhn(body)}")
        return body


@dataclass(frozen=True, slots=True)
class Address4(_Absolute):
    """An IPv4 address (RFC 791): its 32 bits."""

    def render(self, params: Params, value: int) -> str:  # noqa: ARG002
        return inet_ntop(AF_INET, value.to_bytes(4, "big"))

    def parse(self, params: Params, text: str) -> int:  # noqa: ARG002
        return address(4, text)

    def limits(self, params: Params) -> Span:  # noqa: ARG002
        return 0, (1 << BITS[4]) - 1


@dataclass(frozen=True, slots=True)
class Address6:
    """An IPv6 address (RFC 4291, written as in RFC 5952): its number in the pool's prefix, /64 to /128."""

    def render(self, params: Params, value: int) -> str:
        return inet_ntop(AF_INET6, (_start(params) + value).to_bytes(16, "big"))

    def parse(self, params: Params, text: str) -> int:
        return _inside(address(6, text) - _start(params), self.limits(params))

    def limits(self, params: Params) -> Span:
        _, length = network(6, params["prefix"])
        return 0, (1 << min(INDEX_BITS, BITS[6] - length)) - 1

    def origin(self, params: Params) -> tuple[int, int]:
        return _start(params), 0


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix of the pool's `prefixLength`: its number in the pool's `prefix`."""

    family: Family

    def render(self, params: Params, value: int) -> str:
        base, shift = self.origin(params)
        packed = (base + (value << shift)).to_bytes(BITS[self.family] // 8, "big")
        kind = AF_INET if self.family == 4 else AF_INET6  # noqa: PLR2004
        return f"{inet_ntop(kind, packed)}/{params['prefixLength']}"

    def parse(self, params: Params, text: str) -> int:
        length = int(params["prefixLength"])
        try:
            start, found = network(self.family, text)
        except ValueError:
            found = -1
        if found != length:
            raise ValueError(f"write an IPv{self.family} prefix of length {length}")
        base, shift = self.origin(params)
        return _inside((start - base) >> shift, self.limits(params))

    def limits(self, params: Params) -> Span:
        _, length = network(self.family, params["prefix"])
        return 0, (1 << (int(params["prefixLength"]) - length)) - 1

    def origin(self, params: Params) -> tuple[int, int]:
        return _start(params, self.family), BITS[self.family] - int(params["prefixLength"])


_SERIAL = re.compile(r"[!-~]{4}[0-9A-Fa-f]{8}")


@dataclass(frozen=True, slots=True)
class Serial(_Absolute):
    """The serial of an ONU (ITU-T G.984.3 §9.2.4.1, G.988): four letters of the vendor, eight hexadecimal digits."""

    def render(self, params: Params, value: int) -> str:  # noqa: ARG002
        raw = value.to_bytes(8, "big")
        return raw[:4].decode("ascii") + raw[4:].hex().upper()

    def parse(self, params: Params, text: str) -> int:  # noqa: ARG002
        if not _SERIAL.fullmatch(text):
            raise ValueError("write four vendor letters and eight hexadecimal digits")
        return int.from_bytes(text[:4].encode("ascii") + bytes.fromhex(text[4:]), "big")

    def limits(self, params: Params) -> Span:  # noqa: ARG002
        return 0x21212121_00000000, 0x7E7E7E7E_FFFFFFFF


@dataclass(frozen=True, slots=True)
class Names(_Absolute):
    """One of the pool's `names` (ports of a device, racks …): its number in that list."""

    def render(self, params: Params, value: int) -> str:
        return str(params["names"][value])

    def parse(self, params: Params, text: str) -> int:
        names = params.get("names", ())
        return int(names.index(text)) if text in names else OUTSIDE

    def limits(self, params: Params) -> Span:
        return 0, len(params.get("names", ())) - 1


_ROUTE = re.compile(r"(?:([012]):)?([0-9.]{1,15}):([0-9]{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Route:
    """A route distinguisher or route target (RFC 4364 §4.2, RFC 4360 §3): the number its `administrator` gave.

    An administrator of two bytes (an AS) gives numbers of 32 bits, an IPv4 address or an AS of four bytes numbers
    of 16. The form of RFC 8294 with the type before it (`0:65000:100`) is read, too.
    """

    def render(self, params: Params, value: int) -> str:
        return f"{params['administrator']}:{value}"

    def parse(self, params: Params, text: str) -> int:
        found = _ROUTE.fullmatch(text)
        example = f"write {params.get('administrator', '65000')}:100"
        if not found:
            raise ValueError(example)
        kind, whose, number = found.groups()
        type_, administrator = route_administrator(whose)
        if (kind and int(kind) != type_) or int(number) > _route_most(type_):
            raise ValueError(f"{example}, with at most {_route_most(type_)} after the colon")
        same = (type_, administrator) == route_administrator(params["administrator"])
        return int(number) if same else OUTSIDE

    def limits(self, params: Params) -> Span:
        return 0, _route_most(route_administrator(params["administrator"])[0])

    def origin(self, params: Params) -> tuple[int, int]:
        type_, administrator = route_administrator(params["administrator"])
        return type_ << 48 | administrator << (32 if type_ == 0 else 16), 0


_NSSAI = re.compile(r"(0|[1-9][0-9]{0,2})(?:-([0-9A-Fa-f]{6}))?", re.ASCII)
NO_SD = 0xFFFFFF
"""The slice differentiator that stands for none (TS 23.003 §28.4.2)."""


@dataclass(frozen=True, slots=True)
class Nssai(_Absolute):
    """A network slice (S-NSSAI, TS 23.003 §28.4): type SST of 8 bits, differentiator SD of 24.

    Written as TS 29.571 §5.4.4.2 writes it in strings: `1` or `1-0000A1`.
    """

    def render(self, params: Params, value: int) -> str:  # noqa: ARG002
        sst, sd = value >> 24, value & NO_SD
        return str(sst) if sd == NO_SD else f"{sst}-{sd:06X}"

    def parse(self, params: Params, text: str) -> int:  # noqa: ARG002
        found = _NSSAI.fullmatch(text)
        if not found or int(found[1]) > 255:  # noqa: PLR2004
            raise ValueError(
                "write the SST (0 to 255), alone or with -SD in six hexadecimal digits: 1-0000A1"
            )
        return int(found[1]) << 24 | (NO_SD if found[2] is None else int(found[2], 16))

    def limits(self, params: Params) -> Span:  # noqa: ARG002
        return 0, (1 << 32) - 1


def luhn(digits: str) -> str:
    """Return the check digit of ISO/IEC 7812-1 for a string of decimal digits."""
    doubled = (int(d) * 2 if n % 2 == 0 else int(d) for n, d in enumerate(reversed(digits)))
    return str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def fits(value: int) -> int:
    """Return the value. Raises ValueError when it has more than 63 bits."""
    if not -INT64_MAX <= value <= INT64_MAX:
        raise ValueError(f"write a number up to {INT64_MAX}")
    return value


def address(family: Family, text: str) -> int:
    """Return the bits of an address. Raises ValueError."""
    read: Callable[[str], IPv4Address | IPv6Address] = IPv4Address if family == 4 else IPv6Address  # noqa: PLR2004
    try:
        # a zone index (RFC 4007) would be read and lost
        return int(read(text.replace("%", " ")))
    except ValueError:
        example = "100.64.0.9" if family == 4 else "2001:db8::9"  # noqa: PLR2004
        raise ValueError(f"write an IPv{family} address, such as {example}") from None


@lru_cache(maxsize=4096)
def network(family: Family, text: str) -> Span:
    """Return the first address and the length of a prefix. Raises ValueError: malformed, or with host bits."""
    start, slash, length = text.partition("/")
    if not (slash and length.isascii() and length.isdecimal() and int(length) <= BITS[family]):
        raise ValueError(f"write an IPv{family} prefix as network/length")
    first = address(family, start)
    if first & ((1 << (BITS[family] - int(length))) - 1):
        raise ValueError("it has bits set after its length")
    return first, int(length)


@lru_cache(maxsize=4096)
def route_administrator(text: str) -> tuple[int, int]:
    """Return type (RFC 4364: 0, 1, 2) and number of an administrator. Raises ValueError."""
    if "." in text:
        return 1, address(4, text)
    if not (_INTEGER.fullmatch(text) and 0 <= int(text) < 1 << 32):
        raise ValueError("write an AS number or an IPv4 address, such as 65000 or 192.0.2.1")
    return (0 if int(text) < 1 << 16 else 2), int(text)


def _route_most(type_: int) -> int:
    return (1 << (32 if type_ == 0 else 16)) - 1


def _start(params: Params, family: Family = 6) -> int:
    return network(family, params["prefix"])[0]


def _inside(value: int, limits: Span) -> int:
    return value if limits[0] <= value <= limits[1] else OUTSIDE


@lru_cache(maxsize=64)
def _digits(base: int, least: int, most: int) -> re.Pattern[str]:
    letters = "0-9" if base == 10 else "0-9A-Fa-f"  # noqa: PLR2004
    return re.compile(f"[{letters}]{{{least},{most}}}", re.ASCII)
