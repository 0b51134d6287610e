"""Values go to another pool, or to another owner, with all that is known of them; see `reshape`."""

from __future__ import annotations

from inventory import journal
from inventory.allocation.giving import release_held
from inventory.allocation.holdings import Allocation, Held, allocations, held_by
from inventory.counting.usage import Pool, pool, pool_id
from inventory.errors import (
    AllocationNotFound,
    InvalidRange,
    OwnedByOrder,
    PoolExists,
    PoolInUse,
    ValueTaken,
)
from inventory.pools import stretch
from inventory.raw import Raw
from inventory.shaping import extents, shifting
from inventory.shaping.shifting import Shape
from inventory.shaping.sizing import MOST_SHOWN, part_of, places_left, refuse_own
from inventory.types import to_micros
from inventory.values.kinds import number as number_of
from inventory.values.renderings import Names, Span
from store import Tx
from store.errors import InvalidInput

_LONGEST = 255
_OURS = ("pool:", "shared:")
_REASSIGNED = "reassigned"


@shifting.whole
def split(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    at: int | str,
    scope: str,
) -> tuple[Pool, Pool]:
    """Give the values from `at` on to a new pool of the same kind and policies, with all who hold them.

    Returns:
        The old pool and the new one.

    Raises:
        PoolNotFound, PoolExists: POOL_NOT_FOUND; POOL_EXISTS, the new scope has a pool of this kind.
        InvalidRange: INVALID_RANGE, `at` leaves nothing on one side, or the pool was carved from another.
        ValueInvalid: VALUE_INVALID.
        InvalidInput: INVALID_INPUT, the scope cannot be one.
        PoolInUse: POOL_IN_USE, a pool carved from this one would be cut in two.
        Contention: CONTENTION.

    """
    if not (scope.strip() and len(scope) <= _LONGEST and scope.isprintable()):
        raise InvalidInput(f"scope: write 1 to {_LONGEST} printable characters.")
    (shape,) = shifting.locked(tx, id)
    edge = number_of(shape.kind.name, shape.params, at)
    if not shape.first < edge <= shape.last:
        raise InvalidRange(
            f"Pool {id} goes from {shape.text(shape.first)} to {shape.text(shape.last)}: it cannot be split at "
            f"{at}; give a value after the first one.",
            details={"pool": id, "at": str(at), **shape.texts((shape.first, shape.last))},
        )
    target = _twin(tx, shape, scope)
    _pass(tx, shape, target, (edge, shape.last), "split")
    return pool(tx, id), pool(tx, target.id)


@shifting.whole
def move(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    to: str,
    first: int | str | None = None,
    last: int | str | None = None,
) -> tuple[Pool, Pool]:
    """Give values from first to last (left out: to the pool's ends) to another pool of the kind, with all who hold them.

    Returns:
        Both pools.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        InvalidRange: INVALID_RANGE, another kind, nothing in the range, values that would be written differently in
            the other pool, or one of them was carved from another.
        PoolOverlap: POOL_OVERLAP, the other pool, or a third one of its domain, has some of the values.
        ValueTaken: VALUE_TAKEN, an owner holds values of both pools.
        PoolInUse: POOL_IN_USE, a pool carved from this one would be cut in two.
        Contention: CONTENTION.

    """
    if id == to:
        raise InvalidInput("A pool's values cannot be moved to itself; name another pool.")
    source, target = shifting.locked(tx, id, to)
    part = part_of(source, first, last)
    parts = shifting.spans(Raw(tx), source.number, part)
    if not parts:
        raise InvalidRange(
            f"Pool {id} has no values from {first} to {last}; show it for what it has."
        )
    _refuse_other(source, target, (parts[0][0], parts[-1][1]))
    refuse_own(target, shifting.spans(Raw(tx), target.number), parts)
    for pool_, span in ((source, part), (target, (target.first, target.last))):
        # a reservation that was over, and not yet swept up, stood in the way
        shifting.sweep(Raw(tx), pool_.number, span, to_micros(tx.now))
    _refuse_both(tx, source, target, part)
    _pass(tx, source, target, (parts[0][0], parts[-1][1]), "moved")
    return pool(tx, id), pool(tx, to)


