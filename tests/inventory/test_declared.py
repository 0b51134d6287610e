"""Declared kinds: any range of numbers that a catalog or an engineer says is one, without code."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import func, select, update

from inventory import allocator, pools, tables
from inventory.errors import (
    InvalidRange,
    KindConflict,
    KindInvalid,
    KindUnknown,
    PoolOverlap,
    ValueInvalid,
)
from inventory.values import kinds
from store import Database, TurnupError

TRUNK: dict[str, Any] = {
    "name": "trunk-id",
    "render": "digits",
    "digits": 4,
    "before": "TR-",
    "scope": "exchange",
    "range": [1, 9999],
    "domain": "trunk-id",
    "quarantine": 60,
    "reuse": "oldest",
}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Let each test begin in a process that knows Turnup's own kinds only."""
    for known in (kinds._declared, kinds._met):
        known.clear()
    yield
    for known in (kinds._declared, kinds._met):
        known.clear()


def declare(base: Database, document: Mapping[str, Any]) -> kinds.Kind:
    with base.write() as tx:
        return kinds.declare(tx, document)


def declared(base: Database) -> int:
    with base.read() as rx:
        count: int = rx.scalar(select(func.count()).select_from(tables.pool_kind))
        return count


def test_a_declared_kind_is_used_like_any_other(base: Database) -> None:
    made = declare(base, TRUNK)
    assert kinds.kind("trunk-id") == made
    assert "trunk-id" in kinds.kinds()
    with base.write() as tx:
        pools.create_pool(
            tx, "trunk-id", "north", first="TR-0100", last="TR-0199", exclude=["TR-0100-TR-0109"]
        )
        where: dict[str, Any] = {"kind": "trunk-id", "scope": "north"}
        assert allocator.take(tx, **where, owner="a")[0].text == "TR-0110"
        assert allocator.take(tx, **where, owner="b", value="TR-0150")[0].value == 150
        with pytest.raises(ValueInvalid, match="write 4 digits as TR-…"):
            allocator.take(tx, **where, owner="c", value="0150")
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, "trunk-id", "south", first=199, last=300)
        with pytest.raises(InvalidRange):
            pools.create_pool(tx, "trunk-id", "south", first=0, last=9)
        assert pools.pool(tx, "trunk-id@north").quarantine_seconds == 60


def test_made_on_demand_shared_and_stock(base: Database) -> None:
    common = {"render": "integer", "scope": "x"}
    for document in (
        {"name": "vni-of-site", "onDemand": True, "range": [1, 3], **common},
        {"name": "ring", "shared": True, "range": [1, 9], **common},
        {"name": "rack", "render": "names", "scope": "site", "stock": True},
    ):
        declare(base, document)
    with base.write() as tx:
        assert allocator.take(tx, kind="vni-of-site", scope="s1", owner="o")[0].value == 1
        pools.create_pool(tx, "ring", "metro")
        shared = [
            allocator.take_shared(tx, kind="ring", scope="metro", shared_by="k", user=user).value
            for user in "ab"
        ]
        assert shared == [1, 1]
        assert kinds.kind("ring").shared
        pools.create_pool(tx, "rack", "s1", values=["A1", "A2"])
        assert allocator.take(tx, kind="rack", scope="s1", owner="o")[0].text == "A1"


def test_the_same_declaration_again_changes_nothing(base: Database) -> None:
    declare(base, TRUNK)
    with base.write() as tx:
        pools.create_pool(tx, "trunk-id", "north")
    declare(base, dict(reversed(TRUNK.items())))
    assert declared(base) == 1


def test_other_content_while_there_are_pools_is_a_conflict(base: Database) -> None:
    declare(base, TRUNK)
    declare(base, TRUNK | {"digits": 5})
    assert kinds.render("trunk-id", {}, 7) == "TR-00007"
    with base.write() as tx:
        pools.create_pool(tx, "trunk-id", "north")
    with pytest.raises(KindConflict, match="1 pools") as failure:
        declare(base, TRUNK)
    assert failure.value.status == 409
    assert failure.value.details == {"kind": "trunk-id", "pools": 1, "differs": ["digits"]}
    assert kinds.render("trunk-id", {}, 7) == "TR-00007"
    with base.write() as tx:
        tx.execute(update(tables.pool).values(removed=tx.now))
    declare(base, TRUNK)
    assert kinds.render("trunk-id", {}, 7) == "TR-0007"


