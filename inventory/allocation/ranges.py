"""Free space as ranges: taking from its low end, cutting a value out, giving back. Raw SQL, O(log n)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from itertools import groupby, pairwise
from operator import itemgetter

from inventory.allocation.holdings import Held, lapsed
from inventory.errors import PoolExhausted, ValueQuarantined, ValueTaken
from inventory.raw import Raw, Row
from inventory.types import from_micros

__all__ = [
    "START",
    "Held",
    "Place",
    "Refused",
    "add",
    "cut",
    "end_quarantine",
    "exhausted",
    "explain",
    "give_back",
    "holder",
    "lapsed",
    "longest_resting",
    "lowest",
    "reuse",
    "shelf_of",
    "shelf_of_band",
    "tidy",
]

_NEXT = (
    "SELECT id, lo, hi FROM free_range WHERE pool = ? AND free_at <= ? ORDER BY free_at, hi LIMIT 1"
)


# the usual case in one statement: the range has more than the values that are taken
_STEP = (
    "UPDATE free_range SET lo = lo + ? WHERE id = (SELECT id FROM free_range WHERE pool = ? AND free_at <= ? "
    "ORDER BY free_at, hi LIMIT 1 {skip}) AND lo + ? <= hi RETURNING lo"
)
_RESTING = "SELECT id, lo, hi, free_at FROM free_range WHERE pool = ? AND free_at > ? ORDER BY free_at, hi LIMIT 1"


class Refused(Exception):
    """A value cannot be cut out: it is taken, or rests until an instant (microseconds)."""

    def __init__(self, quarantined_until: int | None) -> None:
        super().__init__(quarantined_until)
        self.quarantined_until = quarantined_until


def lowest(raw: Raw, shelf: int, now: int, count: int) -> list[int] | None:
    """Take up to `count` values from the first free range: fresh space first, then the longest released."""
    row = raw.one(_STEP, count, shelf, now, count)
    if row is not None:
        return list(range(row[0] - count, row[0]))
    row = raw.one(_NEXT + " {skip}", shelf, now)
    if row is None and raw.waits:
        # all ranges are locked by others: wait for one; and look once more, for what it left was not in the snapshot
        row = raw.one(_NEXT + " {lock}", shelf, now) or raw.one(_NEXT + " {lock}", shelf, now)
    if row is None:
        return None
    id_, lo, hi = row
    last = min(hi, lo + count - 1)
    if last == hi:
        raw.run("DELETE FROM free_range WHERE id = ?", id_)
    else:
        raw.run("UPDATE free_range SET lo = ? WHERE id = ?", last + 1, id_)
    return list(range(lo, last + 1))


def longest_resting(raw: Raw, shelf: int, now: int) -> tuple[int, int] | None:
    """Take the value whose quarantine ends soonest, before it ends; return it and when it would have ended."""
    row = raw.one(_RESTING + " {skip}", shelf, now)
    if row is None and raw.waits:
        row = raw.one(_RESTING + " {lock}", shelf, now)
    if row is None:
        return None
    id_, lo, hi, free_at = row
    if lo == hi:
        raw.run("DELETE FROM free_range WHERE id = ?", id_)
    else:
        raw.run("UPDATE free_range SET lo = ? WHERE id = ?", lo + 1, id_)
    return lo, free_at


def reuse(raw: Raw, pool: int, subject: str, now: int) -> int | None:
    """Take the value that this subject released last and that still rests, ending its quarantine."""
    row = raw.one(
        "SELECT id, lo FROM free_range WHERE pool = ? AND subject = ? AND free_at > ? "
        "ORDER BY free_at DESC, lo LIMIT 1 {skip}",
        pool,
        subject,
        now,
    )
    if row is None:
        return None
    raw.run("DELETE FROM free_range WHERE id = ?", row[0])
    return int(row[1])


def cut(raw: Raw, shelf: int, value: int, now: int, subject: str | None) -> bool:
    """Take one given value; say whether it rested (for this same subject). Raises Refused."""
    row = _around(raw, shelf, value)
    if row is None and raw.waits:
        # a concurrent split can hide the part that holds the value from this snapshot, never show a wrong one
        row = _around(raw, shelf, value)
    if row is None:
        raise Refused(None)
    id_, lo, hi, free_at, whose = row
    if free_at > now and (subject is None or whose != subject):
        raise Refused(free_at)
    if value == hi:
        raw.run("DELETE FROM free_range WHERE id = ?", id_)
    else:
        raw.run("UPDATE free_range SET lo = ? WHERE id = ?", value + 1, id_)
    if lo < value:
        _insert(raw, shelf, lo, value - 1, free_at, whose)
    return bool(free_at > now)


def shelf_of(raw: Raw, pool: int, value: int) -> int | None:
    """Return under which number a value's free range is kept: the pool's, or its band's; None: not in the pool."""
    row = raw.one(
        "SELECT last, band FROM pool_span WHERE pool = ? AND first <= ? AND valid_to IS NULL "
        "ORDER BY first DESC LIMIT 1",
        pool,
        value,
    )
    if row is None or value > row[0]:
        return None
    return pool if row[1] is None else -int(row[1])


def shelf_of_band(raw: Raw, pool: int, band: str) -> int | None:
    """Return under which number the free ranges of a band are kept; None: the pool has no such band."""
    row = raw.one("SELECT number FROM pool_band WHERE pool = ? AND name = ?", pool, band)
    return None if row is None else -int(row[0])


def add(raw: Raw, pool: int, value: int, free_at: int, subject: str | None) -> None:
    """Give one value back, to be free at an instant (0: at once, before all others).

    A value that has been taken out of the pool meanwhile has no place to go back to.
    """
    shelf = shelf_of(raw, pool, value)
    if shelf is not None:
        _insert(raw, shelf, value, value, free_at, subject)


