"""Plain SQL on the transaction's raw cursor: the hot path of the engine costs a third of what Core does."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from store import Rx, Tx

Row = tuple[Any, ...]
STRIPES = 64


def run(rx: Rx, sql: str, *params: Any) -> Any:
    """Execute one statement written with `?` and return the cursor."""
    cursor = rx.cursor()
    cursor.execute(_written_for(rx.dialect, sql), params)
    return cursor


def rows(rx: Rx, sql: str, *params: Any) -> list[Row]:
    """Return all rows."""
    return run(rx, sql, *params).fetchall()  # type: ignore[no-any-return]


def row(rx: Rx, sql: str, *params: Any) -> Row | None:
    """Return the first row, or None."""
    return run(rx, sql, *params).fetchone()  # type: ignore[no-any-return]


def value(rx: Rx, sql: str, *params: Any) -> Any:
    """Return the first column of the first row, or None."""
    found = row(rx, sql, *params)
    return found[0] if found else None


def many(tx: Tx, sql: str, params: Sequence[Row]) -> None:
    """Execute one statement for each row of parameters."""
    if params:
        tx.cursor().executemany(_written_for(tx.dialect, sql), params)


def marks(values: Sequence[Any]) -> str:
    """Return `?, ?, ?` for an IN list."""
    return ", ".join("?" * len(values))


def dump(document: Any) -> str | None:
    """Write a JSON column. Raises TypeError: it is not JSON."""
    return None if document is None else json.dumps(document, separators=(",", ":"))


def load(rx: Rx, stored: Any) -> Any:
    """Read a JSON column: text on SQLite, already parsed on PostgreSQL."""
    # a column of type JSON has numeric affinity on SQLite: a bare number comes back as one, not as text
    return json.loads(stored) if isinstance(stored, str) and rx.dialect == "sqlite" else stored


def serialise_instances(tx: Tx, instances: Iterable[str]) -> None:
    """Let transactions that create orders on the same instance follow each other until they end.

    SQLite has one writer anyway; on PostgreSQL many names share few advisory locks, taken in sorted order.
    """
    if tx.dialect == "postgresql":
        for stripe in sorted({_hash(name) % STRIPES for name in instances}):
            run(tx, _LOCK, _INSTANCES, stripe)


def serialise_key(tx: Tx, key: str) -> None:
    """Let a wake and a wait of the same key follow each other: neither sees the other's uncommitted row."""
    if tx.dialect == "postgresql":
        run(tx, _LOCK, _KEYS, _hash(key))


_LOCK = "SELECT pg_advisory_xact_lock(?::int, ?::int)"
_INSTANCES, _KEYS = 0x6F7264, 0x6B6579  # "ord", "key"


def _hash(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


@lru_cache(maxsize=512)
def _written_for(dialect: str, sql: str) -> str:
    return sql if dialect == "sqlite" else sql.replace("?", "%s")