def test_a_rolled_back_declaration_is_not_known(base: Database) -> None:
    with base.dry_run() as tx:
        kinds.declare(tx, TRUNK)
        pools.create_pool(tx, "trunk-id", "north")
        assert allocator.take(tx, kind="trunk-id", scope="north", owner="o")[0].text == "TR-0001"
    with pytest.raises(KindUnknown), base.write() as tx:
        pools.create_pool(tx, "trunk-id", "north")
    with pytest.raises(KindUnknown):
        kinds.kind("trunk-id")


def test_a_rolled_back_change_is_forgotten(base: Database) -> None:
    declare(base, TRUNK)
    with base.dry_run() as tx:
        kinds.declare(tx, TRUNK | {"before": "T"})
        pools.create_pool(tx, "trunk-id", "north")
        assert allocator.take(tx, kind="trunk-id", scope="north", owner="o")[0].text == "T0001"
    with base.write() as tx:
        pools.create_pool(tx, "trunk-id", "north")
        assert allocator.take(tx, kind="trunk-id", scope="north", owner="o")[0].text == "TR-0001"


def test_what_another_process_declared_is_found(base: Database) -> None:
    declare(base, TRUNK)
    kinds._declared.clear()
    with pytest.raises(KindUnknown):
        kinds.kind("trunk-id")
    with base.read() as rx:
        assert kinds.kind("trunk-id", rx).domain == "trunk-id"
    kinds._declared.clear()
    with base.read() as rx:
        assert set(kinds.load(rx)) == {*kinds.own_kinds(), "trunk-id"}
    assert kinds.parse("trunk-id", {}, "TR-0042") == 42


