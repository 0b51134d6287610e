"""Hand an order to the layer below, mirror what happens to it, and take it back when the parent is cancelled.

The same for COM → SOM and SOM → ROM. The child is submitted under the sending task's id, so that a repeat after a
crash finds the child that was already made instead of making another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from orders.desk import close_cancelled
from orders.errors import OrderFinal, OrderNotFound
from orders.ledger import Ledger
from orders.model import FINAL, Done, Hold, Outcome, Retry, State, Task, TaskSpec, Wait
from store import Database, Rx, TurnupError, Tx

Json = dict[str, Any]
QUIET_S = 0.2
REFUSALS = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Answers about the order itself: a 401 or a 500 says nothing about whether it was taken before."""


class ChildPort(Protocol):
    """What both ports (`ServiceOrdering`, `ResourceOrdering`) offer for this."""

    def submit(self, order: Json, key: str) -> Json: ...
    def get(self, order_id: str) -> Json: ...
    def cancel(self, order_id: str, reason: str) -> Json: ...


@dataclass(frozen=True, slots=True)
class ChildOrders:
    """How a layer makes child orders and what it does when one ends."""

    layer: str
    database: Database
    ledger: Ledger
    port: ChildPort
    build: Callable[[Rx, Task], Json | None]
    """The child order for a dispatch task, or None when nothing below has to change."""
    invert: Callable[[Rx, Task, Json], Json]
    """The order that undoes a completed child."""
    finish: Callable[[Tx, Task, Json | None], None]
    """Bring the inventory and the task's items to what the completed child says."""
    restore: Callable[[Tx, str], None]
    """Bring the inventory back to what it was before the (cancelled) order."""
    undone: Callable[[Tx, Task, Json], None]
    """Keep what the order that undid a completed child made anew, for `restore`."""


class Dispatch:
    """Submit the child, wait for its end, record what it made."""

    def __init__(self, children: ChildOrders) -> None:
        self._children = children

    def act(self, task: Task) -> Json | None:
        with self._children.database.read() as rx:
            body = self._children.build(rx, task)
        return None if body is None else self._children.port.submit(body, task.id)

    def record(self, tx: Tx, task: Task, result: Json | None) -> Outcome:
        if result is None or result["state"] == State.COMPLETED:
            self._children.finish(tx, task, result)
            return Done({"child": result["id"]} if result else {})
        remember_child(tx, self._children.ledger, task, result["id"])
        if result["state"] not in FINAL:
            return Wait(key=child_key(result["id"]))
        self._mirror_no_more(tx, task)
        return child_ended(result)

    def _mirror_no_more(self, tx: Tx, task: Task) -> None:
        """End what mirrors the child's hold, so that the parent shows (and tells) this hold instead."""
        ledger = self._children.ledger
        for item in ledger.order(tx, task.order_id).items:
            if item.id in task.items and item.state is State.HELD:
                ledger.update_item(tx, task.order_id, item.id, state=State.IN_PROGRESS, error=None)


class Cancel:
    """Wait until nothing of the order runs, stop what waits, and take the children back."""

    def __init__(self, children: ChildOrders) -> None:
        self._children = children

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        ledger, layer = self._children.ledger, self._children.layer
        if ledger.order(tx, task.order_id).state in FINAL:
            return Done({"tooLate": True})
        tasks = ledger.tasks(tx, task.order_id)
        if any(other.state == "leased" and other.id != task.id for other in tasks):
            return Retry(cause="a step of the order is still running", delay_s=QUIET_S)
        ledger.stop_pending(tx, task.order_id, keep=(f"{layer}.cancel@1",))
        ledger.update_order(tx, task.order_id, state=State.PENDING_CANCELLATION)
        sent = [t for t in tasks if t.kind == f"{layer}.dispatch@1" and t.attempts]
        specs = [
            TaskSpec(
                key=f"takeBack:{t.key}",
                kind=f"{layer}.takeBack@1",
                args={"dispatch": t.id, **t.args},
            )
            for t in sent
        ]
        last = TaskSpec(
            key="cancelled", kind=f"{layer}.cancelled@1", needs=tuple(spec.key for spec in specs)
        )
        ledger.add_tasks(tx, task.order_id, [*specs, last])
        return Done()