def give_back(raw: Raw, pool: int, values: Sequence[int]) -> None:
    """Undo taking values that nobody got."""
    for value in values:
        add(raw, pool, value, 0, None)


Place = tuple[int, int]
"""Where a walk over all free ranges has come to: (shelf, highest value)."""
START: Place = (-(1 << 31), 0)


def tidy(raw: Raw, now: int, after: Place, limit: int) -> tuple[int, Place | None]:
    """Join neighbouring ranges that are free, looking at so many; say how many rows that saved, and where it stopped.

    Pools that hand out the longest released first keep their released values apart from fresh space, and the
    stripes of a pool stay stripes.
    """
    rows = raw.all(
        "SELECT a.id, a.lo, a.hi, a.free_at, a.pool, p.reuse, p.stripes FROM free_range a "
        "LEFT JOIN pool_band b ON b.number = -a.pool "
        "JOIN pool p ON p.number = coalesce(b.pool, a.pool) "
        "WHERE (a.pool, a.hi) >= (?, ?) AND a.free_at <= ? ORDER BY a.pool, a.hi LIMIT ? {skip:a}",
        *after,
        now,
        limit,
    )
    saved = sum(
        _join(raw, list(own), keep_apart=policy == "oldest" or stripes > 1, striped=stripes > 1)
        for (_, policy, stripes), own in groupby(rows, key=itemgetter(4, 5, 6))
    )
    # the last one again with the next: they may be neighbours
    more = len(rows) == limit and (rows[-1][4], rows[-1][2]) != after
    return saved, (rows[-1][4], rows[-1][2]) if more else None


def _join(raw: Raw, rows: Sequence[Row], *, keep_apart: bool, striped: bool) -> int:
    start, free_at, saved = {r[0]: r[1] for r in rows}, {r[0]: r[3] for r in rows}, 0
    for (left, _, end, *_), (right, begin, *_) in pairwise(rows):
        fresh = [free_at[left] == 0, free_at[right] == 0]
        if end + 1 != begin or (keep_apart and fresh[0] != fresh[1]) or (striped and all(fresh)):
            continue
        start[right] = start[left]
        free_at[right] = max(free_at[left], free_at[right]) if keep_apart else 0
        raw.run("DELETE FROM free_range WHERE id = ?", left)
        raw.run(
            "UPDATE free_range SET lo = ?, free_at = ?, subject = NULL WHERE id = ?",
            start[right],
            free_at[right],
            right,
        )
        saved += 1
    return saved


def exhausted(
    raw: Raw,
    shelf: int,
    id: str,  # noqa: A002
    now: int,
    wanted: int,
    free: int,
) -> PoolExhausted:
    """Return the error for a pool that has too few values, saying when the next one comes free."""
    row = raw.one("SELECT min(free_at) FROM free_range WHERE pool = ? AND free_at > ?", shelf, now)
    soon = None if row is None or row[0] is None else _when(row[0])
    more = f" The next one leaves quarantine at {soon}." if soon else ""
    return PoolExhausted(
        f"Pool {id} has {free} free values, {wanted} are needed; extend the pool or release values.{more}",
        details={"pool": id, "free": free, "wanted": wanted, "nextFreeAt": soon},
    )


def holder(raw: Raw, pool: int, value: int) -> str | None:
    """Return who holds a value."""
    row = raw.one(
        "SELECT owner FROM allocation WHERE pool = ? AND value = ? AND valid_to IS NULL",
        pool,
        value,
    )
    return None if row is None else str(row[0])


def explain(
    raw: Raw,
    pool: int,
    id: str,  # noqa: A002
    value: int,
    text: str,
    refused: Refused,
) -> ValueTaken | ValueQuarantined:
    """Return the error for a value that cannot be had, naming who has it or until when it rests."""
    if refused.quarantined_until is not None:
        until = _when(refused.quarantined_until)
        return ValueQuarantined(
            f"{text} of pool {id} was released and rests until {until}; take another value or wait.",
            details={"pool": id, "value": text, "until": until},
        )
    owner = holder(raw, pool, value)
    return ValueTaken(
        f"{text} of pool {id} belongs to {owner or 'another transaction'}; take another value.",
        details={"pool": id, "value": text, "owner": owner},
    )


def _around(raw: Raw, pool: int, value: int) -> tuple[int, int, int, int, str | None] | None:
    row = raw.one(
        "SELECT id, lo, hi, free_at, subject FROM free_range WHERE pool = ? AND hi >= ? "
        "ORDER BY hi LIMIT 1 {lock}",
        pool,
        value,
    )
    if row is None or row[1] > value:
        return None
    id_, lo, hi, free_at, subject = row
    return id_, lo, hi, free_at, subject


def _insert(raw: Raw, pool: int, lo: int, hi: int, free_at: int, subject: str | None) -> None:
    raw.run(
        "INSERT INTO free_range (pool, lo, hi, free_at, subject) VALUES (?, ?, ?, ?, ?)",
        pool,
        lo,
        hi,
        free_at,
        subject,
    )


def end_quarantine(raw: Raw, pool: int, value: int, now: int) -> None:
    """Note in the history of a value that its rest ended before its time."""
    raw.run(
        "UPDATE allocation SET quarantine_until = ? WHERE pool = ? AND value = ? "
        "AND valid_to IS NOT NULL AND quarantine_until > ?",
        now,
        pool,
        value,
        now,
    )


def _when(micros: int) -> str:
    return from_micros(micros).astimezone(UTC).isoformat(timespec="seconds")