def test_what_another_process_changed_is_read_again(base: Database) -> None:
    stale = declare(base, TRUNK)
    declare(base, TRUNK | {"before": "T"})
    kinds._declared["trunk-id"] = stale
    with base.write() as tx:
        pools.create_pool(tx, "trunk-id", "north")
        assert allocator.take(tx, kind="trunk-id", scope="north", owner="o")[0].text == "T0001"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": ""}, "name: write"),
        ({"name": "Trunk"}, "name: write"),
        ({"name": "a@b"}, "name: write"),
        ({"name": "x" * 64}, "name: write"),
        ({"render": "colour"}, "render: 'colour' is not one of"),
        ({"render": None}, "render: None is not one of"),
        ({"render": ["digits"]}, "render: .* is not one of"),
        ({"scope": 7}, "scope: 7 is not text"),
        ({"colour": "red"}, "colour: is no word of a kind"),
        ({"range": [9, 1]}, "is no range"),
        ({"range": [1, 10000]}, "is no range within TR-0000 to TR-9999"),
        ({"range": ["0001", "TR-0009"]}, "write 4 digits"),
        ({"range": [1, 2, 3]}, r"range: .* is not \[first, last\]"),
        ({"range": [1.5, 2]}, r"range: .* is not \[first, last\]"),
        ({"range": [True, 2]}, r"range: .* is not \[first, last\]"),
        ({"range": [-5, 2]}, r"range: .* is not \[first, last\]"),
        ({"ranges": {"GPON": [1, 2]}}, "range: there are ranges"),
        ({"never": [77777]}, "is no range"),
        ({"digits": 20}, "digits: 20 is not"),
        ({"digits": [5, 4]}, "digits: .* is not"),
        ({"digits": 0}, "digits: 0 is not"),
        ({"base": 8}, "base: 8 is not"),
        ({"base": 16, "check": "luhn"}, "check: a check digit goes with decimal"),
        ({"before": "two words"}, "before: 'two words' is not"),
        ({"check": "crc"}, "check: 'crc' is not luhn"),
        ({"domain": "a/b"}, "domain: 'a/b' is not"),
        ({"domain": ""}, "domain: '' is not"),
        ({"quarantine": -1}, "quarantine: -1 is not"),
        ({"quarantine": True}, "quarantine: True is not"),
        ({"quarantine": 10**12}, "quarantine: .* is not"),
        ({"reuse": "random"}, "reuse: 'random' is not"),
        ({"onDemand": "yes"}, "onDemand: 'yes' is not true or false"),
        ({"exclude": {"first": 2}}, "exclude: goes with"),
        ({"wholeFrom": 31}, "wholeFrom: goes with"),
        ({"length": 24}, "length: goes with"),
        ({"stock": True}, "domain: goes with ranges"),
        ({"render": "integer"}, "before: goes with render: digits only; digits: goes|digits: goes"),
        ({"perPort": True}, "perPort: give the ranges"),
    ],
)
def test_wrong_declarations_say_all_that_is_wrong(
    base: Database, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(KindInvalid, match=problem) as failure:
        declare(base, TRUNK | change)
    assert failure.value.status == 400
    assert failure.value.details["problems"]
    assert declared(base) == 0


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"name": "x", "render": "digits", "scope": "x"}, "digits: is missing"),
        ({"name": "x", "scope": "x"}, "render: is missing"),
        ({"name": "x", "render": "integer"}, "scope: is missing"),
        ({"name": "x", "render": "names", "scope": "x"}, "stock: names are single values"),
        (
            {"name": "x", "render": "integer", "scope": "x", "onDemand": True},
            "onDemand: give the range",
        ),
        (
            {"name": "x", "render": "ipv6-prefix", "scope": "x", "range": [1, 2]},
            "depend on the pool",
        ),
        ({"name": "x", "render": "ipv4-prefix", "scope": "x", "length": 200}, "length: 200 is not"),
        ({"name": "x", "render": "integer", "scope": "x", "ranges": {}}, "ranges: {} is not"),
        (
            {
                "name": "x",
                "render": "integer",
                "scope": "x",
                "perPort": True,
                "ranges": {"GPON": [1, 2]},
            },
            "only Turnup's own",
        ),
        ({}, "name: write"),
    ],
)
def test_documents_that_are_no_kind(base: Database, document: dict[str, Any], problem: str) -> None:
    with pytest.raises(KindInvalid, match=problem):
        declare(base, document)
    assert declared(base) == 0


@pytest.mark.parametrize("document", [None, [], "trunk-id", 7])
def test_what_is_no_document(base: Database, document: Any) -> None:
    with pytest.raises(KindInvalid):
        declare(base, document)


def test_several_mistakes_are_told_together(base: Database) -> None:
    with pytest.raises(KindInvalid) as failure:
        declare(base, {"name": "X", "render": "integer", "reuse": "never", "colour": 1})
    assert [problem.partition(":")[0] for problem in failure.value.details["problems"]] == [
        "name",
        "scope",
        "reuse",
        "colour",
    ]


def test_names_of_turnup_are_taken(base: Database) -> None:
    with pytest.raises(KindConflict, match="one of Turnup's own"):
        declare(base, TRUNK | {"name": "s-vlan"})
    own = {"name": "s-vlan", **kinds.own_kinds()["s-vlan"].document}
    assert declare(base, own) is not None
    assert declared(base) == 0


def test_two_who_declare_at_the_same_moment(base: Database) -> None:
    found: list[object] = []
    gate = threading.Barrier(4)

    def run(digits: int) -> None:
        gate.wait()
        try:
            with base.write() as tx:
                found.append(kinds.declare(tx, TRUNK | {"digits": digits}))
                pools.create_pool(tx, "trunk-id", f"exchange-{digits}", domain=str(digits))
        except TurnupError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(digits,)) for digits in (4, 5, 6, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, KindConflict) for one in found) == 3
    assert declared(base) == 1
    with base.read() as rx:
        assert len(pools.pools(rx, "trunk-id")) == 1
