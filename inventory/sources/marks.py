"""Our mark on an object of a source: that it is ours, and who owns the value here."""

from __future__ import annotations

import hashlib

from inventory.sources.register import Source

_LONGEST = 200
"""NetBox's descriptions have 200 characters, Nautobot's 255."""
_DIGEST = 10


def mark(source: Source, owner: str) -> str:
    """Return the mark of a value; an owner too long for it is cut, and kept apart by a digest."""
    text = f"{_begin(source)}{owner}"
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(owner.encode()).hexdigest()[:_DIGEST]
    return f"{text[: _LONGEST - _DIGEST - 1]}#{digest}"


def is_ours(source: Source, text: str | None) -> bool:
    """Say whether this Turnup wrote the object that carries this text."""
    return text is not None and text.startswith(_begin(source))


def _begin(source: Source) -> str:
    return f"turnup {source.mark}: "
