"""What should stand in a source about each value of its pools, and what does: one row per value.

Allocations are not followed one by one: `differing` compares what is held now with what was written. So nothing is lost
when two transactions commit in another order than their numbers say, what came and went between two pushes is
never sent, and the allocator knows nothing of sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    Update,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from inventory.sources.errors import SourceChangeNotFound
from inventory.sources.port import Status
from inventory.sources.register import Source
from inventory.tables import allocation, source_object
from inventory.tables import source_change as table
from store import Rx, Tx

State = Literal["waiting", "parked", "done"]
Wish = Literal["active", "reserved", "deprecated", "absent"]
_ABSENT: Wish = "absent"


@dataclass(frozen=True, slots=True)
class Change:
    """A value's row. `written`: what stands there as far as we know; `version` counts changes of what is wanted."""

    id: int
    source: str
    pool: int
    value: int
    owner: str
    wanted: Wish
    written: str | None
    object: str | None
    state: State
    version: int
    attempts: int
    due: datetime
    code: str | None
    message: str | None
    changed: datetime

    @property
    def status(self) -> Status | None:
        """Return the status to write; None: nothing should stand there."""
        return None if self.wanted == "absent" else self.wanted

    @property
    def content(self) -> str:
        """Return what `written` is when this is done."""
        return f"{self.wanted} {self.owner}"


# -- what should be ---------------------------------------------------------------------------------


Place = tuple[int, int]
"""Number of a pool, and a value of it."""


def differing(rx: Rx, source: Source) -> list[Place]:
    """Return the values about which something else should stand there than what was wanted so far.

    Reads all that is held in the source's pools and all that was wanted: nobody waits for it.
    """
    queries = (_held(rx, source), _gone(rx, source), _rested(rx, source))
    return [(row.pool, row.value) for query in queries for row in rx.rows(query)]


def bring(tx: Tx, source: Source, places: Sequence[Place]) -> int:
    """Bring the rows of some values up to date; return how many changed."""
    changed = 0
    for pool in dict.fromkeys(pool for pool, _ in places):
        values = [value for number, value in places if number == pool]
        changed += _bring(tx, source, pool, values)
    return changed


def _bring(tx: Tx, source: Source, pool: int, values: Sequence[int]) -> int:
    held = _held(tx, source).where(allocation.c.pool == pool, allocation.c.value.in_(values))
    found = tx.execute(held).mappings().all()
    new = [
        {"source": source.name, "pool": pool, "value": row["value"], "version": 1}
        | _wish(tx, row["wish"], row["owner"], None)
        for row in found
        if row["id"] is None
    ]
    if new:
        tx.execute(insert(table), new)
    for row in found:
        if row["id"] is not None:
            _want(tx, row, row["wish"], row["owner"])
    mine = table.c.pool == pool, table.c.value.in_(values)
    gone = tx.execute(_gone(tx, source).where(*mine)).mappings().all()
    for row in gone:
        until = _resting_until(tx, row) if source.rules.write_back.resting else None
        if until is not None and row["written"] is not None:
            _want(tx, row, "deprecated", row["owner"], until)
        else:
            _want(tx, row, _ABSENT, row["owner"])
    over = tx.execute(_rested(tx, source).where(*mine)).mappings().all()
    for row in over:
        _want(tx, row, _ABSENT, row["owner"])
    return len(found) + len(gone) + len(over)


def _held(rx: Rx, source: Source) -> Select[Any]:
    """What is held, and not wanted so yet."""
    wish = case((allocation.c.confirmed_at.is_(None), "reserved"), else_="active")
    return (
        select(
            allocation.c.pool,
            allocation.c.value,
            allocation.c.owner,
            wish.label("wish"),
            table.c.id,
        )
        .join(source_object, source_object.c.pool == allocation.c.pool)
        .outerjoin(table, _same_value(source))
        .where(
            source_object.c.source == source.name,
            source_object.c.role == "pool",
            _current(rx, source),
            or_(table.c.id.is_(None), table.c.wanted != wish, table.c.owner != allocation.c.owner),
        )
    )


def _gone(rx: Rx, source: Source) -> Select[Any]:
    """What is wanted there, and held no more."""
    held = and_(
        allocation.c.pool == table.c.pool,
        allocation.c.value == table.c.value,
        _current(rx, source),
    )
    return (
        select(table)
        .outerjoin(allocation, held)
        .where(
            table.c.source == source.name,
            table.c.wanted.in_(("active", "reserved")),
            allocation.c.id.is_(None),
        )
    )


def _rested(rx: Rx, source: Source) -> Select[Any]:
    """What has rested as long as it should."""
    return select(table).where(
        table.c.source == source.name, table.c.wanted == "deprecated", table.c.until <= rx.now
    )


def _same_value(source: Source) -> ColumnElement[bool]:
    return and_(
        table.c.source == source.name,
        table.c.pool == allocation.c.pool,
        table.c.value == allocation.c.value,
    )


