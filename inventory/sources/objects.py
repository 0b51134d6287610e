"""What objects of a source are to us: pools, values in use, parts cut out of pools, devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Literal

from sqlalchemy import RowMapping, delete, insert, select, update

from inventory.sources.port import Collection
from inventory.sources.register import Source
from inventory.tables import pool as pool_table
from inventory.tables import source_object as table
from inventory.values.kinds import parse
from store import Rx, Tx
from store.errors import TurnupError

Role = Literal["pool", "held", "excluded", "device"]
_LISTED = 500


@dataclass(frozen=True, slots=True)
class PoolRef:
    """A pool as imports and writing back need it."""

    number: int
    id: str
    kind: str
    scope: str
    params: Mapping[str, Any]
    first: int
    last: int
    removed: bool

    @property
    def prefix_length(self) -> int | None:
        """Return the length of the prefixes that are its values; None when they are no prefixes."""
        length: int | None = self.params.get("prefixLength")
        return length

    def unit(self, text: str) -> str:
        """Return the value that an address or prefix lies in: itself, or the prefix of the pool's length."""
        if self.prefix_length is None:
            return text
        network = ip_network(text)
        wide = network.prefixlen <= self.prefix_length
        return str(network if wide else network.supernet(new_prefix=self.prefix_length))

    def value(self, text: str) -> int:
        """Return a value's number. Raises ValueInvalid."""
        return parse(self.kind, self.params, text)


@dataclass
class Tally:
    """What an import found and did; findings are for people, so only the first are kept."""

    counts: dict[str, int] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def count(self, what: str, by: int = 1) -> None:
        """Count something."""
        self.counts[what] = self.counts.get(what, 0) + by

    def find(self, code: str, message: str, **details: Any) -> None:
        """Note what somebody should look at."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append({"code": code, "message": message, **details})
        else:
            self.left_out += 1

    def refuse(self, error: TurnupError, collection: str, id_: str) -> None:
        """Note that a record was not taken, and why."""
        self.find(error.code, error.message, object=f"{collection} {id_}")


_MOST_FINDINGS = 1000


def pool_ref(rx: Rx, number: int) -> PoolRef:
    """Return a pool by its number, a removed one too."""
    return _ref(
        rx.execute(select(pool_table).where(pool_table.c.number == number)).mappings().one()
    )


def pool_by_id(rx: Rx, id_: str) -> PoolRef | None:
    """Return a pool that is there, or None."""
    query = select(pool_table).where(pool_table.c.id == id_, pool_table.c.removed.is_(None))
    row = rx.execute(query).mappings().first()
    return None if row is None else _ref(row)


def _ref(row: RowMapping) -> PoolRef:
    return PoolRef(
        number=row["number"],
        id=row["id"],
        kind=row["kind"],
        scope=row["scope"],
        params=row["params"],
        first=row["first"],
        last=row["last"],
        removed=row["removed"] is not None,
    )


def known(rx: Rx, source: str, collection: Collection, id_: str) -> RowMapping | None:
    """Return what an object is to us, or None."""
    query = select(table).where(*_one(source, collection, id_))
    return rx.execute(query).mappings().first()


def keep(
    tx: Tx,
    source: Source,
    collection: Collection,
    id_: str,
    role: Role,
    *,
    pool: int | None = None,
    value: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep what an object is to us, seen in this run."""
    row = {"role": role, "pool": pool, "value": value, "details": dict(details or {})}
    row |= {"seen": source.run}
    changed = update(table).where(*_one(source.name, collection, id_)).values(**row)
    if not tx.execute(changed).rowcount:
        key = {"source": source.name, "collection": collection, "id": id_}
        tx.execute(insert(table).values(**key, **row))


def forget(tx: Tx, source: str, collection: Collection, id_: str) -> None:
    """Forget an object that is gone."""
    tx.execute(delete(table).where(*_one(source, collection, id_)))


def unseen(rx: Rx, source: Source, role: Role) -> list[RowMapping]:
    """Return the objects of a role that this run did not see."""
    query = select(table).where(
        table.c.source == source.name, table.c.role == role, table.c.seen < source.run
    )
    return list(rx.execute(query).mappings())


def known_pools(rx: Rx, source: Source) -> list[RowMapping]:
    """Return the objects that are pools."""
    query = select(table).where(table.c.source == source.name, table.c.role == "pool")
    return list(rx.execute(query).mappings())


def _one(source: str, collection: str, id_: str) -> tuple[Any, ...]:
    return table.c.source == source, table.c.collection == collection, table.c.id == id_
