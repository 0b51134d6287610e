"""What-if for a service order: decompose in a transaction that is rolled back, then ask ROM line by line."""

from __future__ import annotations

import hashlib
from typing import Any

from orders.model import NewOrder, Order
from som.handlers import SomParts, child_of, plan_order

Json = dict[str, Any]


class Simulator:
    """Plans service orders without keeping or sending anything."""

    def __init__(self, parts: SomParts) -> None:
        self._parts = parts

    def new(self, order: NewOrder) -> Json:
        """Plan an order that was not submitted."""
        with self._parts.database.dry_run() as tx:
            stored, _ = self._parts.ledger.create(tx, order)
            plan = plan_order(tx, self._parts.catalogs.view(tx), stored)
        return self._ask(stored, plan)

    def stored(self, order: Order) -> Json:
        """Plan an order that was submitted but not decomposed yet."""
        with self._parts.database.read() as rx:
            plan = plan_order(rx, self._parts.catalogs.view(rx), order)
        return self._ask(order, plan)

    def _ask(self, order: Order, plan: list[Json]) -> Json:
        answers = [self._line(order, line) for line in plan]
        return {
            "tree": [
                {
                    "layer": "som",
                    "line": line["line"],
                    "place": line["place"],
                    "items": _items(line),
                    "resourceOrder": answer["tree"],
                }
                for line, answer in zip(plan, answers, strict=True)
            ],
            "allocations": [entry for answer in answers for entry in answer["allocations"]],
            "devices": [entry for answer in answers for entry in answer["devices"]],
            "children": {
                line["line"]: a["planHash"]
                for line, a in zip(plan, answers, strict=True)
                if a["planHash"]
            },
            "planHash": combined([answer["planHash"] for answer in answers]),
            "warnings": [warning for answer in answers for warning in answer["warnings"]],
            "reasons": [reason for answer in answers for reason in answer.get("reasons", ())],
        }

    def _line(self, order: Order, line: Json) -> Json:
        parent = {"orderId": order.id, "itemIds": [cfs["item"] for cfs in line["services"]]}
        body = child_of(order, line, parent, None)
        if body is None:
            return {
                "tree": [],
                "allocations": [],
                "devices": [],
                "planHash": combined([]),
                "warnings": [],
            }
        return self._parts.rom.simulate(body)


def combined(hashes: list[str | None]) -> str | None:
    """Return the hash over the children's hashes in line order; None when one of them is not known."""
    if any(value is None for value in hashes):
        return None
    return hashlib.sha256("\n".join(str(value) for value in hashes).encode()).hexdigest()


def _items(line: Json) -> list[Json]:
    return [
        {
            "id": e["id"],
            "key": e["key"],
            "action": e["action"],
            "specification": e["spec"],
            "before": e["before"],
            "after": e["after"],
            "needs": e["needs"],
        }
        for e in line["entries"]
    ]
