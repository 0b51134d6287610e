"""Plain SQL on the raw cursor of a transaction: one text for both stores.

SQLAlchemy Core costs 2.4 (PostgreSQL) to 5.5 (SQLite) times the CPU of the same statements sent raw, which is
worth saving only where every order passes: the allocator.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from store import Rx

Row = tuple[Any, ...]


class Raw:
    """The raw cursor of a transaction. Texts use `?`, `{lock}` and `{skip}` (`{lock:a}`: of table a only)."""

    def __init__(self, rx: Rx) -> None:
        self._cursor = rx.cursor()
        self._dialect = rx.dialect
        self.waits = rx.dialect == "postgresql"
        """Whether other writers can be at work at the same time."""

    def run(self, sql: str, *params: object) -> int:
        """Run a statement and return how many rows it touched."""
        self._cursor.execute(_text(sql, self._dialect), params)
        return int(self._cursor.rowcount)

    def one(self, sql: str, *params: object) -> Row | None:
        """Return the first row of a query."""
        self._cursor.execute(_text(sql, self._dialect), params)
        row: Row | None = self._cursor.fetchone()
        return row

    def all(self, sql: str, *params: object) -> Sequence[Row]:
        """Return all rows of a query."""
        self._cursor.execute(_text(sql, self._dialect), params)
        rows: Sequence[Row] = self._cursor.fetchall()
        return rows

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run a statement once per row."""
        self._cursor.executemany(_text(sql, self._dialect), rows)


def loads(stored: Any) -> Any:
    """Return a JSON column: PostgreSQL's driver may have read it already, SQLite's has not."""
    return json.loads(stored) if isinstance(stored, str) else stored


_LOCKS = {
    "{lock}": "FOR UPDATE",
    "{skip}": "FOR UPDATE SKIP LOCKED",
    "{lock:a}": "FOR UPDATE OF a",
    "{skip:a}": "FOR UPDATE OF a SKIP LOCKED",
}


@cache
def _text(sql: str, dialect: str) -> str:
    for word, clause in _LOCKS.items():
        sql = sql.replace(word, "" if dialect == "sqlite" else clause)
    return sql if dialect == "sqlite" else sql.replace("?", "%s")
