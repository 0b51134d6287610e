"""COM as others see it: what its API offers."""

from __future__ import annotations

from typing import Any

from com.errors import ProductNotFound
from com.handlers import ComParts, Decompose, Qualify, gone, services
from com.parse import new_order
from com.shape import SHAPE
from com.simulate import Simulator
from orders.desk import OrderDesk
from orders.dispatch import Cancel, Cancelled, Dispatch, Mirror, TakeBack
from orders.model import NewOrder
from orders.steps import Start
from orders.wire import OrderEvents
from store import Rx

Json = dict[str, Any]


class Com:
    """The commercial order layer over one database."""

    def __init__(self, parts: ComParts) -> None:
        self._parts = parts
        self._simulator = Simulator(parts)
        ledger = parts.ledger
        self.desk = OrderDesk(parts.database, ledger, SHAPE, self._parse)
        self.on_service_event = Mirror(ledger, "serviceOrder")
        children = services(parts)
        ledger.observe("com", OrderEvents(SHAPE))
        ledger.register(
            "com.start@1", Start(ledger, "qualify", "com.qualify@1", gone, ProductNotFound.code)
        )
        ledger.register("com.qualify@1", Qualify(parts))
        ledger.register("com.decompose@1", Decompose(parts, self._simulator.stored))
        ledger.register("com.dispatch@1", Dispatch(children))
        ledger.register("com.cancel@1", Cancel(children))
        ledger.register("com.takeBack@1", TakeBack(children))
        ledger.register("com.cancelled@1", Cancelled(children))

    def submit(self, order: Json, key: str | None = None) -> Json:
        """Accept a TMF622 order (or return the one accepted with the same key). Raises as `com.parse.new_order`."""
        return self.desk.submit(order, key)

    def get(self, order_id: str) -> Json:
        """Return an order as TMF622 shows it. Raises ORDER_NOT_FOUND."""
        return self.desk.get(order_id)

    def cancel(self, order_id: str, reason: str) -> Json:
        """Ask for the cancellation of an order. Raises ORDER_FINAL."""
        return self.desk.cancel(order_id, reason)

    def simulate(self, order: Json) -> Json:
        """Plan an order down to the devices; nothing is kept or sent."""
        with self._parts.database.read() as rx:
            parsed = self._parse(rx, order, None)
        return self._simulator.new(parsed)

    def _parse(self, rx: Rx, body: Json, key: str | None) -> NewOrder:
        return new_order(rx, self._parts.catalogs.view(rx), body, key)
