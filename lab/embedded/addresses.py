"""Addresses of a lab on loopback, claimed so that two labs never share one.

Where the whole of 127/8 is there (Linux) a lab claims 127.N.0.0/16, N in 64..254, and every node
has an address of its own. Elsewhere (macOS) it claims a range of ports of 127.0.0.1.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from lab.embedded.device import Ports
from lab.errors import LabError

BLOCKS = range(64, 255)
GUARD_PORT = 8899
FIRST_HOST = 10
PORT_BASE = 20000
PORTS_PER_LAB = 1000
PORT_LABS = range(30)
PORTS_PER_NODE = 3


@dataclass(frozen=True, slots=True)
class Block:
    """A claimed block; the guard socket keeps others out of it as long as the process lives."""

    number: int
    guard: socket.socket
    single_address: bool

    def node(self, index: int) -> tuple[str, Ports]:
        """Return host and ports of the index-th node."""
        if self.single_address:
            first = PORT_BASE + self.number * PORTS_PER_LAB + 1 + index * PORTS_PER_NODE
            if first + PORTS_PER_NODE > PORT_BASE + (self.number + 1) * PORTS_PER_LAB:
                raise LabError("LAB_START_FAILED", "too many nodes for one address")
            return "127.0.0.1", Ports(first, first + 1, first + 2)
        offset = FIRST_HOST + index
        return f"127.{self.number}.{offset >> 8}.{offset & 255}", Ports()


def claim(preferred: int | None) -> Block:
    """Claim the block that the lab had before, or the first that is free.

    Raises:
        LabError: LAB_START_FAILED, all are taken.
    """
    single = not _whole_loopback()
    numbers = PORT_LABS if single else BLOCKS
    for number in _candidates(numbers, preferred):
        guard = _bind(*_guard_address(number, single))
        if guard is not None:
            return Block(number, guard, single)
    raise LabError("LAB_START_FAILED", "all address blocks are taken: take a lab down")


def _candidates(numbers: range, preferred: int | None) -> Iterator[int]:
    if preferred is not None and preferred in numbers:
        yield preferred
    yield from (number for number in numbers if number != preferred)


def _guard_address(number: int, single: bool) -> tuple[str, int]:
    if single:
        return "127.0.0.1", PORT_BASE + number * PORTS_PER_LAB
    return f"127.{number}.0.1", GUARD_PORT


def _whole_loopback() -> bool:
    probe = _bind("127.64.0.1", 0)
    if probe:
        probe.close()
    return probe is not None


def _bind(host: str, port: int) -> socket.socket | None:
    # Listening, not only bound: SO_REUSEADDR of others does not get past a listener.
    guard = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        guard.bind((host, port))
        guard.listen(1)
    except OSError:
        guard.close()
        return None
    return guard
