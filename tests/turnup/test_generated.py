"""The network that benchmarks/impact.py measures is made of rows as real orders leave them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks._subscribers import CUSTOMERS, Rows, Size, Template, generate, learn, line_rows
from benchmarks.impact import one_order
from inventory import allocator, impact, instances, pools
from inventory.impact import Page
from inventory.lineage import timeline
from store import Database, Rx

Json = dict[str, Any]
SIZE = Size(2 * CUSTOMERS + 5, history=2)
LAST = f"{SIZE.subscribers - 1:09d}"
TABLES = ("instance", "relation", "footprint", "stake", "allocation")


class Learnt:
    """What one real order left, read while it is there."""

    def __init__(self, database: Database, product: str) -> None:
        self.template: Template = learn(database, product)
        with database.read() as rx:
            self.shape = shape(rx, line_rows(rx, product))
            self.hurt = impact.impact(rx, node="olt-east-07/pon1")
            self.port = lived(rx, "olt-east-07/pon1")
            self.device = lived(rx, "olt-east-07")
            self.pool = pool_rows(rx, "onu-id@olt-east-07/pon1")


@pytest.fixture(scope="module")
def learnt() -> Iterator[Learnt]:
    with one_order() as (database, product):
        yield Learnt(database, product)


@pytest.fixture
def generated(learnt: Learnt, store_url: str) -> Iterator[Database]:
    generate(store_url, learnt.template, SIZE)
    database = Database(store_url)
    yield database
    database.close()


def shape(rx: Rx, rows: Rows) -> Counter[str]:
    """Count the rows by what they are: table, what they are of, which columns say something, and the JSON's keys."""
    specs = {row["id"]: row["spec"] or row["kind"] for row in rows["instance"]}
    return Counter(
        json.dumps([table, {name: _form(row, name, specs) for name in row}], sort_keys=True)
        for table in TABLES
        for row in rows[table]
    ) + Counter({f"nodes {kind}": n for kind, n in _nodes(rx, rows).items()})


def _form(row: Json, column: str, specs: Json) -> Any:
    value = row[column]
    if column in ("row", "id") or column == "pool":
        return type(value).__name__
    if column in ("kind", "category", "spec", "state", "key", "type", "role", "layer", "ordinal"):
        return value if row.get("spec") not in ("IPv4-Address", "IPv6-Prefix") else column
    if column in ("source", "target", "instance"):
        return specs.get(value, "port")
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    return _keys(value)


def _keys(value: Any) -> Any:
    match value:
        case dict():
            return {name: _keys(inside) for name, inside in value.items()}
        case list():
            return [_keys(inside) for inside in value]
        case _:
            return type(value).__name__


def _nodes(rx: Rx, rows: Rows) -> Counter[str]:
    kinds = {
        row.id: f"{row.kind} {row.role}" for row in rx.rows(text("SELECT id, kind, role FROM node"))
    }
    return Counter(kinds[row["node"]] for row in rows["footprint"])


def lived(rx: Rx, id_: str) -> list[tuple[str, list[str]]]:
    steps = timeline.of_instance(rx, id_)
    return [(s.version.instance.state, [c.attribute for c in s.changes]) for s in steps]


def pool_rows(rx: Rx, id_: str) -> list[list[str]]:
    """Return which columns the rows of a pool fill, table by table."""
    number = rx.scalar(text("SELECT number FROM pool WHERE id = :id"), {"id": id_})
    found = []
    for table, column in (
        ("pool", "number"),
        *((t, "pool") for t in ("pool_span", "pool_event", "free_range")),
    ):
        query = text(f"SELECT * FROM {table} WHERE {column} = :number")
        rows = rx.execute(query, {"number": number}).mappings()
        found += [sorted(name for name, value in row.items() if value is not None) for row in rows]
    return found


def test_a_subscriber_is_what_an_order_leaves(learnt: Learnt, generated: Database) -> None:
    with generated.read() as rx:
        for number in (0, CUSTOMERS, 2 * CUSTOMERS + 2):
            assert shape(rx, line_rows(rx, f"pr{number:09d}")) == learnt.shape
        without = line_rows(rx, f"pr{CUSTOMERS + 1:09d}")
        assert not any(row["valid_to"] for table in TABLES for row in without[table])


def test_a_port_and_an_olt_are_what_an_import_and_an_order_leave(
    learnt: Learnt, generated: Database
) -> None:
    with generated.read() as rx:
        assert lived(rx, "olt-00000/pon2") == learnt.port
        assert lived(rx, "olt-00000") == learnt.device
        assert pool_rows(rx, "onu-id@olt-00000/pon2") == learnt.pool


def test_impact_is_that_of_the_real_line(learnt: Learnt, generated: Database) -> None:
    with generated.read() as rx:
        found = impact.impact(rx, node="olt-00000/pon3")
        assert found["total"]["products"] == len(found["products"]) == 5
        for kind in ("services", "resources"):
            kept = {one["specification"] for one in found[kind] if "specification" in one}
            real = {one["specification"] for one in learnt.hurt[kind] if "specification" in one}
            assert kept <= real
            assert kept
        down = impact.impact(rx, party=f"CUST-{LAST}")
        assert [one["id"] for one in down["standsOn"]["ports"]] == ["olt-00000/pon3"]
        whole = impact.impact(rx, node="bng-1", page=Page(10, 3))
        assert whole["total"]["products"] == SIZE.subscribers
        assert [one["id"] for one in whole["products"]] == [f"pr{n:09d}" for n in (10, 11, 12)]


def test_beyond_the_bound_lines_are_counted_and_paged(
    generated: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with generated.read() as rx:
        exact = impact.impact(rx, node="olt-00000", page=Page(0, 10_000))
        monkeypatch.setattr(impact, "EXACT", 20)
        pages = [impact.impact(rx, node="olt-00000", page=Page(n, 50)) for n in (0, 50, 100)]
        for kind in ("products", "services", "resources"):
            seen = {one["id"] for page in pages for one in page[kind]}
            lineless = {one["id"] for one in exact[kind] if "line" not in one}
            assert seen | lineless == {one["id"] for one in exact[kind]}
        for page in pages:
            assert page["total"]["products"] == exact["total"]["products"] == SIZE.subscribers
            assert page["total"]["services"] is None
        held = impact.impact(rx, pool="ipv4@bng-1", page=Page(0, 7))
        assert held["total"]["allocations"] == SIZE.subscribers
        assert len(held["products"]) == 7


def test_the_real_code_goes_on_from_there(generated: Database) -> None:
    with generated.read() as rx:
        for pool in pools.pools(rx):
            assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity
        text_of = {a.text for a in allocator.allocations(rx, owner_prefix=f"reip{LAST}:")}
        assert instances.get(rx, f"reip{LAST}").characteristics["ipv4"] in text_of
        assert instances.get(rx, f"reip{LAST}").characteristics["ipv6Prefix"] in text_of
        access = instances.get(rx, f"reaccess{LAST}")
        held = allocator.allocations(rx, owner_prefix=f"reaccess{LAST}:")
        values = {name: access.characteristics[name] for name in ("onuId", "allocId", "gemPort")}
        assert {a.owner.split(":")[1]: a.value for a in held} == values
    with generated.write() as tx:
        (taken,) = allocator.take(tx, kind="onu-id", scope="olt-00000/pon3", owner="me")
        assert taken.value == 5
        (other,) = allocator.take(tx, kind="ipv4", scope="bng-1", owner="me")
        assert other.value == 2 + (10 << 24) + SIZE.subscribers
