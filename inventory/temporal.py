"""The questions that every table with history answers: which row was valid then, and who made it so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, Table, and_, insert, or_, select, update

from store import Rx, Tx

Match = Sequence[ColumnElement[bool]]


def valid_at(columns: Any, at: datetime | None) -> ColumnElement[bool]:
    """Return the condition that a row is the present one (`at` None) or was the valid one at `at`."""
    if at is None:
        present: ColumnElement[bool] = columns.valid_to.is_(None)
        return present
    return and_(columns.valid_from <= at, or_(columns.valid_to.is_(None), columns.valid_to > at))


def halves(columns: Any, at: datetime | None) -> list[ColumnElement[bool]]:
    """Return the same as conditions to be asked one after the other: each has a partial index, their OR has none."""
    present: ColumnElement[bool] = columns.valid_to.is_(None)
    if at is None:
        return [present]
    closed = and_(columns.valid_to.is_not(None), columns.valid_to > at)
    return [and_(present, columns.valid_from <= at), and_(closed, columns.valid_from <= at)]


def keep(tx: Tx, table: Table, match: Match, columns: dict[str, Any], by: str | None) -> bool:
    """Make the present row of a table with makers so; say whether there was none before.

    A row that changes is closed and followed by a new one at the same instant; the same again changes nothing.
    """
    now = tx.now
    present = tx.execute(select(table).where(table.c.valid_to.is_(None), *match)).mappings().first()
    if present is not None:
        if all(present[name] == value for name, value in columns.items()):
            return False
        close(tx, table, [table.c.row == present["row"]], by, now)
    tx.execute(insert(table).values(**columns, valid_from=now, made_by=by))
    return present is None


def close(tx: Tx, table: Table, match: Match, by: str | None, now: datetime | None = None) -> None:
    """End the present rows of a table with makers that match."""
    ended = update(table).where(table.c.valid_to.is_(None), *match)
    tx.execute(ended.values(valid_to=now or tx.now, ended_by=by))


def versions(rx: Rx, query: Select[Any], table: Table) -> Sequence[RowMapping]:
    """Return all rows that a query finds, oldest first."""
    return rx.execute(query.order_by(table.c.row)).mappings().all()
