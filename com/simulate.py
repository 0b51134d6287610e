"""What-if for a product order: qualify, decompose in a transaction that is rolled back, then ask SOM."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from com.decompose import choose_technology
from com.errors import NoAccessPath
from com.handlers import ComParts, child_of, no_access, plan_order
from com.parse import QUALIFIED, load_items
from orders.model import NewOrder, Order

Json = dict[str, Any]


class Simulator:
    """Plans product orders without keeping or sending anything."""

    def __init__(self, parts: ComParts) -> None:
        self._parts = parts

    def new(self, order: NewOrder) -> Json:
        """Plan an order that was not submitted."""
        with self._parts.database.dry_run() as tx:
            stored, _ = self._parts.ledger.create(tx, order)
        return self.stored(self._qualified(stored))

    def stored(self, order: Order) -> Json:
        """Plan an order that was submitted and qualified but not decomposed yet."""
        with self._parts.database.read() as rx:
            products = plan_order(rx, self._parts.catalogs.view(rx), order)
        parent = {"orderId": order.id, "itemIds": [product["item"] for product in products]}
        body = child_of(order, products, parent, None)
        answer = self._parts.som.simulate(body) if body else _NOTHING
        return {
            "tree": [{"layer": "com", **_shown(product)} for product in products] + answer["tree"],
            "allocations": answer["allocations"],
            "devices": answer["devices"],
            "children": {"service": answer["planHash"]},
            "planHash": _over(answer["planHash"]),
            "warnings": answer["warnings"],
            "reasons": answer.get("reasons", []),
        }

    def _qualified(self, order: Order) -> Order:
        with self._parts.database.read() as rx:
            items = load_items(rx, self._parts.catalogs.view(rx), order)
        chosen = {}
        for item in items:
            if item.needs_qualification:
                answer = self._parts.som.qualify(str(item.place), {})
                technology, refused = choose_technology(item, answer["technologies"])
                if technology is None:
                    hold = no_access(item, refused, answer)
                    raise NoAccessPath(f"{hold.explanation} {hold.remedy}", details=hold.details)
                chosen[item.id] = {QUALIFIED: technology, "refused": refused}
        return replace(order, plan={**(order.plan or {}), "qualification": chosen})


_NOTHING: Json = {"tree": [], "allocations": [], "devices": [], "planHash": "", "warnings": []}


def _over(child: str | None) -> str | None:
    return None if child is None else hashlib.sha256(child.encode()).hexdigest()


def _shown(product: Json) -> Json:
    names = ("item", "action", "offering", "place", "characteristics")
    entries = [
        {name: entry[name] for name in ("id", "key", "action", "spec", "before", "after", "needs")}
        for entry in product["entries"]
    ]
    return {name: product[name] for name in names} | {"services": entries}
