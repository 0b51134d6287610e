"""Taking values out of a pool, or over to another one, while others take and release: the locks and the accounts.

Who reshapes a pool locks its row, so that reshaping is one after the other; takers lock free ranges and releasers
lock allocations, never the pool. So a part of a pool is ours when each of its values has been seen under a lock: in a
free range that we locked, or in an allocation that we moved. What is missing in that account was in somebody's hand:
the next look waits for its row, or finds it. Statements work on whole ranges, their number does not depend on how
many values there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from inventory.allocation.giving import release_held
from inventory.allocation.holdings import lapsed
from inventory.errors import Contention, PoolInUse, PoolNotFound
from inventory.raw import Raw, Row, marks, params_of
from inventory.types import to_micros
from inventory.values.kind import Kind
from inventory.values.kinds import kind as kind_of
from inventory.values.renderings import Params, Span
from store import Tx

P = ParamSpec("P")
T = TypeVar("T")
MOVED = "moved"
"""What the history's `end_layer` says of rows that ended because the value went to another pool."""
_TRIES = 40
_NAMED = 20
_UNIQUE_VIOLATION = "23505"
_INSIDE = "pool = ? AND value >= ? AND value <= ?"
_PRESENT = f"{_INSIDE} AND valid_to IS NULL"
_ALIVE = f"{_PRESENT} AND (confirmed_at IS NOT NULL OR expires_at IS NULL OR expires_at > ?)"


@dataclass(frozen=True, slots=True)
class Shape:
    """A pool that is being reshaped, its row locked until the end of the transaction."""

    number: int
    id: str
    kind: Kind
    scope: str
    parent: int | None
    domain: str | None
    first: int
    last: int
    stripes: int
    params: Params

    def text(self, value: int) -> str:
        """Return a value as people write it."""
        return self.kind.form.render(self.params, value)

    def texts(self, span: Span) -> dict[str, str]:
        """Return first and last value as people write them, for journals and errors."""
        return {"first": self.text(span[0]), "last": self.text(span[1])}


