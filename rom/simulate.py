"""What-if: the real assignment and planning in a transaction that is rolled back; then devices are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from activation.model import ChangePlan, ChangeRequest
from orders.model import NewOrder, Order
from rom import resources
from rom.assign import Assignment
from rom.decompose import CHANGE
from rom.handlers import RomParts, assign_order, settle_item
from rom.model import Group
from store import Tx

Json = dict[str, Any]


class Simulator:
    """Plans orders without keeping or sending anything."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts

    def new(self, order: NewOrder) -> Json:
        """Plan an order that was not submitted."""
        with self._parts.database.dry_run() as tx:
            stored, _ = self._parts.ledger.create(tx, order)
            planned = self._plan(tx, stored)
        return self._plan_and_inspect(*planned)

    def stored(self, order: Order) -> Json:
        """Plan an order that was submitted but not assigned yet."""
        with self._parts.database.dry_run() as tx:
            planned = self._plan(tx, order)
        return self._plan_and_inspect(*planned)

    def _plan(self, tx: Tx, order: Order) -> tuple[Assignment, list[tuple[str, ChangePlan]]]:
        assignment = assign_order(tx, self._parts, order)
        for assigned in assignment.items:
            if assigned.item.before is None:
                resources.reserve(tx, assigned, order.id)
        plans: list[tuple[str, ChangePlan]] = []
        by_id = {assigned.item.id: assigned for assigned in assignment.items}
        for group in assignment.groups:
            if group.kind == CHANGE:
                plans += self._group(tx, order, group)
            for item in group.items:
                settle_item(tx, order.id, by_id[item])
        return assignment, plans

    def _group(self, tx: Tx, order: Order, group: Group) -> list[tuple[str, ChangePlan]]:
        request = ChangeRequest(f"{order.id}:{group.key}", order.id, "change", group.contributions)
        plans = [(group.key, self._settled(tx, request))]
        sweep = self._parts.activation.sweep(
            tx, f"{request.id}:sweep", sorted({c.device for c in group.contributions})
        )
        return plans + ([(f"{group.key}:sweep", self._settled(tx, sweep))] if sweep else [])

    def _settled(self, tx: Tx, request: ChangeRequest) -> ChangePlan:
        plan = self._parts.activation.plan(tx, request)
        self._parts.activation.settle(tx, plan)
        return plan

    def _plan_and_inspect(
        self, assignment: Assignment, plans: Sequence[tuple[str, ChangePlan]]
    ) -> Json:
        activation = self._parts.activation
        inspected = [(key, activation.inspect(plan)) for key, plan in plans]
        allocations = assignment.allocations()
        shown = [
            dict(entry, change=key) for key, plan in inspected for entry in activation.present(plan)
        ]
        return {
            "tree": tree(assignment),
            "allocations": allocations,
            "devices": shown,
            "changes": {key: activation.change_hash(plan) for key, plan in inspected},
            "planHash": activation.plan_hash(allocations, [plan for _, plan in inspected]),
            "warnings": [warning for _, plan in inspected for warning in plan.warnings],
            "reasons": assignment.reasons(),
        }


def tree(assignment: Assignment) -> list[Json]:
    """Return the order's groups with their items, in execution order."""
    by_id = {assigned.item.id: assigned for assigned in assignment.items}
    return [
        {
            "layer": "rom",
            "group": group.key,
            "kind": group.kind,
            "after": list(group.needs),
            "items": [
                {
                    "id": item,
                    "action": by_id[item].item.action.value,
                    "specification": by_id[item].item.spec.id,
                    "characteristics": dict(by_id[item].item.after or {}),
                    "reasons": dict(by_id[item].reasons),
                }
                for item in group.items
            ],
        }
        for group in assignment.groups
    ]
