"""Fallout: what is held is shown, and retried, skipped or done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orders.errors import FalloutClosed, FalloutNotFound
from orders.model import Done, Json, Outcome, State, Task
from store import Tx

if TYPE_CHECKING:
    from tests.orders.conftest import Bench


def test_a_fallout_says_what_is_wrong(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    fallout = bench.hold(order_id)
    assert (fallout.code, fallout.explanation) == ("PORT_DEAD", "The port is dead.")
    assert (fallout.remedy, fallout.details) == ("Use another one.", {"port": 3})
    assert (fallout.order_id, fallout.items, fallout.layer) == (order_id, ("1",), "rom")
    assert (fallout.state, fallout.created) == ("open", bench.clock.now())
    with bench.database.read() as rx:
        assert bench.ledger.fallout(rx, fallout.id) == fallout
        assert bench.ledger.fallouts(rx, order_id="other") == []
        assert bench.ledger.fallouts(rx, state="closed") == []
        assert bench.ledger.fallouts(rx, state="nonsense") == []
        with pytest.raises(FalloutNotFound):
            bench.ledger.fallout(rx, "nothing")
    assert bench.item(order_id, "1").state is State.HELD
    assert bench.item(order_id, "1").error == {
        "code": "PORT_DEAD",
        "explanation": "The port is dead.",
        "remedy": "Use another one.",
        "fallout": fallout.id,
    }
    assert bench.item(order_id, "2").error is None
    assert bench.state(order_id) is State.HELD


def test_retry_runs_the_task_again_with_other_arguments(bench: Bench) -> None:
    order_id = bench.order("1")
    fallout = bench.hold(order_id)
    seen: list[Task] = []

    def record(_tx: Tx, task: Task, _result: Any) -> Outcome:
        seen.append(task)
        return Done()

    bench.on("hold@1", record)
    with bench.database.write() as tx:
        bench.ledger.retry(
            tx, fallout.id, arguments={"port": 4}, plan_hash="new", evidence="port moved"
        )
    item = bench.item(order_id, "1")
    assert (item.state, item.error) == (State.IN_PROGRESS, None)
    assert bench.run() == ["t"]
    assert seen[0].args == {"port": 4, "planHash": "new"}
    with bench.database.read() as rx:
        assert bench.ledger.order(rx, order_id).plan_hash == "new"
        closed = bench.ledger.fallout(rx, fallout.id)
        assert bench.ledger.fallouts(rx) == []
    assert (closed.state, closed.resolution, closed.evidence) == ("closed", "retried", "port moved")
    assert closed.closed == bench.clock.now()


def test_a_fallout_is_resolved_once(bench: Bench) -> None:
    fallout = bench.hold(bench.order("1"))
    with bench.database.write() as tx:
        bench.ledger.retry(tx, fallout.id)
        with pytest.raises(FalloutClosed, match="retried before"):
            bench.ledger.skip(tx, fallout.id, "again")
        with pytest.raises(FalloutNotFound):
            bench.ledger.retry(tx, "nothing")


def test_held_again_is_a_new_fallout(bench: Bench) -> None:
    order_id = bench.order("1")
    first = bench.hold(order_id)
    with bench.database.write() as tx:
        bench.ledger.retry(tx, first.id)
    bench.run()
    with bench.database.read() as rx:
        (second,) = bench.ledger.fallouts(rx)
        assert len(bench.ledger.fallouts(rx, state=None)) == 2
    assert second.id != first.id
    assert bench.state(order_id) is State.HELD


def test_skip_goes_on_without_the_step(bench: Bench) -> None:
    order_id = bench.order("1")
    fallout = bench.hold(order_id)
    bench.add(order_id, bench.spec("next", "t", items=("1",)))
    with bench.database.write() as tx:
        bench.ledger.skip(tx, fallout.id, "not needed here")
    assert bench.item(order_id, "1").state is State.IN_PROGRESS
    assert bench.item(order_id, "1").result == {"note": "t was skipped: not needed here"}
    assert bench.run() == ["next"]
    assert bench.states(order_id) == {"t": "skipped", "next": "done"}


def test_skipping_the_last_step_completes_the_item(bench: Bench) -> None:
    order_id = bench.order("1")
    fallout = bench.hold(order_id)
    with bench.database.write() as tx:
        bench.ledger.skip(tx, fallout.id, "enough")
    item = bench.item(order_id, "1")
    assert (item.state, item.error) == (State.COMPLETED, None)
    assert bench.state(order_id) is State.COMPLETED


def test_done_by_hand_keeps_the_result_and_tells_the_handler(bench: Bench) -> None:
    order_id = bench.order("1")
    fallout = bench.hold(order_id)
    told: list[tuple[str, Json]] = []

    class ByHand:
        def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
            raise NotImplementedError

        def settle(self, tx: Tx, task: Task, arguments: Json) -> None:
            told.append((task.key, arguments))
            bench.ledger.update_item(tx, task.order_id, "1", result={"port": arguments["port"]})

    bench.ledger.register("hold@1", ByHand())
    with bench.database.write() as tx:
        bench.ledger.complete(tx, fallout.id, "patched by hand", {"port": 9})
    task = bench.tasks(order_id)["t"]
    assert (task.state, task.result, told) == ("done", {"port": 9}, [("t", {"port": 9})])
    item = bench.item(order_id, "1")
    assert item.state is State.COMPLETED
    assert item.result == {"port": 9, "note": "t was done by hand: patched by hand"}


def test_an_item_is_held_as_long_as_anything_of_it_is(bench: Bench) -> None:
    order_id = bench.order("1")
    first = bench.hold(order_id, "a")
    second = bench.hold(order_id, "b")
    bench.on("hold@1")
    with bench.database.write() as tx:
        bench.ledger.retry(tx, first.id)
    assert bench.item(order_id, "1").state is State.HELD
    with bench.database.write() as tx:
        bench.ledger.skip(tx, second.id, "no")
    assert bench.item(order_id, "1").state is State.IN_PROGRESS


def test_a_final_item_is_not_held(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "1", state=State.COMPLETED)
    fallout = bench.hold(order_id)
    assert bench.item(order_id, "1").state is State.COMPLETED
    assert bench.state(order_id) is State.IN_PROGRESS
    with bench.database.write() as tx:
        bench.ledger.complete(tx, fallout.id, "late watch", None)
    assert bench.item(order_id, "1").state is State.COMPLETED


def test_resolutions_are_journalled(bench: Bench) -> None:
    order_id = bench.order("1")
    fallout = bench.hold(order_id)
    with bench.database.write() as tx:
        bench.ledger.skip(tx, fallout.id, "because")
    with bench.database.read() as rx:
        last = bench.ledger.journal(rx, order_id)[-1]
    assert (last.event, last.task, last.data) == ("skipped", fallout.task, {"evidence": "because"})
