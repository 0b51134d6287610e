"""Assign all items of an order in one transaction: addresses, VLANs, ports, serials, devices.

What an allocation is and why it was chosen is kept with the resource (`allocations`, `reasons` in its body), so
that a cease gives back exactly what was taken and an engineer can ask "why this port".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.expression import Expression
from catalog.model import Assign
from inventory import allocator, graph
from inventory.allocator import Allocation
from inventory.devices import devices
from inventory.instances import Cause
from rom.context import bound, context
from rom.decompose import assignment_order, contributions, groups, restoring, undo
from rom.errors import NoDeviceOfRole, RoleMissing
from rom.model import Action, Group, ResourceItem
from rom.parse import of_role
from store import Tx

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Assigned:
    """An item with all its values, and where they came from."""

    item: ResourceItem
    allocations: Mapping[str, Json] = field(default_factory=dict)
    """Characteristic → {pool, kind, scope, value, text, owner, sharedBy?}: what it holds afterwards."""
    held: Mapping[str, Json] = field(default_factory=dict)
    """The same, as it stood before the order."""
    reasons: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """All items of an order with their values, and the groups in which to execute them."""

    items: tuple[Assigned, ...]
    groups: tuple[Group, ...]

    def allocations(self) -> list[Json]:
        """Return what is (or would be) taken, as shown to people; no ids in it but those of pools' scopes."""
        return [
            {
                "pool": held["pool"],
                "kind": held["kind"],
                "scope": held["scope"],
                "value": held["value"],
                "text": held["text"],
                "characteristic": name,
                "item": assigned.item.id,
            }
            for assigned in self.items
            for name, held in assigned.allocations.items()
        ]


