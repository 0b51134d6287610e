"""Forecasts of this server's pools: its order book, all three layers of it, put to the inventory's planner.

An order is counted once, in the lowest layer it has come to. What COM and SOM have not sent yet is planned down to
resource orders by the functions that will send them; nothing is stored and nothing is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from com.decompose import choose_technology
from com.handlers import child_of as service_order_of
from com.handlers import plan_order as plan_products
from com.parse import QUALIFIED, ProductItem
from com.parse import load_items as product_items
from inventory.connectivity import reachable
from inventory.runout import Forecast, Level
from inventory.utilisation import ALL, DEFAULT_OUTLOOK, Outlook, Which, forecasts, room
from orders import backlog
from orders.backlog import Waiting, as_stored
from orders.model import Order
from rom.forecast import Plan, Planner, Plans, demand, pending, pools_of, unplanned, without_pool
from som.handlers import child_of as resource_order_of
from som.handlers import plan_order as plan_lines
from som.parse import new_order as new_service_order
from store import Rx, TurnupError
from turnup.application import Application

Json = dict[str, Any]
MOST_ORDERS = 1000
"""How many orders of a layer are looked at, those that begin first."""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """An order (or several, without a name) that the forecast does not count, wholly or in part, and why."""

    order: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A page of forecasts, how many there are in all, and what they leave out."""

    forecasts: tuple[Forecast, ...]
    total: int
    uncounted: tuple[Uncounted, ...]


class Forecaster:
    """Looks ahead for the pools of one server."""

    def __init__(self, application: Application, most_orders: int = MOST_ORDERS) -> None:
        self._database = application.database
        self._catalogs = application.catalogs
        self._parts = application.parts
        self._chained = application.chained
        self._most = most_orders

    def forecasts(
        self,
        which: Which = ALL,
        outlook: Outlook = DEFAULT_OUTLOOK,
        *,
        level: Level | None = None,
        offset: int = 0,
        limit: int | None = None,
    ) -> Outcome:
        """Return a page of forecasts, the soonest to run out first. Raises as `inventory.utilisation.forecasts`."""
        with self._database.read() as rx:
            booked = self._plans(rx)
            free = room(rx, pools_of(booked.plans))
            book = demand(booked.plans, free)
            page, total = forecasts(
                rx, book, which, outlook, level=level, offset=offset, limit=limit
            )
            return Outcome(tuple(page), total, tuple(_uncounted(rx, booked, free)))

    def uncounted(self) -> list[Uncounted]:
        """Return the orders that the forecasts do not count, wholly or in part."""
        with self._database.read() as rx:
            booked = self._plans(rx)
            return list(_uncounted(rx, booked, room(rx, pools_of(booked.plans))))

    def _plans(self, rx: Rx) -> Plans:
        own = pending(rx, self._parts.rom, self._most)
        planner = Planner(rx, self._catalogs.view(rx))
        plans, left_out = list(own.plans), own.left_out
        services = backlog.not_sent(rx, "som", "som.dispatch@1", self._most)
        products = backlog.not_sent(rx, "com", "com.dispatch@1", self._most)
        above = ((services, self._of_service), (products, self._of_product))
        for book, plan in above if self._chained else ():
            plans += [each for waiting in book.orders for each in plan(rx, planner, waiting)]
            left_out += book.total - len(book.orders)
        return Plans(tuple(plans), left_out)

    def _of_service(self, rx: Rx, planner: Planner, waiting: Waiting) -> list[Plan]:
        return _guarded(waiting, lambda: self._lines(rx, planner, waiting.order, waiting))

    def _of_product(self, rx: Rx, planner: Planner, waiting: Waiting) -> list[Plan]:
        return _guarded(waiting, lambda: self._services(rx, planner, waiting))

    def _services(self, rx: Rx, planner: Planner, waiting: Waiting) -> list[Plan]:
        """Plan a product order's service order, and what that orders in turn."""
        order, catalog = waiting.order, self._catalogs.view(rx)
        products = (order.plan or {}).get("products")
        if products is None:
            products = plan_products(rx, catalog, self._qualified(rx, order))
        parent = {"orderId": order.id, "itemIds": [product["item"] for product in products]}
        body = service_order_of(order, products, parent, None)
        if body is None:
            return []
        service_order = as_stored(new_service_order(rx, catalog, body, None), rx.now)
        return self._lines(rx, planner, service_order, waiting)

    def _lines(self, rx: Rx, planner: Planner, order: Order, waiting: Waiting) -> list[Plan]:
        """Plan the resource orders of a service order that are not sent yet."""
        plan = order.plan or {}
        lines = plan.get("lines")
        if lines is None:
            lines = plan_lines(rx, self._catalogs.view(rx), order)
        sent = plan.get("children", {})
        bodies = [
            resource_order_of(order, line, {"orderId": order.id, "itemIds": []}, None)
            for line in lines
            if f"line:{line['line']}" not in sent
        ]
        return [planner.body(body, waiting.order.id, waiting.starts) for body in bodies if body]

    def _qualified(self, rx: Rx, order: Order) -> Order:
        """Choose technologies as the order will: what has room first, else what reaches the place at all."""
        chosen = dict((order.plan or {}).get("qualification", {}))
        for item in product_items(rx, self._catalogs.view(rx), order):
            if item.needs_qualification and item.id not in chosen:
                technology = self._technology(rx, item)
                if technology is not None:
                    chosen[item.id] = {QUALIFIED: technology}
        return replace(order, plan={**(order.plan or {}), "qualification": chosen})

    def _technology(self, rx: Rx, item: ProductItem) -> str | None:
        place = str(item.place)
        answer = self._parts.com.som.qualify(place, {})
        technology, _ = choose_technology(item, answer["technologies"])
        if technology is not None:
            return technology
        there = {reach.technology for reach in reachable(rx, place)}
        allowed = item.offering.allowed(QUALIFIED) or tuple(sorted(there))
        return next((name for name in allowed if name in there), None)


def _guarded(waiting: Waiting, plan: Callable[[], list[Plan]]) -> list[Plan]:
    try:
        return plan()
    except TurnupError as error:
        return [unplanned(waiting.order.id, waiting.starts, error)]


def _uncounted(rx: Rx, plans: Plans, there: Mapping[tuple[str, str], int]) -> Iterator[Uncounted]:
    for plan in plans.plans:
        for why in plan.unknown:
            yield Uncounted(plan.order, why)
    for order, why in without_pool(rx, plans.plans, there):
        yield Uncounted(order, why)
    if plans.left_out:
        yield Uncounted(None, f"{plans.left_out} orders that begin later than those counted")
