"""Is every value of a pool exactly once held or free? Counted row by row, for operators and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from inventory.counting.usage import pool as pool_of
from inventory.raw import Raw, params_of
from inventory.types import to_micros
from inventory.values.kinds import render
from inventory.values.renderings import Params, Span
from store import Rx

What = Literal["twice", "lost", "outside", "misplaced"]
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Values that break the rule: accounted for twice, by nobody, though not in the pool, or in the wrong band."""

    what: What
    first: str
    last: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """A pool counted one by one; `discrepancies` are the first ones, in order. None of them: the pool is sound."""

    pool: str
    capacity: int
    allocated: int
    reserved: int
    quarantined: int
    free: int
    discrepancies: tuple[Discrepancy, ...]

    @property
    def sound(self) -> bool:
        """Return whether each value is exactly once held or free, and the counts add up."""
        counted = self.allocated + self.reserved + self.quarantined + self.free
        return not self.discrepancies and counted == self.capacity


class _Piece(NamedTuple):
    first: int
    last: int
    shelf: int | None
    """Where free values are kept; None for held ones."""
    detail: str
    free_at: int = 0


class _Found(NamedTuple):
    what: What
    first: int
    last: int
    detail: str


def verify(rx: Rx, id: str) -> Report:  # noqa: A002
    """Count a pool's values one by one; cost grows with them. Raises PoolNotFound (POOL_NOT_FOUND).

    Call it in a reading transaction: what is counted must be of one moment.
    """
    number = pool_of(rx, id).number
    raw, now = Raw(rx), to_micros(rx.now)
    spans, held, free = _spans(raw, number), _held(raw, number), _free(raw, number)
    found = [*_twice(sorted([*held, *free], key=_ends)), *_lost(spans, [*held, *free])]
    found += [*_outside(spans, [*held, *free]), *_misplaced(spans, free)]
    alive, confirmed = _alive(raw, number, now)
    resting = sum(_size(one) for one in free if one.free_at > now)
    return Report(
        pool=id,
        capacity=sum(map(_size, spans)),
        allocated=confirmed,
        reserved=alive - confirmed,
        quarantined=resting,
        free=sum(map(_size, free)) - resting + len(held) - alive,
        discrepancies=tuple(_told(raw, number, sorted(found, key=_order)[:_NAMED])),
    )


def _size(piece: _Piece) -> int:
    return piece.last - piece.first + 1


def _ends(piece: _Piece) -> Span:
    return piece.first, piece.last


def _order(found: _Found) -> tuple[int, str]:
    return found.first, found.what


# -- reading ----------------------------------------------------------------------------------------


def _spans(raw: Raw, number: int) -> list[_Piece]:
    rows = raw.all(
        "SELECT first, last, band FROM pool_span WHERE pool = ? AND valid_to IS NULL ORDER BY first",
        number,
    )
    return [
        _Piece(first, last, number if band is None else -band, "") for first, last, band in rows
    ]


def _held(raw: Raw, number: int) -> list[_Piece]:
    rows = raw.all(
        "SELECT value, owner FROM allocation WHERE pool = ? AND valid_to IS NULL ORDER BY value",
        number,
    )
    return [_Piece(value, value, None, f"held by {owner!r}") for value, owner in rows]


def _free(raw: Raw, number: int) -> list[_Piece]:
    rows = raw.all(
        "SELECT pool, lo, hi, free_at FROM free_range WHERE pool = ? OR pool IN "
        "(SELECT -number FROM pool_band WHERE pool = ?) ORDER BY lo",
        number,
        number,
    )
    return [_Piece(lo, hi, shelf, "free", free_at) for shelf, lo, hi, free_at in rows]


def _alive(raw: Raw, number: int, now: int) -> tuple[int, int]:
    """Return how many values are held, expired reservations aside, and how many of them are confirmed."""
    row = raw.one(
        "SELECT count(*), count(confirmed_at) FROM allocation WHERE pool = ? AND valid_to IS NULL "
        "AND (confirmed_at IS NOT NULL OR expires_at IS NULL OR expires_at > ?)",
        number,
        now,
    )
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _told(raw: Raw, number: int, found: Iterable[_Found]) -> Iterator[Discrepancy]:
    row = raw.one("SELECT kind, {text:params} FROM pool WHERE number = ?", number)
    assert row is not None
    kind, params = row[0], params_of(row[1])
    for one in found:
        first, last = (_text(kind, params, value) for value in (one.first, one.last))
        yield Discrepancy(one.what, first, last, one.detail)


def _text(kind: str, params: Params, value: int) -> str:
    try:
        return render(kind, params, value)
    except (ValueError, OverflowError, IndexError):
        return str(value)


# -- checking ---------------------------------------------------------------------------------------


def _twice(pieces: Sequence[_Piece]) -> Iterator[_Found]:
    """Yield what two pieces have; a piece that ends before it begins has nothing, and is as wrong."""
    before: _Piece | None = None
    for piece in pieces:
        if piece.first > piece.last:
            yield _Found(
                "twice", piece.last, piece.first, f"{piece.detail}, but ends before it begins"
            )
            continue
        if before is not None and piece.first <= before.last:
            end = min(piece.last, before.last)
            yield _Found("twice", piece.first, end, f"{before.detail}, and {piece.detail}")
        if before is None or piece.last > before.last:
            before = piece


def _lost(spans: Sequence[_Piece], pieces: Iterable[_Piece]) -> Iterator[_Found]:
    for first, last in _without(spans, sorted(pieces, key=_ends)):
        yield _Found("lost", first, last, "in the pool, but neither held nor free")


def _outside(spans: Sequence[_Piece], pieces: Iterable[_Piece]) -> Iterator[_Found]:
    for first, last in _without(sorted(pieces, key=_ends), spans):
        yield _Found("outside", first, last, "held or free, but not in the pool")


def _misplaced(spans: Sequence[_Piece], free: Sequence[_Piece]) -> Iterator[_Found]:
    """Yield free values that are not kept where their band's are."""
    for shelf in {piece.shelf for piece in free}:
        mine = [piece for piece in free if piece.shelf == shelf]
        others = [span for span in spans if span.shelf != shelf]
        right = [_Piece(*part, shelf, "") for part in _without(mine, others)]
        for first, last in _without(mine, right):
            yield _Found("misplaced", first, last, "free, but kept with another band's values")


def _without(pieces: Iterable[_Piece], holes: Sequence[_Piece]) -> Iterator[Span]:
    """Yield what is left of pieces, both in order of their first values."""
    at = 0
    for piece in pieces:
        start = piece.first
        while at < len(holes) and holes[at].last < piece.first:
            at += 1
        near = at
        while near < len(holes) and holes[near].first <= piece.last:
            if start < holes[near].first:
                yield start, holes[near].first - 1
            start = max(start, holes[near].last + 1)
            near += 1
        if start <= piece.last:
            yield start, piece.last