class Assigner:
    """Assigns the items of one order; all lookups and allocations go through one transaction."""

    def __init__(self, tx: Tx, order_id: str) -> None:
        self._tx = tx
        self._order_id = order_id
        self._after: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._before: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def assign(
        self, items: Sequence[ResourceItem], held: Mapping[str, Mapping[str, Json]]
    ) -> Assignment:
        """Assign all items in dependency order and plan their groups.

        Args:
            items: the order's items.
            held: item id → what its resource holds already (its instance's `allocations`).

        Raises POOL_EXHAUSTED, NO_ACCESS_PATH, RoleMissing, NoDeviceOfRole and expression errors; the caller's
        transaction is then rolled back as a whole.

        """
        assigned = {
            a.item.id: a
            for a in (self._assign(i, held.get(i.id, {})) for i in assignment_order(items))
        }
        ordered = tuple(assigned[item.id] for item in items)
        done = [entry.item for entry in ordered]
        changes = {item.id: contributions(item, *self._contexts(item)) for item in done}
        back = restoring({item.id: undo(item, *self._contexts(item)) for item in done})
        planned = tuple(
            _with_undo(group, tuple(c for item in group.items for c in back[item]))
            for group in groups(done, changes)
        )
        return Assignment(ordered, planned)

    def _assign(self, item: ResourceItem, held: Mapping[str, Json]) -> Assigned:
        if item.action in (Action.DELETE, Action.NO_CHANGE):
            self._before[item.line, item.role] = item.before
            after = None if item.action is Action.DELETE else item.before
            if after is not None:
                self._after[item.line, item.role] = after
            kept = {} if item.action is Action.DELETE else dict(held)
            return Assigned(item.with_after(after), kept, dict(held))
        work = _Work(item, dict(held), bound(item.spec, {**(item.before or {}), **item.inputs}))
        for rule in item.spec.assign:
            self._apply(rule, work)
        self._after[item.line, item.role] = work.values
        if item.action is Action.MODIFY:
            self._before[item.line, item.role] = item.before
        return Assigned(item.with_after(work.values), work.held, dict(held), work.reasons)

    def _apply(self, rule: Assign, work: _Work) -> None:
        scope = self._context(work.item, work.values, present=False)
        if rule.when and not Expression(rule.when).evaluate(scope):
            work.values[rule.as_] = None
            work.held.pop(rule.as_, None)
        elif rule.take:
            self._take(rule, work, scope)
        elif rule.choose == "device":
            work.values[rule.as_] = work.values[rule.as_] or self._device(str(rule.role))
        elif rule.choose:
            self._port(rule, work)
        else:
            work.values[rule.as_] = Expression(str(rule.value)).evaluate(scope)

    def _take(self, rule: Assign, work: _Work, scope: Mapping[str, Any]) -> None:
        kind, where = str(rule.take), str(Expression(rule.scope or "''").evaluate(scope))
        old = work.held.get(rule.as_)
        if old and (old["kind"], old["scope"]) == (kind, where):
            return
        shared = str(Expression(rule.shared_by).evaluate(scope)) if rule.shared_by else None
        cause = Cause(order_id=self._order_id, item_id=work.item.id, layer="rom")
        if shared is not None:
            taken = allocator.take_shared(
                self._tx,
                kind=kind,
                scope=where,
                shared_by=shared,
                user=work.item.resource,
                cause=cause,
            )
        else:
            # item ids repeat from order to order: without the order's, a later change would own what it gives back
            owner = f"{work.item.resource}:{rule.as_}:{self._order_id}/{work.item.id}"
            subject = f"{work.item.line}:{work.item.role}:{rule.as_}"
            (taken,) = allocator.take(
                self._tx, kind=kind, scope=where, owner=owner, subject=subject, cause=cause
            )
        work.held[rule.as_] = _held(taken, shared)
        work.values[rule.as_] = taken.value if taken.text == str(taken.value) else taken.text

    def _port(self, rule: Assign, work: _Work) -> None:
        if work.values.get(rule.as_):
            return
        choice = graph.choose_port(
            self._tx,
            work.item.place,
            str(work.values["accessTechnology"]),
            policy=rule.policy or "best-fit",
        )
        found = {
            "ponPort": choice.port,
            "olt": choice.device,
            "router": choice.router,
            "routerDownlink": choice.router_downlink,
            "routerUplink": choice.router_uplink,
            "bng": choice.bng,
            "bngPort": choice.bng_port,
        }
        work.values.update({name: value for name, value in found.items() if name in work.values})
        work.reasons[rule.as_] = choice.reason

    def _device(self, role: str) -> str:
        managed = sorted(d.name for d in devices(self._tx, role=role) if d.admin_state == "managed")
        if not managed:
            raise NoDeviceOfRole(
                f"No managed device has the role {role!r}; import one (turnup device import)."
            )
        return managed[0]

    def _contexts(self, item: ResourceItem) -> tuple[dict[str, Any], dict[str, Any]]:
        before = {} if item.before is None else self._context(item, item.before, present=True)
        after = {} if item.after is None else self._context(item, item.after, present=False)
        return before, after

    def _context(
        self, item: ResourceItem, own: Mapping[str, Any], *, present: bool
    ) -> dict[str, Any]:
        return context(
            item.spec, own, item.place, lambda role: self._lookup(item, role, present=present)
        )

    def _lookup(self, item: ResourceItem, role: str, *, present: bool) -> Mapping[str, Any] | None:
        known = self._before if present else self._after
        if (item.line, role) in known:
            return known[item.line, role]
        instance = of_role(self._tx, item.line, role)
        if instance is not None:
            return instance.characteristics
        if item.spec.uses[role].optional or present:
            return None
        raise RoleMissing(
            f"Item {item.id} ({item.spec.id}) uses {role!r}, but neither the order nor line {item.line} has one; "
            "add such an item to the order."
        )


@dataclass(slots=True)
class _Work:
    item: ResourceItem
    held: dict[str, Json]
    values: dict[str, Any]
    reasons: dict[str, Json] = field(default_factory=dict)


def _held(taken: Allocation, shared: str | None) -> Json:
    held: Json = {
        "pool": taken.pool,
        "kind": taken.kind,
        "scope": taken.scope,
        "value": taken.value,
        "text": taken.text,
        "owner": taken.owner,
    }
    return held | ({"sharedBy": shared} if shared is not None else {})


def _with_undo(group: Group, back: tuple[Any, ...]) -> Group:
    return Group(group.key, group.kind, group.items, group.needs, group.contributions, back)
