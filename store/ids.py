"""Identifiers: short, unique, and sortable by the time they were made."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str = "") -> str:
    """Return a new id: 10 characters of milliseconds, 10 random ones (50 bits), in Crockford base 32.

    Ids made later sort later (to the millisecond), which keeps B-tree inserts at the right edge.
    """
    return prefix + _encode(time.time_ns() // 1_000_000, 10) + _encode(secrets.randbits(50), 10)


def _encode(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return "".join(reversed(digits))
