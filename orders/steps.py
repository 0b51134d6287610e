"""Steps that are the same in every layer: begin when earlier orders on the same instances have ended; hold a changed plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orders.ledger import Ledger
from orders.model import Done, Failed, Hold, Order, Outcome, State, Task, TaskSpec, Wait
from store import Rx, Tx


@dataclass(frozen=True, slots=True)
class Start:
    """Wait for earlier orders on the same instances, then begin with the layer's first step."""

    ledger: Ledger
    key: str
    kind: str
    """The first step, such as `decompose` and `som.decompose@1`."""
    gone: Callable[[Rx, Order], str | None]
    """Say which instance an earlier order ended while this one waited for it."""
    gone_code: str

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:  # noqa: ARG002
        """Wait, fail, or begin."""
        blockers = self.ledger.blockers(tx, task.order_id)
        if blockers:
            return Wait(key=f"final:{blockers[0]}")
        order = self.ledger.order(tx, task.order_id)
        if gone := self.gone(tx, order):
            return Failed(self.gone_code, gone)
        for item in order.items:
            self.ledger.update_item(tx, order.id, item.id, state=State.IN_PROGRESS)
        self.ledger.add_tasks(tx, order.id, [TaskSpec(self.key, self.kind, items=task.items)])
        return Done()


def plan_changed(simulation: Mapping[str, Any]) -> Hold:
    """Return the hold that shows the new plan and its hash."""
    return Hold(
        code="PLAN_CHANGED",
        explanation="The network is no longer as it was when the plan was made; nothing was sent.",
        remedy=f"Look at the new plan and retry with planHash {simulation['planHash']}, or cancel.",
        details={name: simulation[name] for name in ("planHash", "devices", "allocations")},
    )