def _current(rx: Rx, source: Source) -> ColumnElement[bool]:
    """What is held now, but for what the source itself holds."""
    theirs = func.substr(allocation.c.owner, 1, len(source.holder)) == source.holder
    return and_(
        allocation.c.valid_to.is_(None),
        or_(allocation.c.expires_at.is_(None), allocation.c.expires_at > rx.now),
        ~theirs,
    )


def _resting_until(tx: Tx, row: RowMapping) -> datetime | None:
    query = select(func.max(allocation.c.quarantine_until)).where(
        allocation.c.pool == row["pool"],
        allocation.c.value == row["value"],
        allocation.c.valid_to.is_not(None),
        allocation.c.quarantine_until > tx.now,
    )
    until: datetime | None = tx.scalar(query)
    return until


def _want(tx: Tx, row: RowMapping, wish: str, owner: str, until: datetime | None = None) -> None:
    # a row that nothing was written for is sent, too: a process may have died after the source's answer
    forgotten = {"version": table.c.version + 1, "code": None, "message": None}
    values = _wish(tx, wish, owner, until) | forgotten
    tx.execute(update(table).where(table.c.id == row["id"]).values(**values))


def _wish(tx: Tx, wish: str, owner: str, until: datetime | None) -> dict[str, Any]:
    return {
        "owner": owner,
        "wanted": wish,
        "until": until,
        "state": "waiting",
        "attempts": 0,
        "due": tx.now,
        "changed": tx.now,
    }


# -- what is -----------------------------------------------------------------------------------------


def due(rx: Rx, source: str, limit: int) -> list[Change]:
    """Return the changes to write now, the longest waiting first."""
    waiting = (table.c.source == source, table.c.state == "waiting", table.c.due <= rx.now)
    query = select(table).where(*waiting).order_by(table.c.due, table.c.id).limit(limit)
    return [_change(row) for row in rx.execute(query).mappings()]


def done(tx: Tx, change: Change, object_: str | None) -> None:
    """Note that a change stands there. When something else is wanted meanwhile, that waits still."""
    written = None if change.status is None else change.content
    known = update(table).where(table.c.id == change.id)
    tx.execute(known.values(written=written, object=object_))
    mine = known.where(table.c.version == change.version)
    tx.execute(mine.values(state="done", attempts=0, code=None, message=None))


def later(tx: Tx, change: Change, code: str, message: str, seconds: float) -> None:
    """Note that a change could not be written, and try again after some seconds."""
    at = tx.now + timedelta(seconds=seconds)
    tx.execute(
        _mine(change).values(attempts=table.c.attempts + 1, due=at, code=code, message=message)
    )


def park(tx: Tx, change: Change, code: str, message: str) -> None:
    """Note that a change is refused: somebody has to look, then `retry`."""
    tx.execute(
        _mine(change).values(
            state="parked", attempts=table.c.attempts + 1, code=code, message=message
        )
    )


def _mine(change: Change) -> Update:
    return update(table).where(table.c.id == change.id, table.c.version == change.version)


def retry(tx: Tx, source: str, id_: int) -> Change:
    """Let a parked or waiting change be tried at once. Raises SourceChangeNotFound."""
    known = (table.c.source == source, table.c.id == id_)
    again = update(table).where(*known, table.c.state != "done")
    tx.execute(again.values(state="waiting", attempts=0, due=tx.now))
    row = tx.execute(select(table).where(*known)).mappings().first()
    if row is None:
        raise SourceChangeNotFound(
            f"Source {source} has no change {id_}; list its changes for their numbers.",
            details={"source": source, "change": id_},
        )
    return _change(row)


def changes(
    rx: Rx, source: str, state: State | None = None, offset: int = 0, limit: int = 100
) -> list[Change]:
    """Return changes of a source (in one state), the latest first."""
    query = _of(source, state).order_by(table.c.changed.desc(), table.c.id.desc())
    return [_change(row) for row in rx.execute(query.offset(offset).limit(limit)).mappings()]


def count(rx: Rx, source: str) -> dict[State, int]:
    """Return how many changes are in which state."""
    query = select(table.c.state, func.count().label("number")).where(table.c.source == source)
    found = {row.state: int(row.number) for row in rx.rows(query.group_by(table.c.state))}
    states: Sequence[State] = ("waiting", "parked", "done")
    return {state: found.get(state, 0) for state in states}


def _of(source: str, state: State | None) -> Select[Any]:
    query = select(table).where(table.c.source == source)
    return query if state is None else query.where(table.c.state == state)


def _change(row: RowMapping) -> Change:
    return Change(
        id=row["id"],
        source=row["source"],
        pool=row["pool"],
        value=row["value"],
        owner=row["owner"],
        wanted=row["wanted"],
        written=row["written"],
        object=row["object"],
        state=row["state"],
        version=row["version"],
        attempts=row["attempts"],
        due=row["due"],
        code=row["code"],
        message=row["message"],
        changed=row["changed"],
    )
