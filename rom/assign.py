"""Assign all items of an order in one transaction: addresses, VLANs, ports, serials, devices.

What an allocation is and why it was chosen is kept with the resource (`allocations`, `reasons` in its body), so
that a cease gives back exactly what was taken and an engineer can ask "why this port"; ids taken on a chosen port
carry, in the allocator, which rule took them and where the port's reason stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from catalog.expression import Expression
from catalog.model import Assign
from inventory import allocator
from inventory.allocator import Allocation
from inventory.errors import PoolDraining, PoolExhausted
from inventory.instances import Cause
from inventory.values.kinds import plain
from rom.context import bound, context
from rom.decompose import assignment_order, contributions, groups, restoring, undo
from rom.errors import RoleMissing
from rom.model import Action, Group, ResourceItem
from rom.parse import of_role
from rom.placing import Placing, found_by, leading
from store import Tx

Json = dict[str, Any]
_TRIES = 8
"""How often a port is chosen anew because somebody took its last id between the choice and the taking."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """An item with all its values, and where they came from."""

    item: ResourceItem
    allocations: Mapping[str, Json] = field(default_factory=dict)
    """Characteristic → {pool, kind, scope, value, text, owner, sharedBy?, reason?}: what it holds afterwards."""
    held: Mapping[str, Json] = field(default_factory=dict)
    """The same, as it stood before the order."""
    reasons: Mapping[str, Json] = field(default_factory=dict)
    """Characteristic → why this port or device: {rule, policy, chosen, because, considered, rejected}."""


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

    def reasons(self) -> list[Json]:
        """Return why each port and device was chosen; no part of what a plan's hash is over."""
        return [
            {"item": assigned.item.id, "characteristic": name, **reason}
            for assigned in self.items
            for name, reason in assigned.reasons.items()
        ]


class Assigner:
    """Assigns the items of one order; all lookups and allocations go through one transaction."""

    def __init__(self, tx: Tx, order_id: str) -> None:
        self._tx = tx
        self._order_id = order_id
        self._after: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._before: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        self._placing = Placing(tx)

    def assign(
        self, items: Sequence[ResourceItem], held: Mapping[str, Mapping[str, Json]]
    ) -> Assignment:
        """Assign all items in dependency order and plan their groups.

        Args:
            items: the order's items.
            held: item id → what its resource holds already (its instance's `allocations`).

        Raises POOL_EXHAUSTED, NO_ACCESS_PATH, NO_PORT_FITS, RoleMissing, NoDeviceOfRole and expression errors; the
        caller's transaction is then rolled back as a whole.

        """
        self._placing.without(item.resource for item in items if item.action is Action.DELETE)
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
        work = self._worked(item, held)
        self._placing.note(item, work.values)
        self._after[item.line, item.role] = work.values
        if item.action is Action.MODIFY:
            self._before[item.line, item.role] = item.before
        return Assigned(item.with_after(work.values), work.held, dict(held), work.reasons)

    def _worked(self, item: ResourceItem, held: Mapping[str, Json]) -> _Work:
        """Apply the rules; when the chosen port's last id goes to another order meanwhile, choose again."""
        lost: frozenset[str] = frozenset()
        while True:
            values = bound(item.spec, {**(item.before or {}), **item.inputs})
            work = _Work(item, dict(held), values, leading(item.spec.assign), lost)
            try:
                with self._tx.savepoint() if work.leading else nullcontext():
                    for rule in item.spec.assign:
                        self._apply(rule, work)
            except (PoolDraining, PoolExhausted) as full:
                port = _port_of(work, full)
                if port is None or len(lost) >= _TRIES:
                    raise
                lost |= {port}
            else:
                return work

    def _apply(self, rule: Assign, work: _Work) -> None:
        scope = self._context(work.item, work.values, present=False)
        if rule.when and not Expression(rule.when).evaluate(scope):
            work.values[rule.as_] = None
            work.held.pop(rule.as_, None)
        elif rule.take:
            self._take(rule, work, scope)
        elif rule.choose == "device":
            self._device(rule, work, scope)
        elif rule.choose:
            self._port(rule, work, scope)
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
                self._tx,
                kind=kind,
                scope=where,
                owner=owner,
                subject=subject,
                cause=cause,
                reason=_why(rule, work, where),
            )
        work.held[rule.as_] = _held(taken, shared)
        work.values[rule.as_] = plain(taken.kind, taken.params, taken.value)

    def _port(self, rule: Assign, work: _Work, scope: Mapping[str, Any]) -> None:
        assert work.leading is not None
        if work.port is not None:
            return
        if work.values.get(rule.as_):
            work.port = str(work.values.get("ponPort"))
            self._placing.stays(work.leading, work.item, work.port, scope)
            return
        choice = self._placing.port(work.leading, work.item, scope, work.lost)
        found = found_by(choice)
        work.values.update({name: value for name, value in found.items() if name in work.values})
        work.port = choice.port
        work.explain(work.leading, choice.reason)

    def _device(self, rule: Assign, work: _Work, scope: Mapping[str, Any]) -> None:
        if work.values[rule.as_]:
            self._placing.stays(rule, work.item, str(work.values[rule.as_]), scope)
            return
        choice = self._placing.device(rule, work.item, scope)
        assert choice.chosen is not None
        work.values[rule.as_] = choice.chosen.name
        work.explain(rule, choice.reason)

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
    leading: Assign | None
    """The rule that says how the port is chosen."""
    lost: frozenset[str]
    port: str | None = None
    reasons: dict[str, Json] = field(default_factory=dict)

    def rule(self, rule: Assign) -> str:
        """Return a rule's name, as reasons show it."""
        return f"{self.item.spec.id}@{self.item.spec.version}/{rule.as_}"

    def explain(self, rule: Assign, reason: Json) -> None:
        """Keep why something was chosen."""
        self.reasons[rule.as_] = {"rule": self.rule(rule), **reason}


def _why(rule: Assign, work: _Work, scope: str) -> Json | None:
    """Return what an allocation says of itself when its pool is that of a port or device that was chosen."""
    for name, reason in work.reasons.items():
        if reason["chosen"] == scope:
            return {"rule": work.rule(rule), "on": scope, "see": f"{work.item.resource} {name}"}
    return None


def _port_of(work: _Work, full: PoolDraining | PoolExhausted) -> str | None:
    """Return the port that was just chosen, when it is its pool that gave nothing."""
    pool, port = str(full.details.get("pool")), work.port
    fresh = port is not None and any(r["chosen"] == port for r in work.reasons.values())
    return port if fresh and pool.endswith(f"@{port}") else None


def _held(taken: Allocation, shared: str | None) -> Json:
    held: Json = {
        "pool": taken.pool,
        "kind": taken.kind,
        "scope": taken.scope,
        "value": taken.value,
        "text": taken.text,
        "owner": taken.owner,
    }
    if taken.reason is not None:
        held["reason"] = taken.reason
    return held | ({"sharedBy": shared} if shared is not None else {})


def _with_undo(group: Group, back: tuple[Any, ...]) -> Group:
    return Group(group.key, group.kind, group.items, group.needs, group.contributions, back)