def whole(
    operation: Callable[Concatenate[Tx, P], T],
) -> Callable[Concatenate[Tx, P], T]:
    """Make an operation undo all it did when it raises, even if its caller goes on with the transaction."""

    @wraps(operation)
    def run(tx: Tx, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with tx.savepoint():
            return operation(tx, *args, **kwargs)

    return run


_COLUMNS = "number, id, kind, scope, parent, domain, first, last, stripes, {text:params}"


def locked(tx: Tx, *ids: str) -> tuple[Shape, ...]:
    """Return pools, in the order asked, locked in the order of their numbers. Raises PoolNotFound."""
    rows = Raw(tx).all(
        f"SELECT {_COLUMNS} FROM pool WHERE id IN ({marks(len(ids))}) AND removed IS NULL "
        "ORDER BY number {lock}",
        *ids,
    )
    found = {row[1]: _shape(tx, row) for row in rows}
    for id_ in ids:
        if id_ not in found:
            raise PoolNotFound(
                f"There is no pool {id_!r}; list the pools for their ids.", details={"pool": id_}
            )
    return tuple(found[id_] for id_ in ids)


def _shape(tx: Tx, row: Row) -> Shape:
    number, id_, kind, scope, parent, domain, first, last, stripes, params = row
    return Shape(
        number,
        id_,
        kind_of(kind, tx),
        scope,
        parent,
        domain,
        first,
        last,
        stripes,
        params_of(params),
    )


# -- spans ------------------------------------------------------------------------------------------


def spans(raw: Raw, pool: int, part: Span | None = None) -> list[Span]:
    """Return the spans of a pool (within a part of it), in order."""
    rows = raw.all(
        "SELECT first, last FROM pool_span WHERE pool = ? AND valid_to IS NULL ORDER BY first", pool
    )
    if part is None:
        return [(first, last) for first, last in rows]
    return [
        (max(first, part[0]), min(last, part[1]))
        for first, last in rows
        if first <= part[1] and part[0] <= last
    ]


def size(found: Sequence[Span]) -> int:
    """Return how many values spans have."""
    return sum(last - first + 1 for first, last in found)


def cut_spans(raw: Raw, pool: int, part: Span, now: int) -> None:
    """Take a part out of a pool's spans; what they were stays in the history."""
    first, last = part
    edges = raw.all(
        "SELECT first, last, band FROM pool_span WHERE pool = ? AND valid_to IS NULL "
        "AND last >= ? AND first <= ? AND (first < ? OR last > ?)",
        pool,
        first,
        last,
        first,
        last,
    )
    raw.run(
        "UPDATE pool_span SET valid_to = ? WHERE pool = ? AND valid_to IS NULL AND last >= ? AND first <= ?",
        now,
        pool,
        first,
        last,
    )
    rests = [
        (pool, lo, hi, band, now)
        for begin, end, band in edges
        for lo, hi in ((begin, first - 1), (last + 1, end))
        if lo <= hi
    ]
    if rests:
        types = ("integer", "bigint", "bigint", "integer", "bigint")
        raw.insert("pool_span", "pool, first, last, band, valid_from", types, rests)


def shelves(raw: Raw, pool: int) -> list[int]:
    """Return the numbers under which the free ranges of a pool and of its bands are kept."""
    rows = raw.all("SELECT number FROM pool_band WHERE pool = ? ORDER BY number", pool)
    return [pool, *(-int(row[0]) for row in rows)]


# -- taking out -------------------------------------------------------------------------------------


def empty(tx: Tx, pool: Shape, part: Span, why: str) -> None:
    """Delete the free ranges of a part of a pool that nobody holds anything of.

    Raises:
        PoolInUse: POOL_IN_USE, somebody holds values in the way of `why`.
        Contention: CONTENTION, others are at work on them without end.

    """
    raw, now = Raw(tx), to_micros(tx.now)
    total = size(spans(raw, pool.number, part))
    for _ in range(_TRIES):
        sweep(raw, pool.number, part, now)
        free = seize(raw, pool.number, part)
        refuse_held(raw, pool, part, now, why)
        if free == total:
            break
    else:
        raise _unaccounted(pool)
    for shelf in shelves(raw, pool.number):
        raw.run("DELETE FROM free_range WHERE pool = ? AND hi >= ? AND hi <= ?", shelf, *part)


def sweep(raw: Raw, pool: int, part: Span, now: int) -> None:
    """End the expired reservations of a part of a pool, waiting for those who are about to."""
    over = raw.all(
        f"SELECT id FROM allocation WHERE {_PRESENT} AND expires_at <= ? AND confirmed_at IS NULL "
        "ORDER BY value {lock}",
        pool,
        *part,
        now,
    )
    if over:
        mine = [one for one in lapsed(raw, now, pool) if part[0] <= one.value <= part[1]]
        release_held(raw, mine, now, None, quarantine=False)


def seize(raw: Raw, pool: int, part: Span) -> int:
    """Lock the free ranges of a part of a pool, cut at its ends; return how many values they have."""
    first, last = part
    total = 0
    for shelf in shelves(raw, pool):
        _clip(raw, shelf, first)
        _clip(raw, shelf, last + 1)
        row = raw.one(
            "SELECT coalesce(sum(hi - lo + 1), 0) FROM (SELECT lo, hi FROM free_range "
            "WHERE pool = ? AND hi >= ? AND hi <= ? AND lo >= ? ORDER BY hi {lock}) f",
            shelf,
            first,
            last,
            first,
        )
        total += int(row[0]) if row else 0
    return total


def _clip(raw: Raw, shelf: int, at: int) -> None:
    """Cut the free range that has both `at` and the value before it."""
    row = raw.one(
        "SELECT id, lo, free_at, subject FROM free_range WHERE pool = ? AND hi >= ? "
        "ORDER BY hi LIMIT 1 {lock}",
        shelf,
        at,
    )
    if row is None or row[1] >= at:
        return
    id_, lo, free_at, subject = row
    raw.run("UPDATE free_range SET lo = ? WHERE id = ?", at, id_)
    raw.run(
        "INSERT INTO free_range (pool, lo, hi, free_at, subject) VALUES (?, ?, ?, ?, ?)",
        shelf,
        lo,
        at - 1,
        free_at,
        subject,
    )


def refuse_held(raw: Raw, pool: Shape, part: Span, now: int, why: str) -> None:
    """Raise PoolInUse (POOL_IN_USE) when somebody holds values of a part, naming some of them."""
    rows = raw.all(
        f"SELECT owner, value FROM allocation WHERE {_ALIVE} ORDER BY value LIMIT {_NAMED}",
        pool.number,
        *part,
        now,
    )
    if not rows:
        return
    counted = raw.one(f"SELECT count(*) FROM allocation WHERE {_ALIVE}", pool.number, *part, now)
    held = [{"owner": owner, "value": pool.text(value)} for owner, value in rows]
    count = int(counted[0]) if counted else len(held)
    raise PoolInUse(
        f"Pool {pool.id} cannot be {why}: {count} of the values it would lose are held, such as "
        f"{held[0]['value']} by {held[0]['owner']!r}; release or move them first.",
        details={"pool": pool.id, "count": count, "held": held},
    )


def _unaccounted(pool: Shape) -> Contention:
    return Contention(
        f"Values of pool {pool.id} are neither held nor free at this moment: others are at work on them. "
        "Nothing was changed, try again; if it stays so, verify the pool.",
        details={"pool": pool.id},
    )


# -- over to another pool ---------------------------------------------------------------------------


def hand_over(tx: Tx, source: Shape, target: Shape, part: Span) -> int:
    """Give a part of a pool to another one, with all who hold it and what rests; return how many are held.

    Raises:
        Contention: CONTENTION, others are at work on them without end, or an owner came to hold values of both.

    """
    raw, now = Raw(tx), to_micros(tx.now)
    total = size(spans(raw, source.number, part))
    held = 0
    for _ in range(_TRIES):
        sweep(raw, source.number, part, now)
        free = seize(raw, source.number, part)
        held += _change_pool(raw, source, target, part)
        if free + held == total:
            break
    else:
        raise _unaccounted(source)
    _keep_history(raw, source.number, target.number, part, now)
    _share(raw, source.number, target.number, part, now)
    _hand_over_spans(raw, source.number, target.number, part, now)
    return held


def _change_pool(raw: Raw, source: Shape, target: Shape, part: Span) -> int:
    """Put the allocations under the other pool: the same rows, for those who wait for them to release them."""
    with raced(f"An owner of pool {source.id} took a value of {target.id} at this moment."):
        return raw.run(
            f"UPDATE allocation SET pool = ? WHERE {_PRESENT}", target.number, source.number, *part
        )


@contextmanager
def raced(what: str) -> Iterator[None]:
    """Say that it can be repeated when a unique index refuses what was allowed a moment ago. Raises Contention."""
    try:
        yield
    except Exception as error:
        if getattr(error, "sqlstate", None) != _UNIQUE_VIOLATION:
            raise
        raise Contention(f"{what} Nothing was changed, try again.") from error


_KEPT = "value, owner, ordinal, subject"
_CAUSES = "reason, order_id, item_id, layer"
_ENDS = "end_order_id, end_item_id, end_layer"


def _keep_history(raw: Raw, source: int, target: int, part: Span, now: int) -> None:
    """Leave in the old pool's history what it held until now, and take what rests over to the new one's."""
    raw.run(
        f"INSERT INTO allocation (pool, {_KEPT}, valid_from, confirmed_at, expires_at, valid_to, {_CAUSES}, "
        f"end_layer) SELECT CAST(? AS INTEGER), {_KEPT}, valid_from, confirmed_at, expires_at, CAST(? AS BIGINT), "
        f"{_CAUSES}, CAST(? AS TEXT) FROM allocation WHERE {_PRESENT}",
        source,
        now,
        MOVED,
        target,
        *part,
    )
    raw.run(f"UPDATE allocation SET valid_from = ? WHERE {_PRESENT}", now, target, *part)
    resting = f"{_INSIDE} AND valid_to IS NOT NULL AND quarantine_until > ?"
    raw.run(
        f"INSERT INTO allocation (pool, {_KEPT}, valid_from, confirmed_at, valid_to, quarantine_until, {_CAUSES}, "
        f"{_ENDS}) SELECT CAST(? AS INTEGER), {_KEPT}, CAST(? AS BIGINT), confirmed_at, CAST(? AS BIGINT), "
        f"quarantine_until, {_CAUSES}, {_ENDS} FROM allocation WHERE {resting}",
        target,
        now,
        now,
        source,
        *part,
        now,
    )
    raw.run(f"UPDATE allocation SET quarantine_until = ? WHERE {resting}", now, source, *part, now)


def _share(raw: Raw, source: int, target: int, part: Span, now: int) -> None:
    """Let the users of shared values follow them; those who join or leave hold the value's row, so none does now."""
    moved = (
        "pool = ? AND valid_to IS NULL AND 'shared:' || shared_by IN (SELECT a.owner FROM allocation a "
        "WHERE a.pool = ? AND a.value >= ? AND a.value <= ? AND a.valid_to IS NULL)"
    )
    raw.run(
        'INSERT INTO pool_user (pool, shared_by, "user", valid_from, order_id, item_id, layer) '
        'SELECT CAST(? AS INTEGER), shared_by, "user", CAST(? AS BIGINT), order_id, item_id, layer '
        f"FROM pool_user WHERE {moved}",
        target,
        now,
        source,
        target,
        *part,
    )
    raw.run(
        f"UPDATE pool_user SET valid_to = ?, end_layer = ? WHERE {moved}",
        now,
        MOVED,
        source,
        target,
        *part,
    )


def _hand_over_spans(raw: Raw, source: int, target: int, part: Span, now: int) -> None:
    first, last = part
    bands = dict(_bands(raw, source, target, part))
    inside = "pool = ? AND valid_to IS NULL AND last >= ? AND first <= ?"
    same_band = (
        "(SELECT t.number FROM pool_band t JOIN pool_band s ON s.name = t.name "
        "WHERE s.number = pool_span.band AND t.pool = ?)"
    )
    raw.run(
        "INSERT INTO pool_span (pool, first, last, band, valid_from) SELECT CAST(? AS INTEGER), "
        "CASE WHEN first < ? THEN CAST(? AS BIGINT) ELSE first END, "
        "CASE WHEN last > ? THEN CAST(? AS BIGINT) ELSE last END, "
        f"{same_band}, CAST(? AS BIGINT) FROM pool_span WHERE {inside}",
        target,
        first,
        first,
        last,
        last,
        target,
        now,
        source,
        first,
        last,
    )
    cut_spans(raw, source, part, now)
    for shelf in shelves(raw, source):
        raw.run(
            "UPDATE free_range SET pool = ? WHERE pool = ? AND hi >= ? AND hi <= ?",
            target if shelf == source else -bands.get(-shelf, 0),
            shelf,
            first,
            last,
        )


def _bands(raw: Raw, source: int, target: int, part: Span) -> Iterator[tuple[int, int]]:
    """Yield for each band within a part its number and that of the band of the same name in the other pool."""
    rows: Sequence[Any] = raw.all(
        "SELECT b.number, b.name FROM pool_band b WHERE b.pool = ? AND EXISTS (SELECT 1 FROM pool_span s "
        "WHERE s.band = b.number AND s.pool = b.pool AND s.valid_to IS NULL AND s.last >= ? AND s.first <= ?)",
        source,
        *part,
    )
    for number, name in rows:
        raw.run(
            "INSERT INTO pool_band (pool, name) VALUES (?, ?) ON CONFLICT DO NOTHING", target, name
        )
        row = raw.one("SELECT number FROM pool_band WHERE pool = ? AND name = ?", target, name)
        assert row is not None
        yield number, int(row[0])


# -- who comes after --------------------------------------------------------------------------------


def went_with(
    raw: Raw,
    scope_pool: str,
    others: Sequence[int],
    shared_by: str,
    user: str,
) -> int | None:
    """Return in which of other pools a user's shared value is that was moved there out of a pool, by its id."""
    if not others:
        return None
    left = raw.one(
        "SELECT u.end_layer FROM pool_user u JOIN pool p ON p.number = u.pool WHERE p.id = ? "
        'AND u.shared_by = ? AND u."user" = ? AND u.valid_to IS NOT NULL ORDER BY u.valid_to DESC, u.row DESC LIMIT 1',
        scope_pool,
        shared_by,
        user,
    )
    if left is None or left[0] != MOVED:
        return None
    row = raw.one(
        f"SELECT pool FROM pool_user WHERE pool IN ({marks(len(others))}) AND shared_by = ? "
        'AND "user" = ? AND valid_to IS NULL',
        *others,
        shared_by,
        user,
    )
    return None if row is None else int(row[0])
