"""Giving values of one pool to those of a document, in bulk: its free ranges are rebuilt once for all of them.

A hundred thousand allocations cost a few statements, not a hundred thousand cuts. The locks are those that `shifting`
explains: all free ranges of the pool are locked, so each value is free, held, or in the hand of somebody whom the next
look waits for.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from inventory.allocation.ranges import end_quarantine
from inventory.allocation.taking import COLUMNS, TYPES
from inventory.documents.entries import AllocationEntry, Line, Problem
from inventory.errors import Contention
from inventory.raw import Raw, Row, marks
from inventory.shaping import shifting
from inventory.shaping.shifting import Shape
from inventory.types import to_micros
from inventory.values.renderings import Span
from store import Tx
from store.errors import TurnupError

_CHUNK = 5_000
_BULK = 20_000
_TRIES = 40
_FEW = 200
_SHARED = "shared:"
EVENT_COLUMNS = "pool, at, what, details"
EVENT_TYPES = ("integer", "bigint", "text", "jsonb")


@dataclass(slots=True)
class Load:
    """What an import has done so far, and what stands in its way."""

    pools_created: int = 0
    pools_unchanged: int = 0
    allocations_created: int = 0
    allocations_unchanged: int = 0
    problems: list[Problem] = field(default_factory=list)
    """What cannot be, whatever the database holds."""
    conflicts: list[Problem] = field(default_factory=list)
    """What contradicts what the database holds."""
    lost: set[str] = field(default_factory=set)
    """Pools whose own entries are wrong: their allocations are not told one by one."""

    def wrong(self, line: Line, column: str | None, error: Exception | str) -> None:
        """Note a problem."""
        text = error.message if isinstance(error, TurnupError) else str(error)
        self.problems.append(Problem(line, column, text))

    def conflict(self, line: Line, column: str | None, text: str) -> None:
        """Note a conflict."""
        self.conflicts.append(Problem(line, column, text))


@dataclass(frozen=True, slots=True)
class _Wish:
    """An entry whose value has been read."""

    entry: AllocationEntry
    value: int


@dataclass(frozen=True, slots=True)
class _Range:
    """A free range, locked."""

    id: int
    shelf: int
    lo: int
    hi: int
    free_at: int
    subject: str | None


class _Busy(Exception):
    """A value is in somebody's hand: neither free nor held, for us."""


def allocations(tx: Tx, id_: str, entries: Sequence[AllocationEntry], found: Load) -> None:
    try:
        (shape,) = shifting.locked(tx, id_)
    except TurnupError:
        for entry in entries:
            found.wrong(entry.line, "scope", f"there is no pool {id_!r}; give it a line of its own")
        return
    wishes = list(_read(tx, shape, entries, found))
    raw = Raw(tx)
    for _ in range(_TRIES):
        before = Load()
        try:
            filling = _Filling(tx, raw, shape, before)
            filling.sort(wishes)
        except _Busy:
            continue
        found.allocations_unchanged += before.allocations_unchanged
        found.problems += before.problems
        found.conflicts += before.conflicts
        found.allocations_created += filling.write()
        return
    raise Contention(
        f"Others are at work on pool {id_} without end; nothing was imported, try again."
    )


def _read(tx: Tx, shape: Shape, entries: Sequence[AllocationEntry], found: Load) -> Iterator[_Wish]:
    spans = shifting.spans(Raw(tx), shape.number)
    starts = [first for first, _ in spans]
    seen: dict[int, Line] = {}
    for entry in entries:
        try:
            value = shape.kind.form.parse(shape.params, entry.value)
        except ValueError as error:
            found.wrong(
                entry.line,
                "value",
                f"{entry.value!r} is no value of kind {shape.kind.name}: {error}",
            )
            continue
        index = bisect_right(starts, value) - 1
        if index < 0 or value > spans[index][1]:
            found.wrong(entry.line, "value", f"{entry.value} does not belong to pool {shape.id}")
        elif value in seen:
            found.wrong(entry.line, "value", f"{entry.value} is there twice")
        elif not _gone(entry, tx.now):
            yield _Wish(entry, value)
        else:
            found.allocations_unchanged += 1
        seen[value] = entry.line


def _gone(entry: AllocationEntry, now: datetime) -> bool:
    """Say whether what it tells is over: a reservation that has expired, a rest that has ended."""
    ends = entry.rests_until if entry.state == "quarantined" else entry.expires_at
    return ends is not None and ends <= now


