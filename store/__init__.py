"""One database: metadata, transactions, clock, ids and the root of the error tree."""

from __future__ import annotations

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
