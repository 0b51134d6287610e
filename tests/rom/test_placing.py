"""The catalog's words about a choice, on a network that is there: rules, capacity, company, and the account of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from catalog.errors import ExpressionFailed
from catalog.model import CHOSEN_DEVICE_NAMES, DEVICE_NAMES, PORT_NAMES, ResourceSpec
from inventory import allocator
from inventory.errors import NoPortFits, PoolExhausted
from inventory.instances import get
from inventory.plant import choosing
from inventory.plant.candidates import Ports, devices
from inventory.plant.choosing import PortChoice
from inventory.plant.connectivity import reachable
from inventory.pools import create_pool
from rom import resources
from rom.assign import Assigned, Assigner, Assignment
from rom.errors import NoDeviceOfRole
from rom.model import Action, ResourceItem
from store import Database, Tx
from tests.inventory import city

Json = dict[str, Any]
A1, A2, B1, B2 = "olt-0000/pon1", "olt-0000/pon2", "olt-0001/pon1", "olt-0001/pon2"


@pytest.fixture
def town(store: Database) -> Database:
    """Three OLTs; place PL-0 is reached by ports 1 and 2 of the first two, PL-1 by those of the last two."""
    with store.write() as tx:
        city.build(tx, 3)
    return store


def access(role: str = "access", uses: Sequence[str] = (), **words: Any) -> ResourceSpec:
    """Return an access resource whose port is chosen by these words."""
    assigned = ("ponPort", "olt", "bng", "onuId")
    return ResourceSpec.from_tmf(
        {
            "id": f"RES-{role}",
            "version": "1.0",
            "name": role,
            "role": role,
            "uses": {name: {"spec": f"RES-{name}"} for name in uses},
            "resourceSpecCharacteristic": [
                *({"name": name} for name in assigned),
                {"name": "mbps", "valueType": "integer"},
                {"name": "grade"},
            ],
            "assign": [
                {"as": "ponPort", "choose": "ponPort", **words},
                {"as": "olt", "choose": "ponPort"},
                {"as": "bng", "choose": "ponPort"},
                {"as": "onuId", "take": "onu-id", "scope": "self.ponPort"},
            ],
        }
    )


def add(
    spec: ResourceSpec, line: str, place: str = "PL-0", item: str = "", **inputs: Any
) -> ResourceItem:
    name = item or f"{line}-{spec.role}"
    return ResourceItem(name, Action.ADD, f"re-{name}", spec, line, place, inputs)


def assign(tx: Tx, *items: ResourceItem, order: str = "") -> Assignment:
    """Assign an order and keep what it makes, as ROM does."""
    name = order or f"ro-{items[0].id}"
    held = {item.id: resources.held_by(tx, item.resource) for item in items}
    assignment = Assigner(tx, name).assign(items, held)
    for assigned in assignment.items:
        if assigned.item.action is Action.ADD:
            resources.reserve(tx, assigned, name)
        elif assigned.item.action is Action.MODIFY:
            resources.promise(tx, assigned, name)
    return assignment


def port(tx: Tx, *items: ResourceItem) -> str:
    return str(of(assign(tx, *items), items[-1])["ponPort"])


def of(assignment: Assignment, item: ResourceItem) -> Mapping[str, Any]:
    (assigned,) = (a for a in assignment.items if a.item.id == item.id)
    assert assigned.item.after is not None
    return assigned.item.after


def modify(tx: Tx, item: ResourceItem, **inputs: Any) -> ResourceItem:
    changed = replace(item, id=f"{item.id}-m", action=Action.MODIFY)
    before = get(tx, item.resource).characteristics
    return replace(changed, inputs={**item.inputs, **inputs}, before=before)


# -- words


def test_conditions_read_what_the_catalog_check_allows(town: Database) -> None:
    with town.write() as tx:
        (one, *_) = Ports.read(tx, reachable(tx, "PL-0")).candidates(tx)
        (acs, *_) = devices(tx, "acs")
    assert tuple(one.attributes["port"]) == PORT_NAMES
    assert tuple(one.attributes["device"]) == DEVICE_NAMES
    assert tuple(acs.attributes["device"]) == CHOSEN_DEVICE_NAMES


@pytest.mark.parametrize(
    ("words", "ports"),
    [
        ({}, [A1, A1, A1]),
        ({"policy": "fill", "capacity": {"limit": 2}}, [A1, A1, A2]),
        ({"policy": "spread"}, [A1, A2, B1]),
        ({"require": "device.name == 'olt-0001'"}, [B1, B1, B1]),
        ({"require": ["port.name == 'pon2'", "self.grade == null"]}, [A2, A2, A2]),
        ({"prefer": "port.used == 0 && device.site == 'site-olt-0001'"}, [B1, B2, B1]),
        ({"capacity": {"limit": "device.name == 'olt-0000' ? 0 : null"}}, [B1, B1, B1]),
        ({"capacity": {"limit": "port.splitRatio / 32"}}, [A1, A2, B1]),
    ],
)
def test_words_choose(town: Database, words: Json, ports: list[str]) -> None:
    spec = access(**words)
    with town.write() as tx:
        assert [port(tx, add(spec, f"l{n}")) for n in range(3)] == ports


def test_a_capacity_that_is_no_number_is_the_catalogs_fault(town: Database) -> None:
    with (
        town.write() as tx,
        pytest.raises(ExpressionFailed, match="gives str; give a number or null"),
    ):
        port(tx, add(access(capacity={"limit": "'many'"}), "l1"))


# -- what a port carries

LOAD = {"load": "mbps", "ceiling": 1000}


def test_a_ceiling_holds_over_orders_and_within_one(town: Database) -> None:
    spec = access(policy="fill", capacity=LOAD)
    with town.write() as tx:
        assert port(tx, add(spec, "l1", mbps=600)) == A1
        assert port(tx, add(spec, "l2", mbps=500)) == A2
        assert port(tx, add(spec, "l3", mbps=400)) == A1
        both = add(spec, "l4", mbps=300), add(spec, "l5", mbps=300)
        assignment = assign(tx, *both)
    assert [of(assignment, item)["ponPort"] for item in both] == [A2, B1]


def test_a_line_that_grows_stays_within_its_ports_ceiling(town: Database) -> None:
    first, second = (add(access(policy="fill", capacity=LOAD), f"l{n}", mbps=400) for n in (1, 2))
    with town.write() as tx:
        assert (port(tx, first), port(tx, second)) == (A1, A1)
        with pytest.raises(NoPortFits, match=r"cannot carry 201 more mbps .*full: 800 of 1000"):
            assign(tx, modify(tx, first, mbps=601))
        grown = modify(tx, first, mbps=600)
        assert of(assign(tx, grown), grown)["ponPort"] == A1


def test_room_that_an_order_under_way_will_take_is_given_to_nobody_else(town: Database) -> None:
    first, second = (add(access(policy="fill", capacity=LOAD), f"l{n}", mbps=400) for n in (1, 2))
    with town.write() as tx:
        assert (port(tx, first), port(tx, second)) == (A1, A1)
        (grown,) = assign(tx, modify(tx, first, mbps=600)).items
        with pytest.raises(NoPortFits, match="full: 1000 of 1000"):
            assign(tx, modify(tx, second, mbps=401))
        assert port(tx, add(first.spec, "l3", mbps=1)) == A2
        resources.commission(tx, grown, "ro-grown")
        (shrunk,) = assign(tx, modify(tx, first, mbps=399)).items
        resources.commission(tx, shrunk, "ro-shrunk")
        assert "promised" not in get(tx, first.resource).body
        assign(tx, modify(tx, second, mbps=601))


def test_the_refusal_lists_every_port(town: Database) -> None:
    spec = access(capacity={"limit": 0})
    with town.write() as tx, pytest.raises(NoPortFits) as failure:
        port(tx, add(spec, "l1"))
    listed = [(one["port"], one["code"]) for one in failure.value.details["rejected"]]
    assert listed == [(name, "LIMIT_REACHED") for name in (A1, A2, B1, B2)]


# -- company


def test_near_the_other_lines_of_the_place(town: Database) -> None:
    there = access(require="device.name == 'olt-0001'")
    near, away = ({word: "place", "strength": "must"} for word in ("near", "avoid"))
    with town.write() as tx:
        port(tx, add(there, "l1"))
        assert port(tx, add(access(affinity=[near]), "l2")) == B1
        assert port(tx, add(access(affinity=[away]), "l3")) == A1
        # olt-0001 reaches PL-1, too, but nobody is there yet
        assert port(tx, add(access(affinity=[away]), "l4", "PL-1")) == B1


@pytest.mark.parametrize(("on", "backup"), [("port", A2), ("device", B1), ("site", B1)])
def test_a_backup_keeps_away_from_its_main_in_the_same_order(
    town: Database, on: str, backup: str
) -> None:
    main = access("main")
    away = {"avoid": "main", "on": on, "strength": "must"}
    spec = access("backup", uses=["main"], affinity=[away])
    with town.write() as tx:
        assert port(tx, add(main, "l1"), add(spec, "l1")) == backup
        (second,) = (
            a for a in assign(tx, add(main, "l2"), add(spec, "l2")).items if a.item.role == "backup"
        )
    rejected = second.reasons["ponPort"]["rejected"]
    assert {
        "port": A1,
        "code": "AFFINITY_NOT_MET",
        "why": f"is not away from main ({on})",
    } in rejected


def test_lines_of_one_order_know_of_each_other(town: Database) -> None:
    spread = access(affinity=[{"avoid": "place", "on": "port"}])
    items = [add(spread, f"l{n}") for n in range(5)]
    with town.write() as tx:
        assignment = assign(tx, *items)
    assert [of(assignment, item)["ponPort"] for item in items] == [A1, A2, B1, B2, A1]


def test_what_the_order_ends_is_no_company(town: Database) -> None:
    spec = access(affinity=[{"avoid": "line", "on": "port", "strength": "must"}])
    old = add(spec, "l1")
    with town.write() as tx:
        assert port(tx, old) == A1
        assert port(tx, add(spec, "l1", item="beside")) == A2
        known = get(tx, old.resource).characteristics
        gone = ResourceItem(
            "old", Action.DELETE, old.resource, spec, "l1", "PL-0", {}, before=known
        )
        assert port(tx, gone, add(spec, "l1", item="instead")) == A1


# -- devices


def managed(**words: Any) -> ResourceSpec:
    body = {
        "id": "RES-acs",
        "version": "1.0",
        "name": "ACS",
        "role": "tr069",
        "resourceSpecCharacteristic": [{"name": "acs"}],
        "assign": [{"as": "acs", "choose": "device", "role": "acs", **words}],
    }
    return ResourceSpec.from_tmf(body)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ({}, ["acs-1", "acs-1", "acs-1"]),
        ({"policy": "spread"}, ["acs-1", "acs-2", "acs-1"]),
        ({"policy": "fill", "capacity": {"limit": 2}}, ["acs-1", "acs-1", "acs-2"]),
        ({"prefer": "device.name == 'acs-2'"}, ["acs-2", "acs-2", "acs-2"]),
        ({"policy": "nearest", "from": "'olt-0000'"}, ["acs-1", "acs-1", "acs-1"]),
    ],
)
def test_devices_are_chosen_by_the_same_words(
    town: Database, words: Json, chosen: list[str]
) -> None:
    spec = managed(**words)
    items = [add(spec, f"l{n}") for n in range(3)]
    with town.write() as tx:
        apart = [of(assign(tx, item), item)["acs"] for item in items]
        assert apart == chosen


def test_a_device_carries_no_more_than_its_ceiling(town: Database) -> None:
    spec = managed(capacity={"load": "sessions", "ceiling": 10})
    body = {**spec.model_dump(by_alias=True, exclude={"body"})}
    body["characteristics"] = [*spec.characteristics, {"name": "sessions", "valueType": "integer"}]
    item = add(ResourceSpec.model_validate(body), "l1", sessions=6)
    with town.write() as tx:
        assert of(assign(tx, item), item)["acs"] == "acs-1"
        other = add(item.spec, "l2", sessions=5)
        assert of(assign(tx, other), other)["acs"] == "acs-2"
        assign(tx, modify(tx, item, sessions=10))
        with pytest.raises(NoPortFits, match="acs-2 cannot carry 6 more sessions"):
            assign(tx, modify(tx, other, sessions=11))


def test_devices_of_one_order_count(town: Database) -> None:
    items = [add(managed(policy="fill", capacity={"limit": 1}), f"l{n}") for n in range(2)]
    with town.write() as tx:
        assignment = assign(tx, *items)
        assert [of(assignment, item)["acs"] for item in items] == ["acs-1", "acs-2"]
        with pytest.raises(NoDeviceOfRole, match="acs-1: full: 1 of at most 1 in use"):
            assign(tx, add(items[0].spec, "l9"))


# -- the account of it


def explained(tx: Tx) -> Assigned:
    (assigned,) = assign(tx, add(access(), "l1"), order="ro-1").items
    return assigned


def test_the_reason_is_kept_with_the_resource_and_the_allocation(town: Database) -> None:
    with town.write() as tx:
        assigned = explained(tx)
        (held,) = allocator.allocations(tx, pool=f"onu-id@{A1}")
        body = get(tx, "re-l1-access").body
    assert assigned.reasons["ponPort"] == {
        "rule": "RES-access@1.0/ponPort",
        "policy": "best-fit",
        "chosen": A1,
        "because": "fewest free ids (254) of 4 reachable ports with room",
        "considered": 4,
        "path": ["PL-0", "split-0-1", A1],
        "rejected": [
            {
                "port": name,
                "code": "LATER_IN_ORDER",
                "why": "254 free ids, as many as the chosen port, which comes first in order",
            }
            for name in (A2, B1, B2)
        ],
    }
    assert held.reason == {"rule": "RES-access@1.0/onuId", "on": A1, "see": "re-l1-access ponPort"}
    assert body["reasons"] == assigned.reasons
    assert body["allocations"]["onuId"]["reason"] == held.reason


def test_a_plan_shows_reasons_apart_from_what_its_hash_is_over(town: Database) -> None:
    with town.write() as tx:
        assignment = assign(tx, add(access(), "l1"))
    (taken,) = assignment.allocations()
    assert set(taken) == {"pool", "kind", "scope", "value", "text", "characteristic", "item"}
    (reason,) = assignment.reasons()
    assert (reason["item"], reason["characteristic"], reason["chosen"]) == (
        "l1-access",
        "ponPort",
        A1,
    )


def test_a_later_order_leaves_the_reason_of_what_stays(town: Database) -> None:
    item = add(access(), "l1")
    with town.write() as tx:
        assign(tx, item)
        reasons = get(tx, item.resource).body["reasons"]
        (changed,) = assign(tx, modify(tx, item, grade="gold")).items
        assert changed.reasons == {}
        resources.commission(tx, changed, "ro-2")
        assert get(tx, item.resource).body["reasons"] == reasons


# -- at the same moment


def test_an_id_that_is_gone_when_it_is_taken_lets_the_order_choose_again(
    town: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of the pool API takes the port's last id after the choice: it locks no port."""
    with town.write() as tx:
        allocator.take(tx, kind="onu-id", scope=A1, owner="most", count=253)

    choose: Callable[..., PortChoice] = choosing.choose_port
    met: list[str] = []

    def stolen(tx: Tx, *args: Any, **more: Any) -> PortChoice:
        choice = choose(tx, *args, **more)
        if not met:
            met.append(choice.port)
            steal(town, tx, choice.port)
        return choice

    monkeypatch.setattr(choosing, "choose_port", stolen)
    with town.write() as tx:
        item = add(access(), "l1")
        (assigned,) = assign(tx, item).items
    assert met == [A1]
    assert assigned.allocations["onuId"]["scope"] == A2
    reason = assigned.reasons["ponPort"]
    assert reason["chosen"] == A2
    assert {one["port"]: one["code"] for one in reason["rejected"]}[A1] == "TAKEN_MEANWHILE"


def steal(database: Database, tx: Tx, port_: str) -> None:
    """Take the last id in another transaction, where there can be one."""
    if database.dialect == "sqlite":
        allocator.take(tx, kind="onu-id", scope=port_, owner="thief")
        return
    with database.write() as other:
        allocator.take(other, kind="onu-id", scope=port_, owner="thief")


def test_a_pool_that_is_not_the_ports_is_no_reason_to_choose_again(town: Database) -> None:
    spec = access()
    more = {"as": "grade", "take": "s-vlan", "scope": "'nowhere'"}
    body = {**spec.model_dump(by_alias=True, exclude={"body"}), "assign": [*spec.assign, more]}
    vlan = ResourceSpec.model_validate(body)
    with town.write() as tx:
        create_pool(tx, "s-vlan", "nowhere", first=7, last=7)
        port(tx, add(vlan, "l1"))
        with pytest.raises(PoolExhausted, match="s-vlan@nowhere"):
            port(tx, add(vlan, "l2"))
