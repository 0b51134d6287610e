"""Orders and items: created once, read, changed, folded, told about, forgotten."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orders.errors import ItemNotFound, OrderFinal, OrderNotFinal, OrderNotFound
from orders.model import NewItem, NewOrder, State

if TYPE_CHECKING:
    from tests.orders.conftest import Bench


def test_everything_given_comes_back(bench: Bench) -> None:
    order_id = bench.order("1", "2", key="k", correlation="c", priority=1, plan_hash="h", id="o-1")
    with bench.database.read() as rx:
        order = bench.ledger.order(rx, order_id)
    assert (order.id, order.layer, order.key, order.correlation) == ("o-1", "rom", "k", "c")
    assert (order.priority, order.plan_hash, order.state) == (1, "h", State.ACKNOWLEDGED)
    assert order.body == {"note": "hello"}
    assert [(item.id, item.action, item.body) for item in order.items] == [
        ("1", "add", {"x": "1"}),
        ("2", "add", {"x": "2"}),
    ]
    assert order.created == bench.clock.now()
    assert (order.started, order.completed, order.plan) == (None, None, None)


def test_the_same_key_is_the_same_order(bench: Bench) -> None:
    first = bench.order("1", key="k")
    with bench.database.write() as tx:
        again, created = bench.ledger.create(tx, NewOrder("rom", {}, (), key="k"))
        other, other_created = bench.ledger.create(tx, NewOrder("som", {}, (), key="k"))
    assert (again.id, created) == (first, False)
    assert other_created
    assert other.id != first
    with bench.database.read() as rx:
        known = bench.ledger.by_key(rx, "rom", "k")
        assert known is not None
        assert known.id == first
        assert bench.ledger.by_key(rx, "com", "k") is None


def test_the_same_key_at_the_same_time(bench: Bench) -> None:
    ids: list[str] = []
    gate = threading.Barrier(4)

    def submit() -> None:
        gate.wait()
        ids.append(bench.order("1", key="race"))

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1


def test_orders_are_listed_in_pages(bench: Bench) -> None:
    ids = [bench.order("1") for _ in range(5)]
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, ids[0], "1", state=State.COMPLETED)
    with bench.database.read() as rx:
        page, total = bench.ledger.orders(rx, "rom", offset=1, limit=2)
        assert ([order.id for order in page], total) == ([ids[3], ids[2]], 5)
        assert page[0].items[0].id == "1"
        page, total = bench.ledger.orders(rx, "rom", state=State.COMPLETED)
        assert ([order.id for order in page], total) == ([ids[0]], 1)
        page, _ = bench.ledger.orders(rx, "rom", newest_first=False)
        assert [order.id for order in page] == ids
        assert bench.ledger.orders(rx, "com") == ([], 0)
        assert sorted(bench.ledger.counts(rx)) == [
            ("rom", State.ACKNOWLEDGED, 4),
            ("rom", State.COMPLETED, 1),
        ]


def test_an_item_changes_only_where_told(bench: Bench) -> None:
    order_id = bench.order("1")
    with bench.database.write() as tx:
        bench.ledger.update_item(
            tx,
            order_id,
            "1",
            before={"a": 1},
            after={"a": 2},
            result={"vlan": 7},
            error={"code": "X"},
        )
        bench.ledger.update_item(tx, order_id, "1", result={"port": 3}, instance="r1")
    item = bench.item(order_id, "1")
    assert (item.before, item.after, item.error) == ({"a": 1}, {"a": 2}, {"code": "X"})
    assert (item.result, item.instance, item.state) == (
        {"vlan": 7, "port": 3},
        "r1",
        State.ACKNOWLEDGED,
    )
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", after=None, error=None, body={"y": 1})
    item = bench.item(order_id, "1")
    assert (item.before, item.after, item.error, item.body) == ({"a": 1}, None, None, {"y": 1})


def test_the_order_follows_its_items_and_the_observer_hears_of_it(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.IN_PROGRESS)
    bench.clock.advance(timedelta(seconds=5))
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
        after = bench.ledger.update_item(tx, order_id, "2", state=State.FAILED)
    assert after.state is State.PARTIAL
    with bench.database.read() as rx:
        order = bench.ledger.order(rx, order_id)
    assert order == after
    assert order.started
    assert order.completed == order.started + timedelta(seconds=5)
    assert bench.watcher.seen == [
        ("order", "acknowledged", None),
        ("1", "inProgress", "acknowledged"),
        ("order", "inProgress", "acknowledged"),
        ("1", "completed", "inProgress"),
        ("2", "failed", "acknowledged"),
        ("order", "partial", "inProgress"),
    ]


def test_what_is_rolled_back_is_told_to_nobody_durable(bench: Bench) -> None:
    order_id = bench.order("1")
    with bench.database.dry_run() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
    assert bench.state(order_id) is State.ACKNOWLEDGED


def test_forced_rejection_rejects_the_items(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    with bench.database.write() as tx:
        order = bench.ledger.update_order(
            tx, order_id, state=State.REJECTED, plan={"p": 1}, plan_hash="h", body={"b": 1}
        )
    assert order.state is State.REJECTED
    assert {item.state for item in order.items} == {State.REJECTED}
    assert (order.plan, order.plan_hash, order.body) == ({"p": 1}, "h", {"b": 1})
    assert bench.watcher.seen[-1] == ("order", "rejected", "acknowledged")


def test_cancellation_is_asked_for_refused_and_done(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.HELD)
        asked = bench.ledger.update_order(tx, order_id, state=State.ASSESSING_CANCELLATION)
        assert asked.state is State.ASSESSING_CANCELLATION
        refused = bench.ledger.update_order(tx, order_id, state=State.IN_PROGRESS)
        assert refused.state is State.HELD
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
        bench.ledger.update_order(tx, order_id, state=State.PENDING_CANCELLATION)
        for item in ("2", "1"):
            order = bench.ledger.update_item(tx, order_id, item, state=State.CANCELLED)
    assert order.state is State.CANCELLED


def test_a_partly_cancelled_order_is_forced(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
        bench.ledger.update_order(tx, order_id, state=State.PENDING_CANCELLATION)
        bench.ledger.update_item(tx, order_id, "2", state=State.CANCELLED)
        order = bench.ledger.update_order(tx, order_id, state=State.PARTIAL)
    assert order.state is State.PARTIAL
    assert [item.state for item in order.items] == [State.COMPLETED, State.CANCELLED]


def test_a_final_order_stays_final(bench: Bench) -> None:
    order_id = bench.order("1")
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
        with pytest.raises(OrderFinal):
            bench.ledger.update_item(tx, order_id, "1", state=State.CANCELLED)
        with pytest.raises(OrderFinal):
            bench.ledger.update_order(tx, order_id, state=State.IN_PROGRESS)
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED, result={"late": 1})
    assert bench.item(order_id, "1").result == {"late": 1}


def test_unknown_names_are_refused(bench: Bench) -> None:
    order_id = bench.order("1")
    with bench.database.write() as tx:
        with pytest.raises(OrderNotFound, match="nowhere"):
            bench.ledger.update_order(tx, "nowhere")
        with pytest.raises(ItemNotFound, match="its items are: 1"):
            bench.ledger.update_item(tx, order_id, "9")


def test_only_final_orders_are_forgotten(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.add(order_id, bench.spec("a"), bench.spec("b", "a"))
    with bench.database.write() as tx, pytest.raises(OrderNotFinal):
        bench.ledger.delete(tx, order_id)
    with bench.database.write() as tx:
        bench.ledger.update_order(tx, order_id, state=State.CANCELLED)
        bench.ledger.delete(tx, order_id)
    with bench.database.read() as rx:
        assert bench.ledger.tasks(rx, order_id) == []
        assert bench.ledger.journal(rx, order_id) == []
        with pytest.raises(OrderNotFound):
            bench.ledger.order(rx, order_id)


def test_earlier_orders_on_the_same_instance_block(bench: Bench) -> None:
    first = bench.order("1", instances=["r1"])
    second = bench.order("1", "2", instances=["r2", "r1"])
    third = bench.order("1", instances=["r1"])
    bench.order("1", instances=["r9"])
    with bench.database.write() as tx:
        new = NewOrder("som", {}, (NewItem("1", "modify", {}, instance="r1"),))
        above, _ = bench.ledger.create(tx, new)
        assert bench.ledger.blockers(tx, above.id) == ()
        assert bench.ledger.blockers(tx, first) == ()
        assert bench.ledger.blockers(tx, second) == (first,)
        assert bench.ledger.blockers(tx, third) == (first, second)
        bench.ledger.update_order(tx, first, state=State.COMPLETED)
        assert bench.ledger.blockers(tx, third) == (second,)


def test_orders_on_one_instance_never_overlook_each_other(bench: Bench) -> None:
    """Created at the same time: exactly one of all has no blocker."""
    gate = threading.Barrier(6)
    ids: list[str] = []

    def submit() -> None:
        gate.wait()
        order_id = bench.order("1", instances=["shared"])
        with bench.database.read() as rx:
            blockers[order_id] = bench.ledger.blockers(rx, order_id)
        ids.append(order_id)

    blockers: dict[str, tuple[str, ...]] = {}
    threads = [threading.Thread(target=submit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(found) for found in blockers.values()) == [0, 1, 2, 3, 4, 5]


def test_an_observer_that_raises_undoes_the_change(bench: Bench) -> None:
    order_id = bench.order("1")

    class Angry:
        def order_changed(self, *_: object) -> None:
            raise RuntimeError

        def item_changed(self, *_: object) -> None: ...

    bench.ledger.observe("rom", Angry())
    with pytest.raises(RuntimeError), bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
    assert bench.state(order_id) is State.ACKNOWLEDGED
