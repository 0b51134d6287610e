"""Forecasts of this server's pools: its order book, all three layers of it, put to the inventory's planner.

An order is counted once, in the lowest layer it has come to. What COM and SOM have not sent yet is planned down to
resource orders by the functions that will send them; nothing is stored and nothing is taken.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

from catalog.repository import Catalog
from com.decompose import choose_technology
from com.handlers import child_of as service_order_of
from com.handlers import plan_order as plan_products
from com.parse import QUALIFIED, ProductItem
from com.parse import load_items as product_items
from inventory.counting.runout import Forecast, Level
from inventory.counting.utilisation import ALL, DEFAULT_OUTLOOK, Outlook, Which, forecasts, room
from inventory.plant.connectivity import reachable
from orders import backlog
from orders.backlog import Waiting, as_stored
from orders.model import Order, State
from rom.forecast import Plan, Planner, Plans, demand, pending, pools_of, unplanned, without_pool
from som.handlers import child_of as resource_order_of
from som.handlers import plan_order as plan_lines
from som.parse import new_order as new_service_order
from store import Rx, TurnupError
from turnup.application import Application, Parts

Json = dict[str, Any]
KEPT_S = 300.0
"""How long the plan of an order above ROM is kept while nothing happens to the order: places change seldom."""
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


@dataclass(frozen=True, slots=True)
class _Kept:
    """The plans of an order above ROM, as long as nothing happens to it; planning one takes milliseconds."""

    until: float
    state: State
    plan: Json | None
    plans: list[Plan]


class Forecaster:
    """Looks ahead for the pools of one server. Thread-safe."""

    def __init__(self, application: Application, most_orders: int = MOST_ORDERS) -> None:
        self._lock = Lock()
        self._kept: dict[str, _Kept] = {}
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
        """Return a page of forecasts, the soonest to run out first. Raises as `inventory.counting.utilisation.forecasts`."""
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
        if not self._chained:
            return own
        above = _Above(rx, self._parts, self._catalogs.view(rx))
        services = backlog.not_sent(rx, "som", "som.dispatch@1", self._most)
        products = backlog.not_sent(rx, "com", "com.dispatch@1", self._most)
        with self._lock:
            known, self._kept = self._kept, {}
            for waiting in services.orders:
                self._keep(known, waiting, above.service_order)
            for waiting in products.orders:
                self._keep(known, waiting, above.product_order)
            plans = [
                _moved(plan, waiting.starts)
                for waiting in (*services.orders, *products.orders)
                for plan in self._kept[waiting.order.id].plans
            ]
        left_out = sum(book.total - len(book.orders) for book in (services, products))
        return Plans((*own.plans, *plans), own.left_out + left_out)

    def _keep(
        self, known: Mapping[str, _Kept], waiting: Waiting, plan: Callable[[Waiting], list[Plan]]
    ) -> None:
        order, now = waiting.order, time.monotonic()
        kept = known.get(order.id)
        if kept is None or kept.until < now or (kept.state, kept.plan) != (order.state, order.plan):
            kept = _Kept(now + KEPT_S, order.state, order.plan, plan(waiting))
        self._kept[order.id] = kept


class _Above:
    """Plans what COM and SOM have not sent yet down to resource orders, by the functions that will send them."""

    def __init__(self, rx: Rx, parts: Parts, catalog: Catalog) -> None:
        self._rx, self._parts, self._catalog = rx, parts, catalog
        self._planner = Planner(rx, catalog)
        self._technologies: dict[str, list[Json]] = {}

    def service_order(self, waiting: Waiting) -> list[Plan]:
        """Plan the lines of a service order that are not sent yet."""
        return _guarded(waiting, lambda: self._lines(waiting.order, waiting))

    def product_order(self, waiting: Waiting) -> list[Plan]:
        """Plan a product order's service order, and what that orders in turn."""
        return _guarded(waiting, lambda: self._services(waiting))

    def _services(self, waiting: Waiting) -> list[Plan]:
        order = waiting.order
        products = (order.plan or {}).get("products")
        if products is None:
            products = plan_products(self._rx, self._catalog, self._qualified(order))
        parent = {"orderId": order.id, "itemIds": [product["item"] for product in products]}
        body = service_order_of(order, products, parent, None)
        if body is None:
            return []
        new = new_service_order(self._rx, self._catalog, body, None)
        return self._lines(as_stored(new, self._rx.now), waiting)

    def _lines(self, order: Order, waiting: Waiting) -> list[Plan]:
        plan = order.plan or {}
        lines = plan.get("lines")
        if lines is None:
            lines = plan_lines(self._rx, self._catalog, order)
        sent = plan.get("children", {})
        parent = {"orderId": order.id, "itemIds": []}
        bodies = [
            resource_order_of(order, line, parent, None)
            for line in lines
            if f"line:{line['line']}" not in sent
        ]
        name, starts = waiting.order.id, waiting.starts
        return [self._planner.body(body, name, starts) for body in bodies if body]

    def _qualified(self, order: Order) -> Order:
        """Choose technologies as the order will: what has room first, else what reaches the place at all."""
        chosen = dict((order.plan or {}).get("qualification", {}))
        for item in product_items(self._rx, self._catalog, order):
            if item.needs_qualification and item.id not in chosen:
                technology = self._technology(item)
                if technology is not None:
                    chosen[item.id] = {QUALIFIED: technology}
        return replace(order, plan={**(order.plan or {}), "qualification": chosen})

    def _technology(self, item: ProductItem) -> str | None:
        place = str(item.place)
        if place not in self._technologies:
            self._technologies[place] = self._parts.com.som.qualify(place, {})["technologies"]
        technology, _ = choose_technology(item, self._technologies[place])
        if technology is not None:
            return technology
        there = {reach.technology for reach in reachable(self._rx, place)}
        allowed = item.offering.allowed(QUALIFIED) or tuple(sorted(there))
        return next((name for name in allowed if name in there), None)


def _moved(plan: Plan, starts: datetime) -> Plan:
    """Return a kept plan as of now: what was due then is due still."""
    return replace(plan, at=starts, gives_at=max(starts, plan.gives_at or starts))


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
