"""Taking, confirming and giving back values: of one pool, or sets of several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Response

from inventory import allocator
from inventory.allocator import Allocation, Wish
from inventory.counting import usage
from inventory.values import kinds
from store import Database, Tx
from store.errors import InvalidInput, TurnupError
from tmf.web import TmfResponse
from turnup.http.pools.bodies import allocation_body, allocations_body
from turnup.http.pools.words import MOST_OF_ALL, Item, NewAllocation, NewSet, NewSets, OwnerName
from turnup.http.strict import Name
from turnup.http.writing import written

Json = dict[str, Any]
_SHOWN = 20
"""How many items of a refused call are named."""


def add_to(api: APIRouter, database: Database) -> None:
    """Add the routes."""

    @api.post("/pools/{pool_id:path}/allocations/{owner:path}/confirm")
    def confirm(pool_id: Name, owner: OwnerName) -> Json:
        def work(tx: Tx) -> Json:
            usage.pool_row(tx, pool_id)
            return allocations_body(allocator.confirm(tx, owner, pool=pool_id))

        return written(database, work)

    @api.delete("/pools/{pool_id:path}/allocations/{owner:path}", status_code=204)
    def release(pool_id: Name, owner: OwnerName) -> Response:
        def work(tx: Tx) -> None:
            usage.pool_row(tx, pool_id)
            allocator.release_by_api(tx, pool_id, owner)

        written(database, work)
        return Response(status_code=204)

    @api.post("/pools/{pool_id:path}/allocations", status_code=201)
    def allocate(pool_id: Name, body: NewAllocation) -> Response:
        _value_or_count(body.value, body.count)
        taken, new = written(database, lambda tx: _allocate(tx, pool_id, body))
        return TmfResponse(allocations_body(taken), 201 if new else 200)

    @api.post("/allocationSets", status_code=201)
    def allocate_sets(body: NewSets) -> Response:
        wanted = [_Wanted.of(n, body_set) for n, body_set in enumerate(body.sets)]
        _bounded(wanted)
        answers, new = written(database, lambda tx: _allocate_sets(tx, wanted))
        shown = [_set_body(one, answer) for one, answer in zip(wanted, answers, strict=True)]
        return TmfResponse({"sets": shown}, 201 if new else 200)


# -- one pool ---------------------------------------------------------------------------------------


def _allocate(tx: Tx, pool_id: str, body: NewAllocation) -> tuple[Sequence[Allocation], bool]:
    """Take what is asked for; say whether it was not held already."""
    kind, scope = _kind_and_scope(tx, pool_id)
    begins = tx.now
    wish = Wish(kind, scope, body.owner, body.value, body.count, body.subject, body.band)
    (taken,) = allocator.take_set(
        tx,
        [wish],
        state="reserved" if body.ttl_seconds else "active",
        ttl_seconds=body.ttl_seconds,
    )
    return taken, _is_new(taken, begins)


def _kind_and_scope(tx: Tx, pool_id: str) -> tuple[str, str]:
    """Return a pool's kind and scope; whether it is there is found out when it is taken from.

    Pools on demand are looked up: a mistyped id would make one.
    """
    kind, _, scope = pool_id.partition("@")
    known = kinds.kinds().get(kind)
    if known is None or known.on_demand:
        row = usage.pool_row(tx, pool_id)
        return row["kind"], row["scope"]
    return kind, scope


def _is_new(taken: Iterable[Allocation], begins: Any) -> bool:
    return any(one.valid_from is None or one.valid_from >= begins for one in taken)


def _value_or_count(value: object, count: int) -> None:
    if value is not None and count != 1:
        raise InvalidInput("Give a value or a count, not both.")


# -- sets -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One set of a call, ready to be taken."""

    index: int
    owner: str
    ttl_seconds: int | None
    wishes: tuple[Wish, ...]

    @classmethod
    def of(cls, index: int, body: NewSet) -> _Wanted:
        wishes = tuple(
            _wish(body, item, f"sets.{index}.items.{n}") for n, item in enumerate(body.items)
        )
        return cls(index, body.owner, body.ttl_seconds, wishes)


def _wish(body: NewSet, item: Item, path: str) -> Wish:
    if (item.pool is None) != (item.kind is not None and item.scope is not None) or (
        item.pool is not None and (item.kind or item.scope)
    ):
        raise InvalidInput(f"{path}: name the pool by its id (pool), or by kind and scope.")
    if item.pool is not None and "@" not in item.pool:
        raise InvalidInput(f"{path}: {item.pool!r} is no pool's id; write KIND@SCOPE.")
    if item.value is not None and item.count != 1:
        raise InvalidInput(f"{path}: give a value or a count, not both.")
    kind, _, scope = (item.pool or f"{item.kind}@{item.scope}").partition("@")
    owner = item.owner or body.owner
    return Wish(kind, scope, owner, item.value, item.count, item.subject, item.band)


def _bounded(wanted: Sequence[_Wanted]) -> None:
    total = sum(wish.count for one in wanted for wish in one.wishes)
    if total > MOST_OF_ALL:
        raise InvalidInput(
            f"The sets ask for {total} values; one call takes {MOST_OF_ALL} at most, so split it."
        )


def _allocate_sets(
    tx: Tx, wanted: Sequence[_Wanted]
) -> tuple[list[list[Sequence[Allocation]]], bool]:
    """Take all sets or nothing; say whether anything was not held already."""
    begins = tx.now
    answers: list[list[Sequence[Allocation]]] = [[] for _ in wanted]
    for ttl_seconds, group in groupby(sorted(wanted, key=_ttl), key=lambda one: one.ttl_seconds):
        sets = list(group)
        wishes = [wish for one in sets for wish in one.wishes]
        for wish in wishes:
            _known_kind(tx, wish.kind)
        taken = iter(_take(tx, sets, wishes, ttl_seconds))
        for one in sets:
            answers[one.index] = [next(taken) for _ in one.wishes]
    return answers, any(_is_new(taken, begins) for answer in answers for taken in answer)


def _take(
    tx: Tx, sets: Sequence[_Wanted], wishes: Sequence[Wish], ttl_seconds: int | None
) -> Sequence[Sequence[Allocation]]:
    try:
        return allocator.take_set(
            tx,
            wishes,
            state="reserved" if ttl_seconds else "active",
            ttl_seconds=ttl_seconds,
        )
    except TurnupError as error:
        _name_items(error, sets)
        raise


def _name_items(error: TurnupError, sets: Sequence[_Wanted]) -> None:
    """Say which items of the call cannot be had."""
    pool = error.details.get("pool") or "{kind}@{scope}".format_map(
        {"kind": "", "scope": ""} | error.details
    )
    named = [
        f"sets.{one.index}.items.{n}"
        for one in sets
        for n, wish in enumerate(one.wishes)
        if f"{wish.kind}@{wish.scope}" == pool
    ]
    if named:
        error.details["items"] = named[:_SHOWN]
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        error.message = f"{named[0]}{more} ({pool}): {error.message} Nothing was taken."


def _ttl(one: _Wanted) -> int:
    return one.ttl_seconds or 0


def _known_kind(tx: Tx, kind: str) -> None:
    if kind not in kinds.kinds():
        kinds.kind(kind, tx)


def _set_body(one: _Wanted, answer: Sequence[Sequence[Allocation]]) -> Json:
    items = [
        {"pool": f"{wish.kind}@{wish.scope}", "allocations": [allocation_body(a) for a in taken]}
        for wish, taken in zip(one.wishes, answer, strict=True)
    ]
    return {"owner": one.owner, "items": items}