@shifting.whole
def reassign(
    tx: Tx,
    id: str,  # noqa: A002
    owner: str,
    new_owner: str,
) -> tuple[Allocation, ...]:
    """Let another owner hold what an owner holds in a pool; the history says who had it until now.

    Raises:
        PoolNotFound, AllocationNotFound: POOL_NOT_FOUND, ALLOCATION_NOT_FOUND.
        OwnedByOrder: OWNED_BY_ORDER, an order took it.
        ValueTaken: VALUE_TAKEN, the new owner holds something of the pool.
        InvalidInput: INVALID_INPUT, one of them is no owner of an operator's.

    """
    for name in (owner, new_owner):
        if not name.strip() or name.startswith(_OURS):
            raise InvalidInput(
                f"{name!r} cannot be reassigned: owners that begin with {' or '.join(_OURS)} are Turnup's own; "
                "name another one."
            )
    (shape,) = shifting.locked(tx, id)
    raw, now = Raw(tx), to_micros(tx.now)
    held = _living(raw, shape.number, owner, now)
    if not held:
        raise AllocationNotFound(
            f"{owner!r} holds no value of pool {id}; list its allocations for the owners it has.",
            details={"owner": owner, "pool": id},
        )
    orders = sorted({one.order_id for one in held if one.order_id is not None})
    if orders:
        raise OwnedByOrder(
            f"{owner!r} got its value from order {orders[0]}; modify the product to change who has it.",
            details={"owner": owner, "pool": id, "order": orders[0]},
        )
    if owner != new_owner:
        _refuse_holder(raw, shape, new_owner, now)
        _rename(raw, shape.number, owner, new_owner, now)
        texts = [one.text for one in held[:MOST_SHOWN]]
        journal.note(tx, shape.number, "reassigned", owner=owner, to=new_owner, values=texts)
    return allocations(tx, owner=new_owner, pool=id)


# -- splitting and moving ---------------------------------------------------------------------------


def _twin(tx: Tx, shape: Shape, scope: str) -> Shape:
    """Make an empty pool of another scope, the same in all else. Raises PoolExists."""
    id_ = pool_id(shape.kind.name, scope)
    added = Raw(tx).run(
        "INSERT INTO pool (id, kind, scope, domain, parent, first, last, quarantine_seconds, reuse, stripes, "
        "draining, pressure_until, pressure_reason, params, created) "
        "SELECT CAST(? AS TEXT), kind, CAST(? AS TEXT), domain, parent, first, last, quarantine_seconds, reuse, "
        "stripes, draining, pressure_until, pressure_reason, params, CAST(? AS BIGINT) "
        "FROM pool WHERE number = ? ON CONFLICT DO NOTHING",
        id_,
        scope,
        to_micros(tx.now),
        shape.number,
    )
    if not added:
        raise PoolExists(
            f"Pool {id_} exists already; move the values there, or give another scope.",
            details={"pool": id_},
        )
    (twin,) = shifting.locked(tx, id_)
    return twin


def _pass(tx: Tx, source: Shape, target: Shape, part: Span, what: str) -> None:
    raw = Raw(tx)
    (occupied,) = places_left(raw, source, [part]) or [part]
    extents.pass_on(tx, source.number, target.number, *occupied)
    values = shifting.size(shifting.spans(raw, source.number, part))
    held = shifting.hand_over(tx, source, target, part)
    _adopt(raw, source, target, part)
    for shape in (source, target):
        stretch(tx, shape.number)
    told = {"values": values, "held": held, **source.texts(part)}
    journal.note(tx, source.number, what, to=target.id, **told)
    journal.note(tx, target.number, what, **{"from": source.id}, **told)


def _adopt(raw: Raw, source: Shape, target: Shape, part: Span) -> None:
    """Let pools that were carved from what went over follow it. Raises PoolInUse when one would be cut in two."""
    if raw.one("SELECT 1 FROM pool WHERE parent = ? LIMIT 1", source.number) is None:
        return
    owned = (
        "SELECT owner FROM allocation WHERE pool = ? AND value >= ? AND value <= ? AND valid_to IS NULL "
        "AND substr(owner, 1, 5) = 'pool:'"
    )
    torn = raw.one(
        f"SELECT owner FROM allocation WHERE pool = ? AND valid_to IS NULL AND owner IN ({owned}) LIMIT 1",
        source.number,
        target.number,
        *part,
    )
    if torn is not None:
        child = str(torn[0]).removeprefix("pool:")
        raise PoolInUse(
            f"Pool {child} was carved from both sides of the cut in {source.id}; cut elsewhere.",
            details={"pool": source.id, "pools": [child]},
        )
    raw.run(
        f"UPDATE pool SET parent = ? WHERE parent = ? AND removed IS NULL AND 'pool:' || id IN ({owned})",
        target.number,
        source.number,
        target.number,
        *part,
    )


