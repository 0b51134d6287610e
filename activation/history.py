"""Rows with history: closing the current one and opening the next, in one transaction with one instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, insert, update

from store import Tx, new_id


def close(tx: Tx, table: Table, **key: Any) -> None:
    """End the current rows with these column values."""
    tx.execute(update(table).where(_current(table, key)).values(valid_to=tx.now))


def open_row(
    tx: Tx, table: Table, order_id: str | None, item: str | None, values: Mapping[str, Any]
) -> None:
    """Begin a row."""
    tx.execute(
        insert(table).values(id=new_id(), valid_from=tx.now, order_id=order_id, item=item, **values)
    )


def _current(table: Table, key: Mapping[str, Any]) -> ColumnElement[bool]:
    conditions: Iterable[ColumnElement[bool]] = (
        table.c[name] == value for name, value in key.items()
    )
    return and_(table.c.valid_to.is_(None), *conditions)
