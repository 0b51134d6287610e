"""Pure: the one algorithm of all layers and order types, from what is to what shall be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from heapq import heapify, heappop, heappush
from typing import Any, Literal

from catalog.errors import SequenceCycle
from catalog.lines import Across

Action = Literal["add", "modify", "delete", "noChange"]
Need = tuple[str, Action]
"""Key and action of another ItemDelta; the action tells the two halves of a replacement apart."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A child as it shall be."""

    key: str
    """Unique in the line: the link's key, `[index]` when repeated, `@parent` only where two parents would collide."""
    spec: str
    version: str
    inputs: Mapping[str, Any]
    """Every declared characteristic of the child, and `place` when replaceOn names it."""
    after: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    start_at: str | None = None
    stage: str | None = None
    replace_on: tuple[str, ...] = ()
    replace_with: tuple[str, ...] = ()
    refresh_with: tuple[str, ...] = ()
    across: tuple[Across, ...] = ()


@dataclass(frozen=True, slots=True)
class Present:
    """A child as the inventory has it."""

    key: str
    instance: str
    spec: str
    version: str
    inputs: Mapping[str, Any]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemDelta:
    """What is to be done about one child; a replacement is two of them with one key."""

    key: str
    action: Action
    instance: str | None
    spec: str
    version: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    needs: tuple[Need, ...] = ()
    """What is executed before it; siblings that do not change are passed through to those behind them."""
    start_at: str | None = None
    stage: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(slots=True)
class _Plan:
    desired: Mapping[str, Desired]
    present: Mapping[str, Present]
    replaced: frozenset[str]
    actions: dict[str, Action] = field(default_factory=dict)
    """Key → what becomes of it; a replaced one counts as add."""

    def __post_init__(self) -> None:
        for key in (*self.desired, *self.present):
            self.actions[key] = self._action(key)
        changed = {key for key, action in self.actions.items() if action != "noChange"}
        followers = {key: wanted.refresh_with for key, wanted in self.desired.items()}
        for key in _followers(followers, changed):
            self.actions[key] = "modify"

    def _action(self, key: str) -> Action:
        wanted, held = self.desired.get(key), self.present.get(key)
        if wanted is None:
            return "delete"
        if held is None or key in self.replaced:
            return "add"
        same = (wanted.version, dict(wanted.inputs)) == (held.version, dict(held.inputs))
        return "noChange" if same else "modify"


def delta(desired: Sequence[Desired], present: Sequence[Present]) -> tuple[ItemDelta, ...]:
    """Return what turns `present` into `desired`, in an order that can be executed; the same for any input order.

    Only desired → add; only present → delete; another version or other inputs (or a sibling named by
    `refreshWith` changes) → modify; equal → noChange. A child of which an input named by `replaceOn` changed (or its specification, or a sibling named by `replaceWith` is
    replaced) is added anew and the old one deleted once the new one stands. A cease is `desired = ()`: deletes run
    in the reverse of the order in which things were made.

    Raises:
        SequenceCycle: the sequence rules form a circle.

    """
    wanted, held = {d.key: d for d in desired}, {p.key: p for p in present}
    if len(wanted) < len(desired) or len(held) < len(present):
        raise ValueError("keys are unique among desired and among present")
    plan = _Plan(wanted, held, _replaced(wanted, held))
    items = {(item.key, item.action): item for item in _items(plan)}
    order = {(k, a): (*item.needs, *_stays(plan, item)) for (k, a), item in items.items()}
    return tuple(items[need] for need in _sorted(order))


def _replaced(desired: Mapping[str, Desired], present: Mapping[str, Present]) -> frozenset[str]:
    both = {key: desired[key].replace_with for key in desired if key in present}
    first = {key for key in both if _differs(desired[key], present[key])}
    return frozenset(first | _followers(both, first))


def _differs(wanted: Desired, held: Present) -> bool:
    return wanted.spec != held.spec or any(
        name in held.inputs and wanted.inputs.get(name) != held.inputs[name]
        for name in wanted.replace_on
    )


def _followers(follows: Mapping[str, tuple[str, ...]], first: set[str]) -> set[str]:
    """Return the keys beyond `first` that follow one of them, directly or through others."""
    found = set(first)
    while True:
        bases = {_base(key) for key in found}
        more = {key for key in follows if key not in found and bases.intersection(follows[key])}
        if not more:
            return found - first
        found |= more


def _base(key: str) -> str:
    return key.partition("[")[0].partition("@")[0]


def _items(plan: _Plan) -> Iterator[ItemDelta]:
    for key, wanted in plan.desired.items():
        action = plan.actions[key]
        held = plan.present.get(key) if action != "add" else None
        yield ItemDelta(
            key=key,
            action=action,
            instance=held.instance if held else None,
            spec=wanted.spec,
            version=wanted.version,
            before=dict(held.inputs) if held else None,
            after=dict(wanted.inputs),
            needs=() if action == "noChange" else _needs_of_set(plan, key),
            start_at=wanted.start_at,
            stage=wanted.stage,
            parents=wanted.parents,
        )
    for key, held in plan.present.items():
        if key not in plan.desired or key in plan.replaced:
            yield ItemDelta(
                key=key,
                action="delete",
                instance=held.instance,
                spec=held.spec,
                version=held.version,
                before=dict(held.inputs),
                after=None,
                needs=_needs_of_delete(plan, key),
            )


def _needs_of_set(plan: _Plan, key: str) -> tuple[Need, ...]:
    before = _walk(key, lambda k: plan.desired[k].after if k in plan.desired else (), plan)
    return tuple(sorted((k, plan.actions[k]) for k in before if k in plan.desired))


def _needs_of_delete(plan: _Plan, key: str) -> tuple[Need, ...]:
    users: dict[str, list[str]] = {}
    for held in plan.present.values():
        for other in held.after:
            users.setdefault(other, []).append(held.key)
    behind = _walk(key, lambda k: tuple(users.get(k, ())), plan)
    removed: list[Need] = [(k, "delete" if k in plan.replaced else plan.actions[k]) for k in behind]
    own: list[Need] = [(key, "add")] if key in plan.replaced else []
    return tuple(sorted({*removed, *own}))


def _walk(key: str, onward: Callable[[str], tuple[str, ...]], plan: _Plan) -> set[str]:
    """Return the changing keys next to `key`; what does not change is passed through."""
    found: set[str] = set()
    seen: set[str] = {key}
    todo = list(onward(key))
    while todo:
        other = todo.pop()
        if other in seen:
            continue
        seen.add(other)
        if plan.actions.get(other, "noChange") == "noChange":
            todo += onward(other)
        else:
            found.add(other)
    return found


def _stays(plan: _Plan, item: ItemDelta) -> tuple[Need, ...]:
    """Return the place of what does not change in the order of the answer."""
    if item.action != "noChange":
        return ()
    return tuple((k, plan.actions[k]) for k in plan.desired[item.key].after if k in plan.desired)


def _sorted(needs: Mapping[Need, Sequence[Need]]) -> Iterator[Need]:
    """Yield in topological order, by name among those that are ready."""
    sorter = TopologicalSorter(needs)
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " → ".join(key for key, _ in error.args[1])
        raise SequenceCycle(
            f"These wait for each other: {circle}. Take one sequenceAfter out of the catalog."
        ) from None
    ready = list(sorter.get_ready())
    heapify(ready)
    while ready:
        node = heappop(ready)
        yield node
        sorter.done(node)
        for other in sorter.get_ready():
            heappush(ready, other)