def _refuse_other(source: Shape, target: Shape, part: Span) -> None:
    """Raise InvalidRange unless the values exist in the other pool's kind and are written there as they are here."""
    if source.kind.name != target.kind.name:
        raise InvalidRange(
            f"Pool {target.id} is of kind {target.kind.name}, not {source.kind.name}; move to one of that kind."
        )
    limits = _limits(target)
    named = isinstance(source.kind.form, Names)
    checked = range(part[0], part[1] + 1) if named else part
    same = limits[0] <= part[0] and part[1] <= limits[1]
    if same and all(source.text(value) == target.text(value) for value in checked):
        return
    shown = source.texts(part)
    raise InvalidRange(
        f"{shown['first']} to {shown['last']} of pool {source.id} cannot be written in pool {target.id}, which "
        "counts its values from another prefix or has other limits; move to a pool made from the same one.",
        details={"pool": source.id, "to": target.id, **shown},
    )


def _limits(shape: Shape) -> Span:
    """Return which values could exist in a pool, by how they are written and by its technology."""
    low, high = shape.kind.form.limits(shape.params)
    technology = shape.params.get("technology")
    if shape.kind.ranges and technology is None:
        return low, high
    least, most = shape.kind.limits(technology) or (low, high)
    return max(low, least), min(high, most)


def _refuse_both(tx: Tx, source: Shape, target: Shape, part: Span) -> None:
    """Raise ValueTaken when an owner has taken from both pools: its key has one answer in a pool.

    Values of one taking that a split has put into two pools are counted on (`ordinal`), and may come together again.
    """
    rows = Raw(tx).all(
        "SELECT DISTINCT a.owner FROM allocation a WHERE a.pool = ? AND a.value >= ? AND a.value <= ? "
        "AND a.valid_to IS NULL AND EXISTS (SELECT 1 FROM allocation b WHERE b.owner = a.owner AND b.pool = ? "
        "AND b.ordinal = a.ordinal AND coalesce(b.valid_to, 0) = 0) ORDER BY a.owner LIMIT ?",
        source.number,
        *part,
        target.number,
        MOST_SHOWN,
    )
    if rows:
        owners = [row[0] for row in rows]
        raise ValueTaken(
            f"{owners[0]!r} has taken from {source.id} and from {target.id}, and an owner has one answer in a pool; "
            "reassign or release one of them first.",
            details={"pool": source.id, "to": target.id, "owners": owners},
        )


# -- reassigning ------------------------------------------------------------------------------------


def _living(raw: Raw, number: int, owner: str, now: int) -> list[Held]:
    """Return what an owner holds of a pool, locked; what has expired goes back."""
    held = [one for one in held_by(raw, owner) if one.pool.number == number]
    over = [one for one in held if one.expires_at is not None and one.expires_at <= now]
    release_held(raw, over, now, None, quarantine=False)
    return [one for one in held if one not in over]


def _refuse_holder(raw: Raw, shape: Shape, owner: str, now: int) -> None:
    held = _living(raw, shape.number, owner, now)
    if held:
        raise ValueTaken(
            f"{owner!r} holds {held[0].text} of pool {shape.id} already; release that first, or name another owner.",
            details={"pool": shape.id, "owner": owner, "held": held[0].text},
        )


def _rename(raw: Raw, number: int, owner: str, new_owner: str, now: int) -> None:
    mine = "owner = ? AND pool = ? AND coalesce(valid_to, 0) = 0"
    kept = (
        "ordinal, subject, valid_from, confirmed_at, expires_at, reason, order_id, item_id, layer"
    )
    raw.run(
        f"INSERT INTO allocation (pool, value, owner, {kept}, valid_to, end_layer) "
        f"SELECT pool, value, owner, {kept}, CAST(? AS BIGINT), CAST(? AS TEXT) FROM allocation WHERE {mine}",
        now,
        _REASSIGNED,
        owner,
        number,
    )
    with shifting.raced(f"{new_owner!r} took a value of the pool at this moment."):
        raw.run(
            f"UPDATE allocation SET owner = ?, valid_from = ? WHERE {mine}",
            new_owner,
            now,
            owner,
            number,
        )
