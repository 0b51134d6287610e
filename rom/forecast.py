"""What the orders in the book will take from pools and give back, planned without taking anything.

The same rules as `rom.assign`, read only. Where an access port is still to be chosen, every port that reaches the
place with the wanted technology is a branch, all equally likely; ports without room drop out. What cannot be known
before the order begins is named, not guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from catalog.errors import ExpressionFailed
from catalog.expression import Expression
from catalog.model import Assign
from catalog.repository import Catalog
from inventory.counting.runout import Booked, Demand
from inventory.counting.utilisation import SharedValue, shared_value
from inventory.devices import devices
from inventory.errors import KindUnknown
from inventory.plant.connectivity import reachable, route_to_edge
from inventory.values.kinds import kind as kind_of
from orders import backlog
from orders.backlog import Waiting
from orders.model import Order, State
from orders.wire import Json
from rom import resources
from rom.context import bound, context
from rom.decompose import assignment_order
from rom.handlers import RomParts
from rom.model import Action, ResourceItem
from rom.parse import load_items, new_order, of_role
from store import Rx, TurnupError, from_text

Pool = tuple[str, str]
"""(kind, scope)"""
_MOST_BRANCHES = 8


@dataclass(frozen=True, slots=True)
class Take:
    """A value that an order takes; with `shared` only if nobody has one for that key yet."""

    kind: str
    scope: str
    shared: str | None = None


Branch = tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one order does to pools, and when; `unknown` says in words what could not be told."""

    order: str
    at: datetime
    branches: tuple[Branch, ...] = ()
    gives: tuple[Pool, ...] = ()
    gives_at: datetime | None = None
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of the orders looked at, and how many orders were left out because there are so many."""

    plans: tuple[Plan, ...]
    left_out: int = 0


def pending(rx: Rx, parts: RomParts, limit: int) -> Plans:
    """Return the plans of ROM's own orders: what is not assigned yet, and what those under way give back."""
    planner = Planner(rx, parts.catalogs.view(rx))
    todo = backlog.not_done(rx, "rom", "assign", limit)
    ending = backlog.changing(rx, "rom", "assign", limit)
    plans = [planner.stored(waiting) for waiting in todo.orders]
    plans += [
        _ending(waiting) for waiting in ending.orders if waiting.order.state is not State.HELD
    ]
    left_out = todo.total - len(todo.orders) + ending.total - len(ending.orders)
    return Plans(tuple(plans), left_out)


def demand(plans: Iterable[Plan], room: Mapping[Pool, int]) -> dict[Pool, Demand]:
    """Return what each pool has to expect.

    Args:
        plans: what the orders do.
        room: how many values are free now; pools that are not named have room.

    """
    takes: defaultdict[Pool, list[Booked]] = defaultdict(list)
    gives: defaultdict[Pool, list[Booked]] = defaultdict(list)
    shared: set[Take] = set()
    for plan in sorted(plans, key=lambda plan: (plan.at, plan.order)):
        for pool, share, count in _shares(_with_room(plan.branches, room), shared):
            takes[pool].append(Booked(plan.at, plan.order, share, count))
        for pool, count in Counter(plan.gives).items():
            gives[pool].append(Booked(plan.gives_at or plan.at, plan.order, 1.0, count))
    return {
        pool: Demand(tuple(takes.get(pool, ())), tuple(gives.get(pool, ())))
        for pool in takes.keys() | gives.keys()
    }


def pools_of(plans: Iterable[Plan]) -> set[Pool]:
    """Return the pools that the orders may take from."""
    return {
        (take.kind, take.scope) for plan in plans for branch in plan.branches for take in branch
    }


def without_pool(
    rx: Rx, plans: Iterable[Plan], there: Container[Pool]
) -> Iterator[tuple[str, str]]:
    """Yield (order, why) for what orders want of pools that are not there, nor made when first asked for."""
    look = Look(rx)
    for plan in plans:
        wanted = {(take.kind, take.scope) for branch in plan.branches for take in branch}
        for kind, scope in sorted(wanted):
            if (kind, scope) not in there and not look.on_demand(kind):
                yield plan.order, f"there is no pool of kind {kind} for {scope!r}"


