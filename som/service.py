"""SOM as others see it: the port `ServiceOrdering`, and what its API offers."""

from __future__ import annotations

from typing import Any

from orders.desk import OrderDesk
from orders.dispatch import Cancel, Cancelled, Dispatch, Mirror, TakeBack
from orders.model import NewOrder
from orders.steps import Start
from orders.wire import OrderEvents
from som.errors import ServiceNotFound
from som.handlers import Decompose, SomParts, gone, lines
from som.parse import new_order
from som.shape import SHAPE
from som.simulate import Simulator
from store import Rx

Json = dict[str, Any]


class Som:
    """The service order layer over one database."""

    def __init__(self, parts: SomParts) -> None:
        self._parts = parts
        self._simulator = Simulator(parts)
        ledger = parts.ledger
        self.desk = OrderDesk(parts.database, ledger, SHAPE, self._parse)
        self.on_resource_event = Mirror(ledger, "resourceOrder")
        children = lines(parts)
        ledger.observe("som", OrderEvents(SHAPE))
        ledger.register(
            "som.start@1", Start(ledger, "decompose", "som.decompose@1", gone, ServiceNotFound.code)
        )
        ledger.register("som.decompose@1", Decompose(parts, self._simulator.stored))
        ledger.register("som.dispatch@1", Dispatch(children))
        ledger.register("som.cancel@1", Cancel(children))
        ledger.register("som.takeBack@1", TakeBack(children))
        ledger.register("som.cancelled@1", Cancelled(children))

    def submit(self, order: Json, key: str | None = None) -> Json:
        """Accept a TMF641 order (or return the one accepted with the same key). Raises as `som.parse.new_order`."""
        return self.desk.submit(order, key)

    def get(self, order_id: str) -> Json:
        """Return an order as TMF641 shows it. Raises ORDER_NOT_FOUND."""
        return self.desk.get(order_id)

    def cancel(self, order_id: str, reason: str) -> Json:
        """Ask for the cancellation of an order. Raises ORDER_FINAL."""
        return self.desk.cancel(order_id, reason)

    def simulate(self, order: Json) -> Json:
        """Plan an order down to the devices; nothing is kept or sent."""
        with self._parts.database.read() as rx:
            parsed = self._parse(rx, order, None)
        return self._simulator.new(parsed)

    def qualify(self, place: str, request: Json) -> Json:
        """Return what a place can have (asked of ROM)."""
        return self._parts.rom.qualify(place, request)

    def _parse(self, rx: Rx, body: Json, key: str | None) -> NewOrder:
        return new_order(rx, self._parts.catalogs.view(rx), body, key)
