"""Who holds or uses a value of a pool: the resources behind its owner keys, counted and a page at a time."""

from __future__ import annotations

from datetime import datetime

from inventory.counting.usage import pool_row
from inventory.raw import Raw
from inventory.types import to_micros
from store import Rx


class Holders:
    """The holders of one pool's values, now or at a past time. Raises PoolNotFound."""

    def __init__(self, rx: Rx, pool: str, at: datetime | None) -> None:
        self._raw = Raw(rx)
        self._pool = int(pool_row(rx, pool)["number"])
        self._at = None if at is None else to_micros(at)

    def count(self, most: int | None = None) -> int:
        """Return how many values are held; counting stops at `most`."""
        where, params = self._valid()
        limit = "" if most is None else f" LIMIT {most}"
        sql = f"SELECT count(*) FROM (SELECT 1 FROM allocation WHERE {where}{limit}) AS held"
        return int(self._raw.all(sql, *params)[0][0])

    def all(self) -> set[str]:
        """Return the resources that hold or share a value."""
        where, params = self._valid()
        owners = self._raw.all(f"SELECT owner FROM allocation WHERE {where}", *params)
        users = self._raw.all(f'SELECT "user" FROM pool_user WHERE {where}', *params)
        return {resource_of(row[0]) for row in owners} | {row[0] for row in users}

    def some(self, offset: int, limit: int) -> set[str]:
        """Return the resources that hold some of the values, in the values' order."""
        where, params = self._valid()
        sql = f"SELECT owner FROM allocation WHERE {where} ORDER BY value LIMIT ? OFFSET ?"
        return {resource_of(row[0]) for row in self._raw.all(sql, *params, limit, offset)}

    def _valid(self) -> tuple[str, tuple[int, ...]]:
        if self._at is None:
            return "pool = ? AND valid_to IS NULL", (self._pool,)
        then = "valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"
        return f"pool = ? AND {then}", (self._pool, self._at, self._at)


def resource_of(owner: str) -> str:
    """Return the resource in an owner key `resource:characteristic:item`; the whole key when it is another's."""
    parts = owner.rsplit(":", 2)
    return parts[0] if len(parts) == 3 else owner  # noqa: PLR2004
