"""One database: metadata, transactions, clock, ids and the root of the error tree.

Names are loaded when they are first used: the command line needs errors and ids, but no SQLAlchemy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store.clock import Clock, ManualClock, SystemClock
    from store.database import Database, Rx, Tx
    from store.errors import Conflict, InvalidInput, NotFound, TurnupError
    from store.ids import new_id
    from store.types import Instant, Json, from_text, metadata, to_text

__all__ = [
    "Clock",
    "Conflict",
    "Database",
    "Instant",
    "InvalidInput",
    "Json",
    "ManualClock",
    "NotFound",
    "Rx",
    "SystemClock",
    "TurnupError",
    "Tx",
    "from_text",
    "metadata",
    "new_id",
    "to_text",
]

_HOMES = {
    **dict.fromkeys(("Clock", "ManualClock", "SystemClock"), "store.clock"),
    **dict.fromkeys(("Database", "Rx", "Tx"), "store.database"),
    **dict.fromkeys(("Conflict", "InvalidInput", "NotFound", "TurnupError"), "store.errors"),
    "new_id": "store.ids",
    **dict.fromkeys(("Instant", "Json", "from_text", "metadata", "to_text"), "store.types"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'store' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
