"""Plain SQL on the raw cursor of a transaction: one text for both stores.

SQLAlchemy Core costs 2.4 (PostgreSQL) to 5.5 (SQLite) times the CPU of the same statements sent raw, which is
worth saving only where every order passes: the allocator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from inventory.errors import Contention
from store import Rx

Row = tuple[Any, ...]
_LOST_RACE = frozenset({"40P01", "40001"})
"""PostgreSQL's deadlock_detected and serialization_failure: it has rolled this transaction back."""


_TAKEN = "23505"


class UniqueViolation(Exception):
    """A unique index refused a row of a bulk; none of it was inserted."""


class Raw:
    """The raw cursor of a transaction. Texts use `?`, `{lock}`, `{skip}` (`{lock:a}`: of table a only), `{text:column}` (JSON as text)."""

    def __init__(self, rx: Rx) -> None:
        self._cursor = rx.cursor()
        self._dialect = rx.dialect
        self.waits = rx.dialect == "postgresql"
        """Whether other writers can be at work at the same time."""

    def run(self, sql: str, *params: object) -> int:
        """Run a statement and return how many rows it touched."""
        self._execute(sql, params)
        return int(self._cursor.rowcount)

    def one(self, sql: str, *params: object) -> Row | None:
        """Return the first row of a query."""
        self._execute(sql, params)
        row: Row | None = self._cursor.fetchone()
        return row

    def all(self, sql: str, *params: object) -> Sequence[Row]:
        """Return all rows of a query."""
        self._execute(sql, params)
        rows: Sequence[Row] = self._cursor.fetchall()
        return rows

    def insert(self, table: str, columns: str, types: Sequence[str], rows: Sequence[Row]) -> int:
        """Insert rows, leaving out those that a unique index refuses; return how many were inserted."""
        if not self.waits:
            sql = f"INSERT INTO {table} ({columns}) VALUES ({marks(len(types))}) ON CONFLICT DO NOTHING"
            self._cursor.executemany(sql, rows)
            return int(self._cursor.rowcount)
        arrays = ", ".join(f"?::{name}[]" for name in types)
        sql = (
            f"INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
        )
        return self.run(sql, *(list(column) for column in zip(*rows, strict=True)))

    def copy(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        """Insert many rows in PostgreSQL's bulk form, a third of the cost. Raises UniqueViolation."""
        try:
            with self._cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        except Exception as error:
            if getattr(error, "sqlstate", None) == _TAKEN:
                raise UniqueViolation from error
            raise

    def _execute(self, sql: str, params: tuple[object, ...]) -> None:
        try:
            self._cursor.execute(_text(sql, self._dialect), params)
        except Exception as error:
            if getattr(error, "sqlstate", None) in _LOST_RACE:
                raise Contention(
                    "Another transaction wanted the same values in another order; nothing was changed, try again."
                ) from error
            raise


def marks(count: int) -> str:
    """Return so many places for values, as `IN (…)` has them."""
    return ", ".join("?" * count)


def loads(stored: Any) -> Any:
    """Return a JSON column: PostgreSQL's driver may have read it already, SQLite's has not."""
    return json.loads(stored) if isinstance(stored, str) else stored


@lru_cache(maxsize=4096)
def params_of(stored: str) -> Mapping[str, Any]:
    """Return a pool's parameters, selected as `{text:…}`: the same few texts come again and again."""
    found: Mapping[str, Any] = json.loads(stored)
    return found


_LOCKS = {
    "{lock}": "FOR UPDATE",
    "{skip}": "FOR UPDATE SKIP LOCKED",
    "{lock:a}": "FOR UPDATE OF a",
    "{skip:a}": "FOR UPDATE OF a SKIP LOCKED",
}


_TEXT = re.compile(r"\{text:([a-z.]+)\}")


@lru_cache(maxsize=1024)
def _text(sql: str, dialect: str) -> str:
    for word, clause in _LOCKS.items():
        sql = sql.replace(word, "" if dialect == "sqlite" else clause)
    sql = _TEXT.sub(r"\1" if dialect == "sqlite" else r"\1::text", sql)
    return sql if dialect == "sqlite" else sql.replace("?", "%s")
