"""ROM as others see it: the port `ResourceOrdering`, and what its API offers."""

from __future__ import annotations

from typing import Any

from inventory import graph
from orders.desk import OrderDesk
from orders.model import NewOrder
from orders.steps import Start
from rom.cancel import Cancelled, CancelOrder, Undo
from rom.ending import OrderEnds
from rom.errors import ResourceNotFound, SerialMismatch
from rom.handlers import Assign, Change, ExternalWork, Record, RomParts, gone
from rom.parse import new_order
from rom.shape import SHAPE
from rom.simulate import Simulator
from rom.verify import Watch
from store import Rx

Json = dict[str, Any]


class Rom:
    """The resource order layer over one database."""

    def __init__(self, parts: RomParts) -> None:
        self._parts = parts
        self._simulator = Simulator(parts)
        ledger = parts.ledger
        self.desk = OrderDesk(parts.database, ledger, SHAPE, self._parse)
        ledger.observe("rom", OrderEnds(parts))
        ledger.register(
            "rom.start@1", Start(ledger, "assign", "rom.assign@1", gone, ResourceNotFound.code)
        )
        ledger.register("rom.assign@1", Assign(parts, self._simulator.stored))
        ledger.register("rom.change@1", Change(parts))
        ledger.register("rom.external@1", ExternalWork(parts))
        ledger.register("rom.record@1", Record(parts))
        ledger.register("rom.watch@1", Watch(parts.database, ledger, parts.activation))
        ledger.register("rom.cancel@1", CancelOrder(parts))
        ledger.register("rom.undo@1", Undo(parts))
        ledger.register("rom.cancelled@1", Cancelled(parts))

    def submit(self, order: Json, key: str | None = None) -> Json:
        """Accept a TMF652 order (or return the one accepted with the same key). Raises as `rom.parse.new_order`."""
        return self.desk.submit(order, key)

    def get(self, order_id: str) -> Json:
        """Return an order as TMF652 shows it. Raises ORDER_NOT_FOUND."""
        return self.desk.get(order_id)

    def cancel(self, order_id: str, reason: str) -> Json:
        """Ask for the cancellation of an order. Raises ORDER_FINAL."""
        return self.desk.cancel(order_id, reason)

    def simulate(self, order: Json) -> Json:
        """Plan an order: tree, allocations, edits and inverse per device, hash; nothing is kept or sent."""
        with self._parts.database.read() as rx:
            parsed = self._parse(rx, order, None)
        return self._simulator.new(parsed)

    def qualify(self, place: str, request: Json) -> Json:  # noqa: ARG002
        """Return what a place can have: technologies with ports and free capacity."""
        with self._parts.database.read() as rx:
            technologies = graph.qualify(rx, place)
            return {"placeId": place, "technologies": technologies, "alternatives": []}

    def complete_external(self, wait_id: str, report: Json) -> Json:
        """Take the report of an external party. Raises WAIT_NOT_FOUND, SerialMismatch (409)."""
        with self._parts.database.write() as tx:
            wait = self._parts.ledger.wait(tx, wait_id)
            expected = (wait.external.example if wait.external else None) or {}
            for name, value in expected.items():
                if name in report and report[name] != value:
                    raise SerialMismatch(
                        f"{name} {report[name]!r} was reported, but {value!r} was assigned to item {wait.item}; "
                        "deliver that one, or cancel the order and order again."
                    )
            self._parts.ledger.wake(tx, wait.key, report)
            return {"id": wait_id, "state": "completed", "order": wait.order_id, "item": wait.item}

    def _parse(self, rx: Rx, body: Json, key: str | None) -> NewOrder:
        return new_order(rx, self._parts.catalogs.view(rx), body, key)