class Planner:
    """Plans orders against the inventory as it stands in one transaction."""

    def __init__(self, rx: Rx, catalog: Catalog) -> None:
        self._rx = rx
        self._catalog = catalog
        self.look = Look(rx)

    def stored(self, waiting: Waiting) -> Plan:
        """Return the plan of an order of ROM's book that is not assigned yet."""
        return self._plan(waiting.order, waiting.order.id, waiting.starts)

    def body(self, body: Json, name: str, at: datetime) -> Plan:
        """Return the plan of a TMF652 order that the layer above has not sent yet; `name` is the order above."""
        try:
            order = backlog.as_stored(new_order(self._rx, self._catalog, body), self._rx.now)
        except TurnupError as error:
            return unplanned(name, at, error)
        return self._plan(order, name, at)

    def _plan(self, order: Order, name: str, at: datetime) -> Plan:
        try:
            items = load_items(self._rx, self._catalog, order)
            held = {
                i.id: resources.held_by(self._rx, i.resource)
                for i in items
                if i.action is not Action.ADD
            }
            walks = [Walk(self.look, 0).through(items, held)]
            walks += [
                Walk(self.look, n).through(items, held)
                for n in range(1, min(walks[0].choices, _MOST_BRANCHES))
            ]
        except TurnupError as error:
            return unplanned(name, at, error)
        return Plan(
            order=name,
            at=at,
            branches=tuple(tuple(walk.takes) for walk in walks),
            gives=tuple(walks[0].gives),
            gives_at=max([at, *_windows(order)]),
            unknown=tuple(dict.fromkeys(why for walk in walks for why in walk.unknown)),
        )


def unplanned(order: str, at: datetime, error: TurnupError) -> Plan:
    """Return the plan of an order that cannot be planned, which says why."""
    return Plan(order, at, unknown=(f"{error.code}: {error.message}",))


class Look:
    """What walks ask the inventory for, asked once."""

    def __init__(self, rx: Rx) -> None:
        self._rx = rx
        self._managed = {d.name: d.role for d in devices(rx) if d.admin_state == "managed"}
        self._ports: dict[tuple[str | None, str], list[Json]] = {}
        self._shared: dict[Take, SharedValue | None] = {}

    def role(self, line: str, role: str) -> Mapping[str, Any] | None:
        instance = of_role(self._rx, line, role)
        return instance.characteristics if instance else None

    def on_demand(self, kind: str) -> bool:
        """Tell whether pools of a kind are made when first asked for: such a one is as good as empty."""
        try:
            return kind_of(kind, self._rx).on_demand
        except KindUnknown:
            return False

    def device(self, role: str | None) -> str | None:
        return min((name for name, of in self._managed.items() if of == role), default=None)

    def ports(self, place: str | None, technology: str) -> list[Json]:
        known = self._ports.get((place, technology))
        if known is None:
            known = self._ports[place, technology] = self._reach(place, technology)
        return known

    def shared(self, take: Take) -> SharedValue | None:
        if take not in self._shared:
            key = str(take.shared)
            self._shared[take] = shared_value(self._rx, take.kind, take.scope, key)
        return self._shared[take]

    def _reach(self, place: str | None, technology: str) -> list[Json]:
        found = []
        for reach in reachable(self._rx, place) if place else ():
            if reach.technology == technology and reach.device in self._managed:
                route = route_to_edge(self._rx, reach.device)
                router = next((hop for hop in route if hop.role == "router"), None)
                found.append(
                    {
                        "ponPort": reach.port,
                        "olt": reach.device,
                        "router": router.device if router else None,
                        "routerDownlink": router.in_port if router else None,
                        "routerUplink": router.out_port if router else None,
                        "bng": route[-1].device if route else None,
                        "bngPort": route[-1].in_port if route else None,
                    }
                )
        return found


