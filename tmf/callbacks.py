"""Where events may be sent: no listener may make this server call into its own network (SSRF)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from tmf.errors import CallbackRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_MAX_URL = 2000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class CallbackPolicy:
    """Which addresses may be called: global ones, and those allowed here.

    Args:
        allow_loopback: the server itself is bound to loopback, so its users are on this machine.
        allow_networks: private networks in which listeners live, such as "10.20.0.0/16".

    """

    allow_loopback: bool = False
    allow_networks: tuple[str, ...] = ()

    def check_url(self, callback: str) -> SplitResult:
        """Check what can be checked without asking DNS (raises CallbackRefused)."""
        try:
            url = urlsplit(callback)
            port_is_valid = url.port != 0
        except ValueError as error:
            raise CallbackRefused(f"{callback!r} is no URL: {error}.") from None
        if url.scheme not in {"http", "https"} or not url.hostname or not port_is_valid:
            raise CallbackRefused(f"{callback!r} must be http://host/… or https://host/….")
        if url.username is not None or url.password is not None:
            raise CallbackRefused("A callback must not carry a user name or password; remove it.")
        if len(callback) > _MAX_URL or url.fragment:
            raise CallbackRefused(f"A callback has no fragment and at most {_MAX_URL} characters.")
        literal = _literal(url.hostname)
        if literal:
            self._check_address(literal, callback)
        return url

    def targets(self, callback: str) -> tuple[str, ...]:
        """Resolve a callback and return the addresses that may be called, all of them checked.

        Raises:
            CallbackRefused: the URL is wrong, its host unknown, or any of its addresses is refused.

        """
        url = self.check_url(callback)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise CallbackRefused(f"The host of {callback} cannot be resolved: {error}.") from None
        return self._checked((str(entry[4][0]) for entry in found), callback)

    def _checked(self, texts: Iterable[str], callback: str) -> tuple[str, ...]:
        unique = tuple(dict.fromkeys(texts))
        for text in unique:
            self._check_address(ipaddress.ip_address(text), callback)
        return unique

    def _check_address(self, address: Address, callback: str) -> None:
        inner = _inner(address)
        if inner.is_loopback and self.allow_loopback:
            return
        if any(inner in ipaddress.ip_network(network) for network in self.allow_networks):
            return
        if not inner.is_global or inner.is_multicast:
            raise CallbackRefused(
                f"{callback} leads to {address}, which is no public address. Use a public one, or have the network "
                "allowed in the server's settings."
            )


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
