"""The account of a domain's places against a simple model: no place is ever held by two pools that are not kin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from inventory import tables
from inventory.errors import PoolOverlap
from inventory.shaping import extents
from store import Database, Tx

DOMAIN = "asn/default"
POOLS = 4
MOST = 40

ends = st.tuples(st.integers(1, MOST), st.integers(0, 9)).map(lambda e: (e[0], e[0] + e[1]))
steps = st.lists(
    st.tuples(
        st.sampled_from(["hold", "leave", "pass", "remove"]),
        st.integers(1, POOLS),
        st.integers(1, POOLS),
        ends,
    ),
    max_size=40,
)


def pool(number: int) -> dict[str, object]:
    return {
        "number": number, "id": f"asn@{number}", "kind": "asn", "scope": str(number), "domain": DOMAIN, "first": 0,
        "last": 0, "quarantine_seconds": 0, "reuse": "lowest", "params": {},
    }  # fmt: skip


def held(tx: Tx) -> Iterator[tuple[int, int]]:
    """Yield (place, pool) for all that the table says, of removed pools, too."""
    table = tables.pool_extent
    for row in tx.rows(select(table.c.low, table.c.high, table.c.pool).order_by(table.c.low)):
        yield from ((place, row.pool) for place in range(int(row.low, 16), int(row.high, 16) + 1))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_the_account_is_what_a_mapping_would_say(
    base: Database, steps: list[tuple[str, int, int, tuple[int, int]]]
) -> None:
    model: dict[int, int] = {}
    there = set(range(1, POOLS + 1))
    with base.dry_run() as tx:
        tx.execute(
            insert(tables.pool), [pool(number) | {"created": tx.now} for number in sorted(there)]
        )
        for what, number, other, (first, last) in steps:
            places = range(first, last + 1)
            if not {number, other} <= there:
                continue
            match what:
                case "hold" if any(model.get(place, number) != number for place in places):
                    with pytest.raises(PoolOverlap):
                        extents.hold(tx, number, first, last)
                case "hold":
                    extents.hold(tx, number, first, last)
                    model |= dict.fromkeys(places, number)
                case "leave":
                    extents.leave(tx, number, first, last)
                    model = {p: n for p, n in model.items() if not (n == number and p in places)}
                case "pass" if all(model.get(place) == number for place in places):
                    extents.pass_on(tx, number, other, first, last)
                    model |= dict.fromkeys(places, other)
                case "remove" if len(there) > 1:
                    tx.execute(
                        update(tables.pool)
                        .where(tables.pool.c.number == number)
                        .values(removed=tx.now)
                    )
                    there.remove(number)
                    model = {p: n for p, n in model.items() if n != number}
            found = list(held(tx))
            assert len(found) == len({place for place, _ in found})
            assert {place: n for place, n in found if n in there} == model
