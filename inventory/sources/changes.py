"""What should stand in a source about each value of its pools, and what does: one row per value.

Allocations are not followed one by one: `scan` compares what is held now with what was written. So nothing is lost
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
_BATCH = 1000
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


def scan(tx: Tx, source: Source) -> int:
    """Bring the rows up to date with what is held, a batch at a time; return how many changed (0: all is known)."""
    return _held(tx, source) + _gone(tx, source) + _rested(tx, source)


def _held(tx: Tx, source: Source) -> int:
    wish = case((allocation.c.confirmed_at.is_(None), "reserved"), else_="active")
    query = (
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
            _current(tx, source),
            or_(table.c.id.is_(None), table.c.wanted != wish, table.c.owner != allocation.c.owner),
        )
        .limit(_BATCH)
    )
    found = tx.execute(query).mappings().all()
    for row in found:
        _want(tx, source, row, row["wish"], row["owner"])
    return len(found)


def _gone(tx: Tx, source: Source) -> int:
    query = (
        select(table)
        .outerjoin(
            allocation,
            and_(
                allocation.c.pool == table.c.pool,
                allocation.c.value == table.c.value,
                _current(tx, source),
            ),
        )
        .where(
            table.c.source == source.name,
            table.c.wanted.in_(("active", "reserved")),
            allocation.c.id.is_(None),
        )
        .limit(_BATCH)
    )
    found = tx.execute(query).mappings().all()
    for row in found:
        until = _resting_until(tx, row) if source.rules.write_back.resting else None
        if until is not None and row["written"] is not None:
            _want(tx, source, row, "deprecated", row["owner"], until)
        else:
            _want(tx, source, row, _ABSENT, row["owner"])
    return len(found)


def _rested(tx: Tx, source: Source) -> int:
    over = and_(
        table.c.source == source.name, table.c.wanted == "deprecated", table.c.until <= tx.now
    )
    found = tx.execute(select(table).where(over).limit(_BATCH)).mappings().all()
    for row in found:
        _want(tx, source, row, _ABSENT, row["owner"])
    return len(found)


def _same_value(source: Source) -> ColumnElement[bool]:
    return and_(
        table.c.source == source.name,
        table.c.pool == allocation.c.pool,
        table.c.value == allocation.c.value,
    )


def _current(tx: Tx, source: Source) -> ColumnElement[bool]:
    """What is held now, but for what the source itself holds."""
    theirs = func.substr(allocation.c.owner, 1, len(source.holder)) == source.holder
    return and_(
        allocation.c.valid_to.is_(None),
        or_(allocation.c.expires_at.is_(None), allocation.c.expires_at > tx.now),
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


def _want(
    tx: Tx, source: Source, row: RowMapping, wish: str, owner: str, until: datetime | None = None
) -> None:
    values = {
        "owner": owner,
        "wanted": wish,
        "until": until,
        "state": "waiting",
        "attempts": 0,
        "due": tx.now,
        "changed": tx.now,
    }
    if row["id"] is None:
        key = {"source": source.name, "pool": row["pool"], "value": row["value"]}
        tx.execute(insert(table).values(**key, **values, version=1))
        return
    # a row that nothing was written for is sent, too: a process may have died after the source's answer
    forgotten = {"version": table.c.version + 1, "code": None, "message": None}
    tx.execute(update(table).where(table.c.id == row["id"]).values(**values | forgotten))


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
