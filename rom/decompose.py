"""Pure: the items of a resource order, in which order they are assigned and in which groups they are executed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from activation.model import ContributionChange
from catalog.expression import Expression
from catalog.model import Configure
from rom.errors import TransactionCycle
from rom.model import Action, Group, ResourceItem

Changes = tuple[ContributionChange, ...]
CHANGE, EXTERNAL, RECORD = "change", "external", "record"


def assignment_order(items: Sequence[ResourceItem]) -> tuple[ResourceItem, ...]:
    """Return the items such that each comes after those that it uses."""
    by_role = {item.role: item.id for item in items if item.action is not Action.DELETE}
    graph = {
        item.id: [by_role[role] for role in item.spec.uses if role in by_role] for item in items
    }
    by_id = {item.id: item for item in items}
    return tuple(by_id[key] for key in _sorted(graph))


def groups(
    items: Sequence[ResourceItem], contributions: Mapping[str, tuple[ContributionChange, ...]]
) -> tuple[Group, ...]:
    """Return the groups in an order in which each comes after those that it needs.

    Items that share a transaction are one group; what is removed is a group apart from what is set, so that
    removal can wait until the new is verified. Raises TransactionCycle.
    """
    live = [item for item in items if item.action is not Action.NO_CHANGE]
    home = {item.id: _home(item, contributions.get(item.id, ())) for item in live}
    members: dict[str, list[ResourceItem]] = {}
    for item in live:
        members.setdefault(home[item.id][0], []).append(item)
    needs = _group_needs(live, {item: key for item, (key, _) in home.items()})
    return tuple(
        Group(
            key=key,
            kind=home[members[key][0].id][1],
            items=tuple(item.id for item in members[key]),
            needs=tuple(sorted(needs[key])),
            contributions=tuple(c for item in members[key] for c in contributions.get(item.id, ())),
        )
        for key in _sorted(needs)
    )


def contributions(
    item: ResourceItem, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[ContributionChange, ...]:
    """Return what the item adds to, changes in or withdraws from the devices' fragments.

    Args:
        item: the item.
        before: evaluation context as things stand (`self`, `ref`, `place`); unused for an add.
        after: evaluation context as things shall be; unused for a delete.

    """
    old = {} if item.action is Action.ADD else _rendered(item, before)
    new = {} if item.action is Action.DELETE else _rendered(item, after)
    withdrawn = [_change(item, where, None) for where in old if where not in new]
    return (*withdrawn, *(_change(item, where, values) for where, values in new.items()))


def undo(
    item: ResourceItem, before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[ContributionChange, ...]:
    """Return the contributions that lead back to `before`."""
    old = {} if item.action is Action.ADD else _rendered(item, before)
    new = {} if item.action is Action.DELETE else _rendered(item, after)
    withdrawn = [_change(item, where, None) for where in new if where not in old]
    return (*withdrawn, *(_change(item, where, values) for where, values in old.items()))


def restoring(back: Mapping[str, Changes]) -> dict[str, Changes]:
    """Return the undoing of all items such that what takes a place back lets the old speak there again.

    The resource that replaces another takes over its role on shared devices (the BNG); the old one's withdrawal may
    not have been sent yet, so its own undoing would not come.

    Args:
        back: item → its undoing, by `undo`.

    """
    standing = {_place(c): c for changes in back.values() for c in changes if c.values is not None}
    return {
        item: tuple(c if c.values is not None else standing.get(_place(c), c) for c in changes)
        for item, changes in back.items()
    }


def _place(change: ContributionChange) -> tuple[str, str, str, str]:
    return change.device, change.feature, change.line, change.role


def _rendered(
    item: ResourceItem, context: Mapping[str, Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    places = {}
    for entry in item.spec.configure:
        if entry.when is None or Expression(entry.when).evaluate(context):
            places[(str(Expression(entry.device).evaluate(context)), entry.feature)] = _values(
                entry, context
            )
    return places


def _values(entry: Configure, context: Mapping[str, Any]) -> dict[str, Any]:
    extra = {name: Expression(text).evaluate(context) for name, text in entry.values.items()}
    return {**context["self"], **extra}


def _change(
    item: ResourceItem, where: tuple[str, str], values: Mapping[str, Any] | None
) -> ContributionChange:
    device, feature = where
    return ContributionChange(
        device=device,
        feature=feature,
        line=item.line,
        role=item.role,
        source=item.resource,
        item=item.id,
        values=values,
    )


def _home(item: ResourceItem, changes: tuple[ContributionChange, ...]) -> tuple[str, str]:
    removal = item.action is Action.DELETE
    if item.spec.engine == EXTERNAL:
        waits = not removal or (
            item.spec.external is not None and item.spec.external.on_delete is not None
        )
        return f"item:{item.id}", EXTERNAL if waits else RECORD
    if not changes:
        return f"item:{item.id}", RECORD
    transaction = next((c.transaction for c in item.spec.configure if c.transaction), None)
    if transaction is None:
        return f"item:{item.id}", CHANGE
    return f"{transaction}:{'remove' if removal else 'set'}", CHANGE


def _group_needs(items: Sequence[ResourceItem], home: Mapping[str, str]) -> dict[str, set[str]]:
    needs: dict[str, set[str]] = {home[item.id]: set() for item in items}
    for item, other in _edges(items):
        if home[item] != home[other]:
            needs[home[item]].add(home[other])
    return needs


def _edges(items: Sequence[ResourceItem]) -> Iterable[tuple[str, str]]:
    ids = {item.id for item in items}
    users = {item.role: item.id for item in items if item.action is Action.DELETE}
    for item in items:
        yield from ((item.id, need) for need in item.needs if need in ids)
        if item.action is Action.DELETE:  # what is used goes after its users
            yield from ((users[role], item.id) for role in item.spec.uses if role in users)


def _sorted(graph: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    sorter = TopologicalSorter({key: sorted(needs) for key, needs in sorted(graph.items())})
    try:
        return tuple(sorter.static_order())
    except CycleError as error:
        raise TransactionCycle(
            f"These wait for each other: {' → '.join(error.args[1])}. Give them one transaction, or none."
        ) from error
