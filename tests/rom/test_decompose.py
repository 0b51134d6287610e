"""Pure: how ROM orders, groups and contributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from activation.model import ContributionChange
from catalog.model import ResourceSpec
from rom.decompose import assignment_order, contributions, groups, undo
from rom.errors import TransactionCycle
from rom.model import Action, ResourceItem

Json = dict[str, Any]


def spec(
    role: str, *, uses: tuple[str, ...] = (), transaction: str | None = None, external: bool = False
) -> ResourceSpec:
    body: Json = {
        "id": f"RES-{role}",
        "version": "1.0",
        "name": role,
        "role": role,
        "uses": {name: {"spec": f"RES-{name}"} for name in uses},
        "resourceSpecCharacteristic": [{"name": "speed", "valueType": "integer"}],
    }
    if external:
        body |= {"engine": "external", "external": {"kind": "delivery"}}
    else:
        body["configure"] = [{"device": "'olt'", "feature": role, "transaction": transaction}]
    return ResourceSpec.from_tmf(body)


def item(
    role: str,
    action: Action = Action.ADD,
    *,
    needs: tuple[str, ...] = (),
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **options: Any,
) -> ResourceItem:
    return ResourceItem(
        id=role,
        action=action,
        resource=f"re-{role}",
        spec=spec(role, **options),
        line="L1",
        place=None,
        inputs={},
        needs=needs,
        before=before,
        after=after,
    )


def change(role: str) -> tuple[ContributionChange, ...]:
    return (ContributionChange("olt", role, "L1", role, f"re-{role}", role, {}),)


def test_what_is_used_is_assigned_first() -> None:
    items = [
        item("vlan", uses=("access",)),
        item("access", uses=("cpe",)),
        item("cpe", external=True),
    ]
    assert [i.id for i in assignment_order(items)] == ["cpe", "access", "vlan"]


def test_items_of_one_transaction_are_one_group_after_what_they_need() -> None:
    items = [
        item("access", transaction="line"),
        item("vlan", transaction="line", needs=("access",)),
        item("tr069", needs=("vlan", "cpe")),
        item("cpe", external=True),
    ]
    planned = groups(items, {i.id: change(i.id) for i in items if i.id != "cpe"})
    assert [(g.key, g.kind, g.items) for g in planned] == [
        ("item:cpe", "external", ("cpe",)),
        ("line:set", "change", ("access", "vlan")),
        ("item:tr069", "change", ("tr069",)),
    ]
    assert planned[2].needs == ("item:cpe", "line:set")


def test_removal_is_a_group_of_its_own_and_users_go_first() -> None:
    items = [
        item("cpe", Action.DELETE, external=True),
        item("access", Action.DELETE, uses=("cpe",), transaction="line"),
        item("wifi", Action.DELETE, uses=("access",)),
    ]
    planned = groups(items, {i.id: change(i.id) for i in items if i.id != "cpe"})
    assert [(g.key, g.kind) for g in planned] == [
        ("item:wifi", "change"),
        ("line:remove", "change"),
        ("item:cpe", "record"),
    ]


def test_transactions_that_wait_for_each_other_are_refused() -> None:
    items = [
        item("a", transaction="line"),
        item("b", needs=("a",)),
        item("c", transaction="line", needs=("b",)),
    ]
    with pytest.raises(TransactionCycle):
        groups(items, {i.id: change(i.id) for i in items})


def context(values: Mapping[str, Any] | None) -> Json:
    return {"self": values or {}, "ref": {}, "place": None}


@pytest.mark.parametrize(
    ("action", "before", "after", "there", "back"),
    [
        (Action.ADD, None, {"speed": 200}, {"speed": 200}, None),
        (Action.MODIFY, {"speed": 200}, {"speed": 100}, {"speed": 100}, {"speed": 200}),
        (Action.DELETE, {"speed": 100}, None, None, {"speed": 100}),
    ],
)
def test_contributions_lead_there_and_back(
    action: Action, before: Json | None, after: Json | None, there: Json | None, back: Json | None
) -> None:
    one = item("qos", action, before=before, after=after)
    forth = contributions(one, context(before), context(after))
    home = undo(one, context(before), context(after))
    assert [c.values for c in forth] == [there]
    assert [c.values for c in home] == [back]
