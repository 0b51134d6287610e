"""The end of a resource order: what its items no longer hold is given back in the commit that completes it."""

from __future__ import annotations

from orders.model import Order, State
from orders.wire import OrderEvents
from rom import resources
from rom.handlers import RomParts, assigned_of
from rom.parse import load_items
from rom.shape import SHAPE
from store import Tx


class OrderEnds(OrderEvents):
    """Tells the world about resource orders, and gives back at their end, however that came about."""

    def __init__(self, parts: RomParts) -> None:
        super().__init__(SHAPE)
        self._parts = parts

    def order_changed(self, tx: Tx, order: Order, previous: State | None) -> None:
        """Emit the event; with the completion, give back."""
        if order.state is State.COMPLETED:
            self._give_back(tx, order)
        super().order_changed(tx, order, previous)

    def _give_back(self, tx: Tx, order: Order) -> None:
        stored = {item.id: item for item in order.items}
        for item in load_items(tx, self._parts.catalogs.view(tx), order):
            resources.give_back(tx, assigned_of(item, stored[item.id]), order.id)
