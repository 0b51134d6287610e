"""Values of our pools that are in use in the source: nobody here gets them.

A value in use there is an allocation here, owned by `source:NAME:VALUE`, and given back when the object is gone. One
that rests here after a customer of ours is cut out of the pool instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, and_, or_, select, update

from inventory import allocator
from inventory.errors import ValueQuarantined
from inventory.sources.errors import SourceConflict
from inventory.sources.objects import PoolRef, Tally, forget, keep, pool_ref
from inventory.sources.parts import Part, cut
from inventory.sources.port import Collection
from inventory.sources.register import Source
from inventory.tables import allocation, pool_span, source_change
from inventory.tables import source_object as table
from store import Tx
from store.errors import TurnupError

_LISTED = 500


@dataclass(frozen=True, slots=True)
class Use:
    """A value that an object of the source uses. `ours`: we wrote the object, so it only shows what we know."""

    collection: Collection
    id: str
    text: str
    holder: str | None = None
    ours: bool = False


def hold(tx: Tx, source: Source, pool: PoolRef, uses: Sequence[Use], tally: Tally) -> None:
    """Hold the values of a page of objects; what is held already costs no statement of its own."""
    for some in _slices(uses):
        _Page(tx, source, pool, some, tally).hold()


class _Page:
    def __init__(
        self, tx: Tx, source: Source, pool: PoolRef, uses: Sequence[Use], tally: Tally
    ) -> None:
        self._tx, self._source, self._pool, self._tally = tx, source, pool, tally
        self._values = {use: value for use in uses if (value := self._value(use)) is not None}
        numbers = set(self._values.values())
        self._holders = _holders(tx, pool.number, numbers)
        self._inside = _inside(tx, pool.number, numbers)
        self._waiting = _changes(tx, source.name, pool.number, numbers)
        self._known = _rows(tx, source.name, uses)

    def hold(self) -> None:
        same: list[Use] = []
        for use, value in self._values.items():
            row = self._known.get((use.collection, use.id))
            if value not in self._inside:
                self._tally.count("outside")
                if row is not None and row["role"] == "excluded":
                    same.append(use)
            elif use.ours and (value in self._holders or value in self._waiting):
                self._tally.count("ours")
            elif self._take(use, value):
                self._moved(row, value)
                if row is not None and self._is(row, value):
                    same.append(use)
                else:
                    self._keep(use, value)
        _seen(self._tx, self._source, same)

    def _value(self, use: Use) -> int | None:
        try:
            return self._pool.value(self._pool.unit(use.text))
        except (ValueError, TurnupError):
            self._tally.count("outside")
            return None

    def _owner(self, value: int) -> str:
        return f"{self._source.holder}{value}"

    def _is(self, row: RowMapping, value: int) -> bool:
        return (row["role"], row["pool"], row["value"]) == ("held", self._pool.number, value)

    def _moved(self, row: RowMapping | None, value: int) -> None:
        """An object that now stands for another value holds the former one no more."""
        if row is not None and row["role"] == "held" and not self._is(row, value):
            forget(self._tx, self._source.name, row["collection"], row["id"])
            release(self._tx, self._source, row)

    def _take(self, use: Use, value: int) -> bool:
        holder = self._holders.get(value)
        if holder is None:
            return self._taken(use, value)
        if holder == self._owner(value):
            return True
        said = use.holder or "somebody"
        self._tally.find(
            SourceConflict.code,
            f"{use.text} of pool {self._pool.id} belongs to {holder!r} here and to {said!r} in {self._source.name}; "
            "move one of them.",
            object=f"{use.collection} {use.id}",
        )
        return False

    def _taken(self, use: Use, value: int) -> bool:
        if use.ours:
            self._tally.find(
                SourceConflict.code,
                f"{use.text} carries our mark in {self._source.name}, but nobody holds it here (a restored database?); "
                "it is kept from others.",
                object=f"{use.collection} {use.id}",
            )
        try:
            with self._tx.savepoint():
                allocator.take(
                    self._tx,
                    kind=self._pool.kind,
                    scope=self._pool.scope,
                    owner=self._owner(value),
                    subject=self._owner(value),
                    value=value,
                    state="active",
                    reason={
                        "source": self._source.name,
                        "object": f"{use.collection} {use.id}",
                        "holder": use.holder,
                    },
                )
        except ValueQuarantined:
            part = Part(use.collection, use.id, self._pool.unit(use.text), whole=True)
            cut(self._tx, self._source, self._pool, [part], self._tally)
            return False
        except TurnupError as error:
            self._tally.refuse(error, use.collection, use.id)
            return False
        self._holders[value] = self._owner(value)
        self._tally.count("held")
        return True

    def _keep(self, use: Use, value: int) -> None:
        details = {"text": use.text, "holder": use.holder}
        keep(
            self._tx,
            self._source,
            use.collection,
            use.id,
            "held",
            pool=self._pool.number,
            value=value,
            details=details,
        )


def release(tx: Tx, source: Source, row: RowMapping) -> bool:
    """Give a value back that an object held, unless another object of the source uses it, too."""
    others = select(table.c.id).where(
        table.c.source == source.name,
        table.c.role == "held",
        table.c.pool == row["pool"],
        table.c.value == row["value"],
    )
    if tx.row(others) is not None:
        return False
    owner = f"{source.holder}{row['value']}"
    held = allocator.allocations(tx, owner=owner, pool=pool_ref(tx, row["pool"]).id)
    if not held:
        return False
    allocator.release_by_api(tx, held[0].pool, owner)
    return True


def _slices(uses: Sequence[Use]) -> Iterable[Sequence[Use]]:
    return (uses[n : n + _LISTED] for n in range(0, len(uses), _LISTED))


def _holders(tx: Tx, pool: int, values: Iterable[int]) -> dict[int, str]:
    query = select(allocation.c.value, allocation.c.owner).where(
        allocation.c.pool == pool,
        allocation.c.valid_to.is_(None),
        allocation.c.value.in_(sorted(values)),
        or_(allocation.c.expires_at.is_(None), allocation.c.expires_at > tx.now),
    )
    return {row.value: row.owner for row in tx.rows(query)}


def _inside(tx: Tx, pool: int, values: set[int]) -> set[int]:
    if not values:
        return set()
    query = select(pool_span.c.first, pool_span.c.last).where(
        pool_span.c.pool == pool,
        pool_span.c.valid_to.is_(None),
        and_(pool_span.c.last >= min(values), pool_span.c.first <= max(values)),
    )
    spans = [(row.first, row.last) for row in tx.rows(query)]
    return {value for value in values if any(first <= value <= last for first, last in spans)}


def _changes(tx: Tx, source: str, pool: int, values: Iterable[int]) -> set[int]:
    query = select(source_change.c.value).where(
        source_change.c.source == source,
        source_change.c.pool == pool,
        source_change.c.value.in_(sorted(values)),
    )
    return {row.value for row in tx.rows(query)}


def _rows(tx: Tx, source: str, uses: Sequence[Use]) -> dict[tuple[str, str], RowMapping]:
    found: dict[tuple[str, str], RowMapping] = {}
    for collection in {use.collection for use in uses}:
        ids = [use.id for use in uses if use.collection == collection]
        query = select(table).where(
            table.c.source == source, table.c.collection == collection, table.c.id.in_(ids)
        )
        found |= {(collection, row["id"]): row for row in tx.execute(query).mappings()}
    return found


def _seen(tx: Tx, source: Source, uses: Sequence[Use]) -> None:
    for collection in {use.collection for use in uses}:
        ids = [use.id for use in uses if use.collection == collection]
        seen = update(table).where(
            table.c.source == source.name, table.c.collection == collection, table.c.id.in_(ids)
        )
        tx.execute(seen.values(seen=source.run))