class TakeBack:
    """Cancel one child, or undo it when it was already completed."""

    def __init__(self, children: ChildOrders) -> None:
        self._children = children

    def act(self, task: Task) -> Json | None:
        port = self._children.port
        with self._children.database.read() as rx:
            body = self._children.build(rx, task)
            if body is None:
                return None
        child = self._child(body, task)
        if child is None:
            return None
        if child["state"] not in FINAL:
            return self._ask(child["id"])
        if child["state"] == State.COMPLETED:
            with self._children.database.read() as rx:
                inverse = self._children.invert(rx, task, child)
            return {**port.submit(inverse, task.args["dispatch"] + ":undo"), "undo": True}
        return child

    def record(self, tx: Tx, task: Task, result: Json | None) -> Outcome:
        if result is None:
            return Done()
        if result["state"] not in FINAL:
            return Wait(key=child_key(result["id"]))
        if result.get("undo"):
            if result["state"] != State.COMPLETED:
                return child_ended(result)
            self._children.undone(tx, task, result)
        elif result["state"] == State.COMPLETED:
            return Retry(
                cause="the child was completed while it was being cancelled", delay_s=QUIET_S
            )
        return Done({"child": result["id"], "state": result["state"]})

    def _child(self, body: Json, task: Task) -> Json | None:
        """Return the child; None when the layer below refuses it, because then it never came to be."""
        try:
            return self._children.port.submit(body, task.args["dispatch"])
        except TurnupError as error:
            if error.transient or error.status not in REFUSALS:
                raise
            return None

    def _ask(self, child: str) -> Json:
        try:
            self._children.port.cancel(child, "the order above was cancelled")
        except TurnupError as error:  # another server's refusal has the code, not the class
            if error.code != OrderFinal.code:
                raise
        return self._children.port.get(child)


class Cancelled:
    """Close a cancelled order."""

    def __init__(self, children: ChildOrders) -> None:
        self._children = children

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        self._children.restore(tx, task.order_id)
        close_cancelled(tx, self._children.ledger, task.order_id)
        return Done()


class Mirror:
    """Follow the events of child orders: wake the parent at the end, mirror `held` and back on the parent's items."""

    def __init__(self, ledger: Ledger, resource_key: str) -> None:
        self._ledger = ledger
        self._resource_key = resource_key

    def __call__(self, tx: Tx, event: Mapping[str, Any]) -> None:
        child = event["event"].get(self._resource_key) or {}
        parent = parent_in(child)
        if parent is None:
            return
        if child["state"] in FINAL:
            self._ledger.wake(tx, child_key(child["id"]), {"state": child["state"]})
        with suppress(OrderNotFound):  # a foreign order may name a parent that is not here
            self._mirror(tx, parent, State(child["state"]), child)

    def _mirror(self, tx: Tx, parent: Json, state: State, child: Json) -> None:
        wanted = {State.HELD: State.HELD, State.IN_PROGRESS: State.IN_PROGRESS}.get(state)
        if wanted is None:
            return
        error = (child.get("errorMessage") or [None])[0] if wanted is State.HELD else None
        for item in self._ledger.order(tx, parent["orderId"]).items:
            if (
                item.id in parent["itemIds"]
                and item.state in (State.HELD, State.IN_PROGRESS)
                and (item.state != wanted or (error and item.error and item.error != error))
            ):
                self._ledger.update_item(tx, parent["orderId"], item.id, state=wanted, error=error)


def child_ended(child: Mapping[str, Any]) -> Hold:
    """Return the hold of an order whose child came to an end that it cannot go on from."""
    return Hold(
        code="CHILD_ORDER_ENDED",
        explanation=f"The order below, {child['id']}, ended as {child['state']}.",
        remedy="Look at that order's errors; then cancel this order and order again.",
        details={"child": child["id"], "state": child["state"]},
    )


def parent_in(order: Mapping[str, Any]) -> Json | None:
    """Return {orderId, itemIds} of the parent an order names by `parent_of`; what strangers put there does not count."""
    match order.get("parent"):
        case {"orderId": str(order_id), "itemIds": list(items)}:
            return {"orderId": order_id, "itemIds": items}
        case _:
            return None


def child_key(order_id: str) -> str:
    """Return the key that a parent waits on."""
    return f"child:{order_id}"


def parent_of(task: Task) -> Json:
    """Return the extension by which a child names its parent."""
    return {"orderId": task.order_id, "itemIds": list(task.items)}


def remember_child(tx: Tx, ledger: Ledger, task: Task, child: str) -> None:
    """Keep a child's id with its parent, for the trace."""
    plan = dict(ledger.order(tx, task.order_id).plan or {})
    children = dict(plan.get("children", {}))
    if children.get(task.key) != child:
        ledger.update_order(
            tx, task.order_id, plan={**plan, "children": {**children, task.key: child}}
        )


def invert(entries: Sequence[Mapping[str, Any]], made: Mapping[str, str]) -> list[Json]:
    """Return the entries that undo `entries`: actions and values swapped, order reversed.

    Args:
        entries: {key, action, instance, spec, version, before, after, needs, …} each.
        made: entry id → instance that an add made.

    """
    swapped = {"add": "delete", "delete": "add", "modify": "modify", "noChange": "noChange"}
    users: dict[str, list[str]] = {entry["id"]: [] for entry in entries}
    for entry in entries:
        for need in entry["needs"]:
            users[need].append(entry["id"])
    return [
        {
            **entry,
            "action": swapped[entry["action"]],
            "instance": made.get(entry["id"], entry["instance"])
            if entry["action"] != "delete"
            else None,
            "before": entry["after"],
            "after": entry["before"],
            "needs": users[entry["id"]],
        }
        for entry in reversed(entries)
    ]