class Walk:
    """Goes through an order's items as the assignment would, taking the n-th choice wherever there is one."""

    def __init__(self, look: Look, pick: int) -> None:
        self._look, self._pick = look, pick
        self._after: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        self.choices = 1
        self.takes: list[Take] = []
        self.gives: list[Pool] = []
        self.unknown: list[str] = []

    def through(
        self, items: Sequence[ResourceItem], held: Mapping[str, Mapping[str, Json]]
    ) -> Walk:
        for item in assignment_order(items):
            self._item(item, dict(held.get(item.id, {})))
        return self

    def _item(self, item: ResourceItem, held: dict[str, Json]) -> None:
        if item.action is Action.NO_CHANGE:
            return
        if item.action is Action.DELETE:
            self._give(held.values())
            return
        work = _Work(item, held, bound(item.spec, {**(item.before or {}), **item.inputs}))
        self._after[item.line, item.role] = work.values
        for rule in item.spec.assign:
            try:
                self._rule(rule, work)
            except TurnupError as error:
                work.values[rule.as_] = None
                if not (rule.take and self._look.on_demand(rule.take)):
                    self.unknown.append(_why(rule, item, error))
        self._give(work.dropped)

    def _rule(self, rule: Assign, work: _Work) -> None:
        scope = context(
            work.item.spec, work.values, work.item.place, lambda role: self._role(work.item, role)
        )
        if rule.when and not Expression(rule.when).evaluate(scope):
            work.values[rule.as_] = None
            work.drop(rule.as_)
        elif rule.take:
            self._take(rule, work, scope)
        elif rule.choose == "device":
            work.values[rule.as_] = work.values[rule.as_] or self._look.device(rule.role)
        elif rule.choose:
            self._port(rule, work)
        else:
            work.values[rule.as_] = Expression(str(rule.value)).evaluate(scope)

    def _take(self, rule: Assign, work: _Work, scope: Mapping[str, Any]) -> None:
        kind, where = str(rule.take), str(Expression(rule.scope or "''").evaluate(scope))
        old = work.held.get(rule.as_)
        if old and (old["kind"], old["scope"]) == (kind, where):
            return
        work.drop(rule.as_)
        shared = str(Expression(rule.shared_by).evaluate(scope)) if rule.shared_by else None
        take = Take(kind, where, shared)
        there = self._look.shared(take) if shared is not None else None
        work.values[rule.as_] = there.value if there else None
        if there is None:
            self.takes.append(take)

    def _port(self, rule: Assign, work: _Work) -> None:
        if work.values.get(rule.as_):
            return
        technology = str(work.values.get("accessTechnology"))
        ports = self._look.ports(work.item.place, technology)
        self.choices = max(self.choices, len(ports))
        if not ports:
            self.unknown.append(f"no managed {technology} port reaches place {work.item.place}")
            return
        chosen = ports[self._pick % len(ports)]
        work.values.update({name: value for name, value in chosen.items() if name in work.values})

    def _role(self, item: ResourceItem, role: str) -> Mapping[str, Any] | None:
        key = (item.line, role)
        if key not in self._after:
            self._after[key] = self._look.role(item.line, role)
        return self._after[key]

    def _give(self, held: Iterable[Json]) -> None:
        self.gives += [(one["kind"], one["scope"]) for one in held if self._last(one)]

    def _last(self, held: Json) -> bool:
        """Tell whether a value is given back: a shared one is so only by its last user."""
        if "sharedBy" not in held:
            return True
        there = self._look.shared(Take(held["kind"], held["scope"], held["sharedBy"]))
        return there is not None and there.users <= 1


@dataclass(slots=True)
class _Work:
    item: ResourceItem
    held: dict[str, Json]
    values: dict[str, Any]
    dropped: list[Json] = field(default_factory=list)

    def drop(self, name: str) -> None:
        old = self.held.pop(name, None)
        if old:
            self.dropped.append(old)


def _why(rule: Assign, item: ResourceItem, error: TurnupError) -> str:
    if rule.take and isinstance(error, ExpressionFailed):
        return f"{rule.as_} of {item.spec.id}: from which pool depends on a value that is not taken yet"
    return f"{rule.as_} of {item.spec.id}: {error.code}"


def _ending(waiting: Waiting) -> Plan:
    """Return what an order under way gives back at its end: what its items hold no longer."""
    order = waiting.order
    gone = [
        (held["kind"], held["scope"])
        for item in order.items
        for name, held in item.result.get("held", {}).items()
        if item.result.get("allocations", {}).get(name) != held and "sharedBy" not in held
    ]
    at = max([waiting.starts, *_windows(order)])
    return Plan(order.id, at, gives=tuple(gone), gives_at=at)


def _windows(order: Order) -> list[datetime]:
    return [from_text(str(i.body["startAt"])) for i in order.items if i.body.get("startAt")]


def _with_room(branches: Sequence[Branch], room: Mapping[Pool, int]) -> Sequence[Branch]:
    open_ = [b for b in branches if all(room.get((take.kind, take.scope), 1) > 0 for take in b)]
    return open_ or branches


def _shares(branches: Sequence[Branch], shared: set[Take]) -> list[tuple[Pool, float, int]]:
    """Return per pool how likely an order comes to it, and how many values it takes then."""
    counts = [
        Counter((take.kind, take.scope) for take in branch if take not in shared)
        for branch in branches
    ]
    shared.update(take for branch in branches for take in branch if take.shared is not None)
    pools = dict.fromkeys(pool for count in counts for pool in count)
    most = {pool: max(count[pool] for count in counts) for pool in pools}
    return [
        (pool, sum(count[pool] for count in counts) / len(branches) / most[pool], most[pool])
        for pool in pools
    ]
