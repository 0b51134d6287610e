"""Tasks: dependencies, claims, priority, leases, retries and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orders.errors import LeaseLost, OrderNotFound, TaskNeedsInvalid, TaskNotFound
from orders.model import Done, Failed, Hold, Outcome, Retry, State, Task, TaskSpec, Wait
from store import Conflict, Tx

if TYPE_CHECKING:
    from tests.orders.conftest import Bench


class Flaky(Conflict):
    """A trouble that passes."""

    code = "DEVICE_UNREACHABLE"
    transient = True


class Refused(Conflict):
    """A trouble that stays."""

    code = "DEVICE_REJECTED"


def test_tasks_run_when_what_they_need_has_ended(bench: Bench) -> None:
    order_id = bench.order("1")
    spec = bench.spec
    bench.add(order_id, spec("d", "b", "c"), spec("b", "a"), spec("c", "a"), spec("a"))
    assert bench.states(order_id) == {"a": "ready", "b": "blocked", "c": "blocked", "d": "blocked"}
    ran = bench.run()
    assert (ran[0], set(ran[1:3]), ran[3]) == ("a", {"b", "c"}, "d")
    assert set(bench.tasks(order_id)["d"].needs) == {"b", "c"}
    assert set(bench.states(order_id).values()) == {"done"}


def test_a_known_key_is_ignored_and_an_ended_need_is_met(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.add(order_id, bench.spec("a", args={"first": True}))
    bench.run()
    bench.add(order_id, bench.spec("a", args={"second": True}), bench.spec("b", "a"))
    assert bench.tasks(order_id)["a"].args == {"first": True}
    assert bench.run() == ["b"]


def test_a_step_adds_tasks_that_need_it(bench: Bench) -> None:
    order_id = bench.order("1")

    def plan(tx: Tx, task: Task, _result: Any) -> Outcome:
        bench.ledger.add_tasks(tx, task.order_id, [bench.spec("next", task.key)])
        assert bench.ledger.tasks(tx, task.order_id)[-1].state == "blocked"
        return Done()

    bench.on("plan@1", plan)
    bench.add(order_id, bench.spec("plan", kind="plan@1"))
    assert bench.run() == ["plan", "next"]


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        ([TaskSpec("a", "x@1", needs=("b",)), TaskSpec("b", "x@1", needs=("a",))], "each other"),
        ([TaskSpec("a", "x@1", needs=("a",))], "each other"),
        ([TaskSpec("a", "x@1", needs=("ghost",))], "ghost"),
    ],
)
def test_impossible_needs_are_refused(bench: Bench, specs: list[TaskSpec], says: str) -> None:
    order_id = bench.order("1")
    with bench.database.write() as tx, pytest.raises(TaskNeedsInvalid, match=says):
        bench.ledger.add_tasks(tx, order_id, specs)


def test_tasks_of_an_unknown_order_are_refused(bench: Bench) -> None:
    with bench.database.write() as tx:
        with pytest.raises(OrderNotFound):
            bench.ledger.add_tasks(tx, "nowhere", [])
        with pytest.raises(TaskNotFound):
            bench.ledger.task(tx, "nothing")


def test_priority_comes_first_but_age_counts(bench: Bench) -> None:
    bulk = bench.order("1", priority=4)
    bench.add(bulk, bench.spec("bulk"))
    bench.clock.advance(timedelta(seconds=30))
    urgent = bench.order("1", priority=0)
    bench.add(urgent, bench.spec("urgent"))
    claimed = bench.claim()
    assert claimed.key == "urgent"
    bench.finish(claimed)
    bench.clock.advance(timedelta(seconds=300))
    bench.add(urgent, bench.spec("urgent-2"))
    assert bench.claim().key == "bulk"


def test_a_planned_task_waits_for_its_time(bench: Bench) -> None:
    order_id = bench.order("1")
    later = bench.clock.now() + timedelta(hours=1)
    bench.add(
        order_id, bench.spec("a", run_at=later), bench.spec("b"), bench.spec("c", "b", run_at=later)
    )
    assert bench.run() == ["b"]
    assert bench.states(order_id) == {"a": "ready", "b": "done", "c": "ready"}
    with bench.database.read() as rx:
        assert bench.ledger.next_due(rx) == later
        assert not bench.ledger.any_due(rx)
    bench.clock.advance(timedelta(hours=1))
    assert sorted(bench.run()) == ["a", "c"]


def test_a_claim_is_for_one(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.add(order_id, bench.spec("a"))
    with bench.database.write() as tx:
        ready = bench.ledger.tasks(tx, order_id)[0]
        task = bench.ledger.claim(tx, ready.id, "me")
        assert bench.ledger.claim(tx, ready.id, "you") is None
        assert bench.ledger.claim_due(tx, 5, "you") == []
    assert task is not None
    assert (task.state, task.owner, task.attempts, task.fence) == ("leased", "me", 1, 1)
    assert task.lease_until == bench.clock.now() + timedelta(seconds=60)
    with bench.database.write() as tx:
        bench.ledger.give_back(tx, task)
    assert (bench.claim().attempts, bench.states(order_id)) == (1, {"a": "leased"})


def test_only_the_last_claim_finishes_and_only_once(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.add(order_id, bench.spec("a"))
    first = bench.claim()
    with bench.database.write() as tx:
        assert bench.ledger.void_leases(tx) == 1
    second = bench.claim()
    with pytest.raises(LeaseLost):
        bench.finish(first)
    bench.finish(second, {"ok": 1})
    for stale in (first, second):
        with pytest.raises(LeaseLost), bench.database.write() as tx:
            bench.ledger.fail(tx, stale, stale.fence, RuntimeError())
    assert bench.tasks(order_id)["a"].result == {"ok": 1}
    assert bench.events(order_id) == ["created", "claimed", "leaseVoided", "claimed", "done"]


def test_a_lease_runs_out_unless_it_is_renewed(bench: Bench) -> None:
    bench.add(bench.order("1"), bench.spec("a"))
    task = bench.claim()
    for _ in range(3):
        bench.clock.advance(timedelta(seconds=50))
        with bench.database.write() as tx:
            bench.ledger.heartbeat(tx, {task.id: task.fence})
            assert bench.ledger.claim_due(tx, 1, "other") == []
    bench.clock.advance(timedelta(seconds=61))
    assert bench.claim().fence > task.fence
    with pytest.raises(LeaseLost):
        bench.finish(task)


def test_what_act_returns_reaches_record_and_is_kept(bench: Bench) -> None:
    order_id = bench.order("1")
    seen = []

    def record(_tx: Tx, _task: Task, result: Any) -> Outcome:
        seen.append(result)
        return Done({"own": 1}) if _task.key == "b" else Done()

    bench.on("work@1", record, lambda task: {"did": task.key})
    bench.add(order_id, bench.spec("a", kind="work@1"), bench.spec("b", kind="work@1"))
    bench.run()
    assert seen == [{"did": "a"}, {"did": "b"}]
    assert [task.result for task in bench.tasks(order_id).values()] == [{"did": "a"}, {"own": 1}]


@pytest.mark.parametrize("result", [0, 7, -1.5, True, "text", "12", [], {"a": [1, None]}, None])
def test_any_json_is_a_result(bench: Bench, result: Any) -> None:
    order_id = bench.order("1")
    bench.on("work@1", act=lambda _task: result)
    bench.add(order_id, bench.spec("a", kind="work@1"))
    bench.run()
    kept = bench.tasks(order_id)["a"].result
    assert (kept, type(kept)) == (result, type(result))


def test_a_result_that_is_not_json_is_held(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.on("work@1", act=lambda _task: object())
    bench.add(order_id, bench.spec("a", kind="work@1"))
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=1))
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert (fallout.code, fallout.details) == ("INTERNAL_ERROR", {"class": "TypeError"})


def test_transient_trouble_is_tried_three_times_within_ten_seconds(bench: Bench) -> None:
    order_id = bench.order("1")
    times = []

    def reach(_task: Task) -> None:
        times.append(bench.clock.now())
        raise Flaky("olt-1 does not answer; check its power.")

    bench.on("reach@1", act=reach)
    bench.add(order_id, bench.spec("a", kind="reach@1", items=("1",)))
    for _ in range(30):
        bench.run()
        bench.clock.advance(timedelta(seconds=1))
    assert len(times) == 3
    assert times[-1] - times[0] <= timedelta(seconds=10)
    assert bench.states(order_id) == {"a": "held"}
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert (fallout.code, fallout.items) == ("DEVICE_UNREACHABLE", ("1",))
    assert "does not answer" in fallout.explanation
    assert bench.state(order_id) is State.HELD


def test_trouble_that_passes_leaves_no_fallout(bench: Bench) -> None:
    order_id = bench.order("1")
    runs = []

    def reach(task: Task) -> None:
        runs.append(task.attempts)
        if len(runs) < 3:
            raise Flaky("away")

    bench.on("reach@1", act=reach)
    bench.add(order_id, bench.spec("a", kind="reach@1"))
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=1))
    assert (runs, bench.states(order_id)) == ([1, 2, 3], {"a": "done"})


def test_a_refusal_is_held_at_once(bench: Bench) -> None:
    order_id = bench.order("1")

    def refuse(_task: Task) -> None:
        raise Refused("bad-element vlan", details={"path": "/vlan"})

    bench.on("refuse@1", act=refuse)
    bench.add(order_id, bench.spec("a", kind="refuse@1", items=("1",)))
    bench.run()
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert (fallout.code, fallout.details) == ("DEVICE_REJECTED", {"path": "/vlan"})
    error = bench.item(order_id, "1").error
    assert error
    assert (error["code"], error["fallout"]) == ("DEVICE_REJECTED", fallout.id)


def test_an_unexpected_error_tells_its_class_and_no_secret(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    order_id = bench.order("1")

    def record(tx: Tx, task: Task, _result: Any) -> Outcome:
        bench.ledger.update_item(tx, task.order_id, "1", result={"half": True})
        raise KeyError("hunter2")

    bench.on("broken@1", record)
    bench.add(order_id, bench.spec("a", kind="broken@1"))
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=1))
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert (fallout.code, fallout.details) == ("INTERNAL_ERROR", {"class": "KeyError"})
    assert "hunter2" not in repr(fallout)
    assert bench.item(order_id, "1").result == {}
    assert bench.tasks(order_id)["a"].attempts == 3
    assert "Traceback" in caplog.text


def test_a_kind_nobody_handles_is_held(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.add(order_id, bench.spec("a", kind="future@9"))
    bench.run()
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert fallout.code == "HANDLER_UNKNOWN"
    assert "future@9" in fallout.explanation


def test_a_handler_may_poll_as_often_as_it_likes(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.on("poll@1", lambda _tx, task, _r: Done() if task.attempts == 9 else Retry("not yet", 2))
    bench.add(order_id, bench.spec("a", kind="poll@1"))
    for _ in range(8):
        assert bench.run() == ["a"]
        assert bench.run() == []
        bench.clock.advance(timedelta(seconds=2))
    assert bench.run() == ["a"]
    assert bench.states(order_id) == {"a": "done"}


def test_a_handlers_retries_end_as_it_says(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.on(
        "r@1", lambda *_: Retry("locked", code="DEVICE_LOCKED", remedy="Free it.", details={"d": 1})
    )
    bench.add(order_id, bench.spec("a", kind="r@1"))
    for _ in range(10):
        bench.run()
        bench.clock.advance(timedelta(seconds=1))
    with bench.database.read() as rx:
        (fallout,) = bench.ledger.fallouts(rx)
    assert (fallout.code, fallout.remedy, fallout.details) == (
        "DEVICE_LOCKED",
        "Free it.",
        {"d": 1},
    )


def test_failure_takes_along_what_depends_on_it(bench: Bench) -> None:
    order_id = bench.order("1", "2", "3")
    bench.on("fail@1", lambda *_: Failed("NO_PATH", "There is no way."))
    bench.add(
        order_id,
        bench.spec("a", kind="fail@1", items=("1",)),
        bench.spec("b", "a", items=("2",)),
        bench.spec("c", "b", items=("2",)),
        bench.spec("free", items=("3",)),
    )
    assert sorted(bench.run()) == ["a", "free"]
    assert bench.states(order_id) == {"a": "failed", "b": "skipped", "c": "skipped", "free": "done"}
    errors = {item: bench.item(order_id, item).error for item in ("1", "2", "3")}
    assert errors["1"] == {"code": "NO_PATH", "explanation": "There is no way."}
    assert errors["2"]
    assert errors["2"]["code"] == "DEPENDENCY_FAILED"
    assert errors["3"] is None
    assert bench.state(order_id) is State.IN_PROGRESS
    with bench.database.write() as tx:
        bench.ledger.update_item(tx, order_id, "3", state=State.COMPLETED)
    assert bench.state(order_id) is State.PARTIAL


def test_a_held_task_leaves_other_branches_running(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    bench.on("hold@1", lambda *_: Hold("X", "held"))
    bench.add(
        order_id,
        bench.spec("a", kind="hold@1", items=("1",)),
        bench.spec("a2", "a"),
        bench.spec("b"),
        bench.spec("b2", "b"),
    )
    assert sorted(bench.run()) == ["a", "b", "b2"]
    assert bench.states(order_id) == {"a": "held", "a2": "blocked", "b": "done", "b2": "done"}


def test_times_are_kept(bench: Bench) -> None:
    order_id = bench.order("1")
    bench.on("slow@1", act=lambda _task: bench.clock.advance(timedelta(seconds=3)))
    bench.add(order_id, bench.spec("a", kind="slow@1"))
    start = bench.clock.now()
    bench.clock.advance(timedelta(seconds=1))
    bench.run()
    task = bench.tasks(order_id)["a"]
    assert task.ended is not None
    assert (task.created, task.started) == (start, start + timedelta(seconds=1))
    assert task.ended == start + timedelta(seconds=4)


def test_stopping_skips_what_does_not_run(bench: Bench) -> None:
    order_id = bench.order("1", "2")
    bench.hold(order_id, "held", items=("1",))
    bench.on("wait@1", lambda *_: Wait("key"))
    bench.add(
        order_id,
        bench.spec("waiting", kind="wait@1"),
        bench.spec("blocked", "waiting"),
        bench.spec("undo", "blocked", kind="undo@1"),
    )
    bench.on("undo@1")
    bench.run()
    bench.add(order_id, bench.spec("running"))
    running = bench.claim()
    with bench.database.write() as tx:
        leased = bench.ledger.stop_pending(tx, order_id, keep=("undo@1",))
    assert [task.key for task in leased] == ["running"]
    assert bench.states(order_id) == {
        "held": "skipped",
        "waiting": "skipped",
        "blocked": "skipped",
        "undo": "ready",
        "running": "leased",
    }
    with bench.database.read() as rx:
        assert bench.ledger.waits(rx) == []
        (fallout,) = bench.ledger.fallouts(rx, state=None)
    assert fallout.resolution == "stopped"
    item = bench.item(order_id, "1")
    assert (item.state, item.error) == (State.IN_PROGRESS, None)
    bench.finish(running)
    assert bench.states(order_id)["running"] == "done"


@pytest.mark.parametrize(
    "outcome", [Retry("x"), Wait("k"), Hold("X", "x"), Failed("X", "x"), Done()]
)
def test_a_stopped_step_ends_however_it_comes_out(bench: Bench, outcome: Outcome) -> None:
    order_id = bench.order("1")
    bench.on("any@1", lambda *_: outcome)
    bench.add(order_id, bench.spec("a", kind="any@1", items=("1",)), bench.spec("b", "a"))
    running = bench.claim()
    with bench.database.write() as tx:
        bench.ledger.stop_pending(tx, order_id)
        bench.ledger.add_tasks(tx, order_id, [bench.spec("undo", running.key)])
    assert bench.states(order_id) == {"a": "leased", "b": "skipped", "undo": "blocked"}
    bench.finish(running)
    ends = {Done: "done", Failed: "failed"}
    assert bench.states(order_id)["a"] == ends.get(type(outcome), "skipped")
    assert bench.item(order_id, "1").state is State.ACKNOWLEDGED
    assert bench.run() == ["undo"]