class _Filling:
    """Values of one pool being given to those of a document."""

    def __init__(self, tx: Tx, raw: Raw, shape: Shape, found: Load) -> None:
        self._tx = tx
        self._raw = raw
        self._shape = shape
        self._found = found
        self._now = to_micros(tx.now)
        self._taken: list[_Wish] = []
        self._resting: list[_Wish] = []
        self._early: list[int] = []
        """Values that rest, and go back to their own subject before their time."""

    # -- sorting ------------------------------------------------------------------------------------

    def sort(self, wishes: Sequence[_Wish]) -> None:
        """Say of each value what to do. Raises _Busy when that cannot be said now."""
        raw, number = self._raw, self._shape.number
        if wishes:
            values = [wish.value for wish in wishes]
            shifting.sweep(raw, number, (min(values), max(values)), self._now)
        self._free = self._lock_free()
        starts = [one.lo for one in self._free]
        holders = self._holders([wish.value for wish in wishes])
        self._ordinals = self._holdings({wish.entry.owner for wish in wishes})
        for wish in wishes:
            holder = holders.get(wish.value)
            index = bisect_right(starts, wish.value) - 1
            inside = index >= 0 and wish.value <= self._free[index].hi
            if holder is None and not inside:
                raise _Busy
            self._sort(wish, holder, self._free[index] if inside else None)

    def _sort(self, wish: _Wish, holder: str | None, free: _Range | None) -> None:
        entry = wish.entry
        if entry.state == "quarantined":
            self._sort_resting(wish, holder, free)
        elif holder is not None:
            self._same(wish, holder == entry.owner, f"{entry.value} belongs to {holder!r}")
        elif entry.owner in self._ordinals:
            text = f"{entry.owner!r} holds another value of pool {self._shape.id}"
            self._found.conflict(entry.line, "owner", text)
        elif free is None or free.free_at <= self._now:
            self._taken.append(wish)
        elif entry.subject is not None and entry.subject == free.subject:
            self._taken.append(wish)
            self._early.append(wish.value)
        else:
            self._found.conflict(entry.line, "value", f"{entry.value} rests in quarantine")

    def _sort_resting(self, wish: _Wish, holder: str | None, free: _Range | None) -> None:
        if holder is not None:
            self._same(wish, False, f"{wish.entry.value} belongs to {holder!r}")
        elif free is not None and free.free_at > self._now:
            self._found.allocations_unchanged += 1
        else:
            self._resting.append(wish)

    def _same(self, wish: _Wish, same: bool, text: str) -> None:
        if same:
            self._found.allocations_unchanged += 1
        else:
            self._found.conflict(wish.entry.line, "value", text)

    def _lock_free(self) -> list[_Range]:
        shelves = shifting.shelves(self._raw, self._shape.number)
        rows = self._raw.all(
            f"SELECT id, pool, lo, hi, free_at, subject FROM free_range WHERE pool IN ({marks(len(shelves))}) "
            "ORDER BY pool, hi {lock}",
            *shelves,
        )
        return sorted((_Range(*row) for row in rows), key=attrgetter("lo"))

    def _holders(self, values: Sequence[int]) -> dict[int, str]:
        """Return who holds which of these values.

        Not `value IN (…)`: PostgreSQL without statistics read the whole pool for each list, and compared it to all of it.
        """
        wanted = set(values)
        few = len(wanted) <= _FEW
        parts = [(value, value) for value in wanted] if few else [(min(wanted), max(wanted))]
        rows = [
            row
            for part in parts
            for row in self._raw.all(
                "SELECT value, owner FROM allocation WHERE pool = ? AND value >= ? AND value <= ? "
                "AND valid_to IS NULL",
                self._shape.number,
                *part,
            )
        ]
        return {value: owner for value, owner in rows if value in wanted}

    def _holdings(self, owners: Iterable[str]) -> set[str]:
        """Return who of these owners holds something of the pool."""
        found: set[str] = set()
        for chunk in chunks(sorted(owners)):
            rows = self._raw.all(
                f"SELECT DISTINCT owner FROM allocation WHERE owner IN ({marks(len(chunk))}) AND pool = ? "
                "AND coalesce(valid_to, 0) = 0",
                *chunk,
                self._shape.number,
            )
            found |= {row[0] for row in rows}
        return found

    # -- writing ------------------------------------------------------------------------------------

    def write(self) -> int:
        """Take the values out of the free ranges and write down who has them; return how many."""
        count = len(self._taken) + len(self._resting)
        if not count:
            return 0
        self._rebuild()
        for value in self._early:
            end_quarantine(self._raw, self._shape.number, value, self._now)
        rows = list(self._rows())
        written = insert(self._raw, "allocation", COLUMNS, TYPES, rows)
        if written != len(rows):
            raise Contention(
                f"Owners took values of pool {self._shape.id} at this moment; nothing was imported, try again."
            )
        closed = (self._closed(wish) for wish in self._resting)
        insert(
            self._raw,
            "allocation",
            f"{COLUMNS}, valid_to, quarantine_until",
            (*TYPES, "bigint", "bigint"),
            closed,
        )
        insert(self._raw, "pool_user", _USER_COLUMNS, _USER_TYPES, self._users())
        told = json.dumps({"allocations": len(self._taken), "resting": len(self._resting)})
        event = [(self._shape.number, self._now, "imported", told)]
        insert(
            self._raw,
            "pool_event",
            "pool, at, what, details",
            ("integer", "bigint", "text", "jsonb"),
            event,
        )
        return count

    def _rebuild(self) -> None:
        """Replace the free ranges that have values of ours by what is left of them, and by what rests."""
        resting = {wish.value: wish for wish in self._resting}
        mine = sorted([*(wish.value for wish in self._taken), *resting])
        starts = [one.lo for one in self._free]
        groups: dict[int, list[int]] = {}
        for value in mine:
            groups.setdefault(bisect_right(starts, value) - 1, []).append(value)
        gone = [self._free[index].id for index in groups]
        for chunk in chunks(gone):
            self._raw.run(f"DELETE FROM free_range WHERE id IN ({marks(len(chunk))})", *chunk)
        rows: list[Row] = []
        for index, values in groups.items():
            old = self._free[index]
            rows += [
                (old.shelf, lo, hi, old.free_at, old.subject)
                for lo, hi in _rests((old.lo, old.hi), values)
            ]
            rows += [
                (old.shelf, value, value, _until(resting[value]), resting[value].entry.subject)
                for value in values
                if value in resting
            ]
        types = ("integer", "bigint", "bigint", "bigint", "text")
        insert(self._raw, "free_range", "pool, lo, hi, free_at, subject", types, rows)

    def _rows(self) -> Iterator[Row]:
        used: dict[str, set[int]] = {}
        for wish in self._taken:
            if wish.entry.ordinal is not None:
                used.setdefault(wish.entry.owner, set()).add(wish.entry.ordinal)
        given: dict[str, set[int]] = {}
        for wish in self._taken:
            entry = wish.entry
            mine, ordinal = given.setdefault(entry.owner, set()), entry.ordinal
            if ordinal is None or ordinal in mine:
                taken = mine | used.get(entry.owner, set())
                ordinal = next(n for n in range(len(taken) + 1) if n not in taken)
            mine.add(ordinal)
            yield self._row(wish, ordinal)

    def _row(self, wish: _Wish, ordinal: int) -> Row:
        entry = wish.entry
        cause = entry.cause
        return (
            self._shape.number,
            wish.value,
            entry.owner,
            ordinal,
            entry.subject,
            self._now,
            None if entry.state == "reserved" else self._now,
            None if entry.expires_at is None else to_micros(entry.expires_at),
            None if entry.reason is None else json.dumps(dict(entry.reason)),
            cause.order_id,
            cause.item_id,
            cause.layer,
        )

    def _closed(self, wish: _Wish) -> Row:
        return (*self._row(wish, wish.entry.ordinal or 0), self._now, _until(wish))

    def _users(self) -> Iterator[Row]:
        for wish in self._taken:
            entry = wish.entry
            for user in entry.users if entry.owner.startswith(_SHARED) else ():
                shared_by = entry.owner.removeprefix(_SHARED)
                cause = entry.cause
                yield (
                    self._shape.number,
                    shared_by,
                    user,
                    self._now,
                    cause.order_id,
                    cause.item_id,
                    cause.layer,
                )


_USER_COLUMNS = 'pool, shared_by, "user", valid_from, order_id, item_id, layer'
_USER_TYPES = ("integer", "text", "text", "bigint", "text", "text", "text")


def _until(wish: _Wish) -> int:
    assert wish.entry.rests_until is not None
    return to_micros(wish.entry.rests_until)


def _rests(span: Span, values: Sequence[int]) -> Iterator[Span]:
    """Yield what is left of a span without some of its values, which are in order."""
    start = span[0]
    for value in values:
        if start < value:
            yield start, value - 1
        start = value + 1
    if start <= span[1]:
        yield start, span[1]


# -- bulk -------------------------------------------------------------------------------------------


def insert(raw: Raw, table: str, columns: str, types: Sequence[str], rows: Iterable[Row]) -> int:
    return sum(raw.insert(table, columns, types, chunk) for chunk in chunks(list(rows), _BULK))


def chunks(found: Sequence[Any], size: int = _CHUNK) -> Iterator[Sequence[Any]]:
    return (found[start : start + size] for start in range(0, len(found), size))
