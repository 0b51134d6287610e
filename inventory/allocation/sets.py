"""Sets: values of several pools for many owners, in one transaction and few statements.

What is ordinary is taken by runs, pool by pool, and written at once; what is not goes step by step (`taking`).
Pools are always visited in the order of their numbers: two sets never wait for each other in a circle.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from inventory.allocation import quick, ranges
from inventory.allocation.holdings import Allocation, Held, PoolRow, locate_many
from inventory.allocation.taking import (
    COLUMNS,
    TYPES,
    Terms,
    Wish,
    allocation_of,
    row_of,
    same,
    take_one,
    terms_of,
)
from inventory.cause import Cause
from inventory.counting.usage import pool_id
from inventory.raw import Raw, UniqueViolation, marks
from store import Tx

Answer = tuple[Allocation, ...]
_CHUNK = 400
_WORTH_A_COPY = 50


def take_set(
    tx: Tx,
    wishes: Sequence[Wish],
    *,
    state: Literal["reserved", "active"] = "reserved",
    ttl_seconds: int | None = None,
    cause: Cause | None = None,
) -> tuple[Answer, ...]:
    """Take all that is wished, or nothing: one subscriber's set, or a bulk of thousands.

    Args:
        tx: the transaction; the values are taken when it commits.
        wishes: one per owner and pool; an owner that holds values of the pool already gets those.
        state: as in `take`, for all.
        ttl_seconds: as in `take`, for all.
        cause: the order item.

    Returns:
        The allocations of each wish, in the order of the wishes.

    Raises the errors of `allocator.take`; the caller's transaction must then be rolled back.

    """
    terms = terms_of(tx, state=state, ttl_seconds=ttl_seconds, cause=cause)
    return _Set(tx, Raw(tx), wishes, terms).run()


@dataclass(frozen=True, slots=True)
class _Taken:
    """Values taken out of the free ranges of a pool for one wish, not yet written down."""

    index: int
    pool: PoolRow
    values: Sequence[int]


class _Set:
    def __init__(self, tx: Tx, raw: Raw, wishes: Sequence[Wish], terms: Terms) -> None:
        self._tx = tx
        self._raw = raw
        self._wishes = wishes
        self._terms = terms
        self._answers: list[Answer | None] = [None] * len(wishes)
        self._subjects = any(wish.subject is not None for wish in wishes)
        self._ids = [pool_id(wish.kind, wish.scope) for wish in wishes]

    def run(self) -> tuple[Answer, ...]:
        left = self._quickly()
        if left:
            self._carefully(left)
        for index, answer in enumerate(self._answers):
            if answer is None:
                self._step(index)
        return tuple(answer or () for answer in self._answers)

    def _quickly(self) -> Sequence[int]:
        """Take one value each of known pools; return which wishes are left."""
        everything = range(len(self._wishes))
        pools = quick.known(self._tx)
        wanted = [
            (pool, wish)
            for id_, wish in zip(self._ids, self._wishes, strict=True)
            if (pool := pools.get(id_)) is not None and _ordinary(wish) and wish.count == 1
        ]
        if len(wanted) != len(everything) or not _few_and_different(self._ids) or self._subjects:
            return everything
        for index, value in enumerate(quick.take_firsts(self._raw, wanted, self._terms)):
            if value is not None:
                self._answer(index, wanted[index][0], (value,))
        return [index for index in everything if self._answers[index] is None]

    def _carefully(self, left: Sequence[int]) -> None:
        """Look up pools and what is held, then take runs, pool by pool, and the special cases between."""
        pools, held = locate_many(
            self._raw,
            _distinct(self._ids[index] for index in left),
            _distinct(self._wishes[index].owner for index in left),
        )
        quick.remember(self._tx, pools.values())
        plain, special = self._sort(left, pools, held)
        self._by_runs({pool.number: pool for pool in pools.values()}, plain, special)

    def _sort(
        self,
        left: Sequence[int],
        pools: Mapping[str, PoolRow],
        held: Mapping[tuple[int, str], list[Held]],
    ) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Answer what is held already; return by pool number what is ordinary, and what is not.

        What has no pool yet, and what asks twice for the same owner, is left for last.
        """
        plain: dict[int, list[int]] = {}
        special: dict[int, list[int]] = {}
        seen: set[tuple[int, str]] = set()
        for index in left:
            wish = self._wishes[index]
            pool = pools.get(self._ids[index])
            if pool is None or (mine := (pool.number, wish.owner)) in seen:
                continue
            seen.add(mine)
            if mine in held and not _expired(held[mine], self._terms.now):
                self._answers[index] = same(pool, held[mine], wish.value)
            elif mine in held or pool.draining or not _ordinary(wish):
                special.setdefault(pool.number, []).append(index)
            else:
                plain.setdefault(pool.number, []).append(index)
        for number, indexes in plain.items() if self._subjects else ():
            reusing = self._reusing(number, indexes)
            if reusing:
                special.setdefault(number, []).extend(reusing)
                indexes[:] = [index for index in indexes if index not in reusing]
        return plain, special

    def _reusing(self, number: int, indexes: Sequence[int]) -> set[int]:
        """Return the wishes whose subject gave a value back a short while ago, and will have that again."""
        found: set[int] = set()
        subjects = {
            subject: index
            for index in indexes
            if (subject := self._wishes[index].subject) is not None
        }
        for chunk in _chunks(list(subjects)):
            rows = self._raw.all(
                f"SELECT subject FROM free_range WHERE pool = ? AND subject IN ({marks(len(chunk))}) "
                "AND free_at > ?",
                number,
                *chunk,
                self._terms.now,
            )
            found |= {subjects[row[0]] for row in rows}
        return found

    # -- runs ---------------------------------------------------------------------------------------

    def _by_runs(
        self,
        pools: Mapping[int, PoolRow],
        plain: Mapping[int, Sequence[int]],
        special: Mapping[int, Sequence[int]],
    ) -> None:
        """Take runs, pool by pool, and write them down at once."""
        if self._raw.waits:
            self._line_up(plain)
        taken: list[_Taken] = []
        for number in sorted(plain.keys() | special.keys()):
            indexes = plain.get(number, ())
            mine = list(self._runs(pools[number], indexes))
            taken += mine
            # expired, resting, full: what waits for others does so while only lower pools are held
            for index in (*indexes[len(mine) :], *special.get(number, ())):
                self._step(index)
        self._write(taken)

    def _line_up(self, plain: Mapping[int, Sequence[int]]) -> None:
        """Let takers of many come one by one: two that each hold a range of a pool would wait for the other's."""
        many = [
            number
            for number, indexes in plain.items()
            if sum(self._wishes[index].count for index in indexes) > 1
        ]
        if many:
            self._raw.all(
                "SELECT number FROM pool WHERE number = ANY(?) ORDER BY number {lock}", many
            )

    def _runs(self, pool: PoolRow, indexes: Sequence[int]) -> Iterator[_Taken]:
        wanted = sum(self._wishes[index].count for index in indexes)
        values: list[int] = []
        while len(values) < wanted:
            run = ranges.lowest(self._raw, pool.number, self._terms.now, wanted - len(values))
            if run is None:
                break
            values += run
        used = 0
        for index in indexes:
            count = self._wishes[index].count
            if used + count > len(values):
                break
            yield _Taken(index, pool, values[used : used + count])
            used += count
        if used < len(values):
            ranges.give_back(self._raw, pool.number, values[used:])

    def _write(self, taken: Sequence[_Taken]) -> None:
        rows = [
            row_of(one.pool.number, value, ordinal, wish, self._terms, _text(wish))
            for one in taken
            for wish in (self._wishes[one.index],)
            for ordinal, value in enumerate(one.values)
        ]
        if rows and not self._write_rows(rows):
            taken = self._settle(taken)
        for one in taken:
            self._answer(one.index, one.pool, one.values)

    def _write_rows(self, rows: Sequence[tuple[object, ...]]) -> bool:
        if self._raw.waits and len(rows) >= _WORTH_A_COPY:
            try:
                with self._tx.savepoint():
                    self._raw.copy("allocation", COLUMNS, rows)
            except UniqueViolation:
                pass
            else:
                return True
        return self._raw.insert("allocation", COLUMNS, TYPES, rows) == len(rows)

    def _settle(self, taken: Sequence[_Taken]) -> list[_Taken]:
        """Another had one of the values, or one of the owners was first elsewhere: do those step by step."""
        good: list[_Taken] = []
        for one in taken:
            owner = self._wishes[one.index].owner
            holders = {
                value: ranges.holder(self._raw, one.pool.number, value) for value in one.values
            }
            if all(holder == owner for holder in holders.values()):
                good.append(one)
                continue
            mine = [value for value, holder in holders.items() if holder == owner]
            for value in mine:
                self._raw.run(
                    "DELETE FROM allocation WHERE pool = ? AND value = ? AND valid_to IS NULL",
                    one.pool.number,
                    value,
                )
            free = [value for value, holder in holders.items() if holder is None]
            ranges.give_back(self._raw, one.pool.number, mine + free)
            self._step(one.index)
        return good

    # -- answers ------------------------------------------------------------------------------------

    def _answer(self, index: int, pool: PoolRow, values: Sequence[int]) -> None:
        wish, terms = self._wishes[index], self._terms
        self._answers[index] = tuple(
            allocation_of(pool, value, wish, terms, wish.reason) for value in values
        )

    def _step(self, index: int) -> None:
        self._answers[index] = take_one(self._tx, self._raw, self._wishes[index], self._terms)


def _ordinary(wish: Wish) -> bool:
    return wish.value is None and wish.band is None


def _few_and_different(ids: Sequence[str]) -> bool:
    return len(ids) <= quick.MOST and len(set(ids)) == len(ids)


def _expired(held: Sequence[Held], now: int) -> bool:
    return any(one.expires_at is not None and one.expires_at <= now for one in held)


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _text(wish: Wish) -> str | None:
    return None if wish.reason is None else json.dumps(wish.reason)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
