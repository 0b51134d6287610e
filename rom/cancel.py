"""Cancel a resource order: what did not start is skipped, what was done is undone in reverse, what was taken is given back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orders.desk import close_cancelled
from orders.model import FINAL, Done, Outcome, Retry, State, Task, TaskSpec
from rom import resources
from rom.handlers import RomParts, assigned_of, outcome_json, request_of, trouble
from rom.parse import load_items
from store import Tx

QUIET_S = 0.2


class CancelOrder:
    """Wait until nothing runs, then plan the undoing."""

    def __init__(self, parts: RomParts) -> None:
        self._ledger = parts.ledger

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        if self._ledger.order(tx, task.order_id).state in FINAL:
            return Done({"tooLate": True})
        tasks = self._ledger.tasks(tx, task.order_id)
        if any(other.state == "leased" and other.id != task.id for other in tasks):
            return Retry(cause="a step of the order is still running", delay_s=QUIET_S)
        self._ledger.stop_pending(tx, task.order_id, keep=("rom.cancel@1",))
        self._ledger.update_order(tx, task.order_id, state=State.PENDING_CANCELLATION)
        tried = [t for t in tasks if t.kind == "rom.change@1" and (t.state == "done" or t.attempts)]
        undo = [_undo_spec(t, tried) for t in tried]
        last = TaskSpec(
            key="cancelled",
            kind="rom.cancelled@1",
            needs=tuple(spec.key for spec in undo),
            items=task.items,
        )
        self._ledger.add_tasks(tx, task.order_id, [*undo, last])
        return Done()


class Undo:
    """Bring one group's devices back to what they were before the order."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def act(self, task: Task) -> Any:
        outcome = self._parts.activation.run(request_of(task, "undo", ":undo"))
        if outcome.ok:
            outcome = self._sweep(task) or outcome
        return outcome_json(outcome)

    def record(self, tx: Tx, task: Task, result: Mapping[str, Any]) -> Outcome:  # noqa: ARG002
        return Done({"batch": result["batch"]}) if not result["code"] else trouble(dict(result))

    def _sweep(self, task: Task) -> Any:
        devices = sorted({c["device"] for c in task.args["undo"]})
        with self._parts.database.read() as rx:
            request = self._parts.activation.sweep(
                rx, f"{task.order_id}:{task.args['group']}:undo:sweep", devices
            )
        return self._parts.activation.run(request) if request else None


class Cancelled:
    """Give back what the order took and close its items."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        ledger = self._parts.ledger
        order = ledger.order(tx, task.order_id)
        stored = {item.id: item for item in order.items}
        for item in load_items(tx, self._parts.catalogs.view(tx), order):
            if "allocations" in stored[item.id].result:
                resources.restore(tx, assigned_of(item, stored[item.id]), order.id)
        close_cancelled(tx, ledger, order.id)
        return Done()


def _undo_spec(task: Task, tried: list[Task]) -> TaskSpec:
    users = [other for other in tried if task.args["group"] in other.args.get("needs", ())]
    return TaskSpec(
        key=f"undo:{task.key}",
        kind="rom.undo@1",
        args=task.args,
        needs=tuple(f"undo:{other.key}" for other in users),
        items=(),
    )
