"""What orders will do to pools: pure sums of plans, and plans of items against a real inventory on both stores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.model import ResourceSpec
from inventory import allocator, pools
from inventory.counting.runout import Booked
from inventory.plant.topology import TopologyImport, TopologyNode, import_topology
from rom.forecast import Look, Plan, Take, Walk, demand, pools_of, without_pool
from rom.model import Action, ResourceItem
from store import Database

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DAY = timedelta(days=1)
ONE, TWO = ("onu-id", "olt-1/pon1"), ("onu-id", "olt-1/pon2")
Json = dict[str, Any]


def plan(order: str, *branches: tuple[Take, ...], day: int = 1, **more: Any) -> Plan:
    return Plan(order, NOW + day * DAY, branches, **more)


def at(*pools_: tuple[str, str], shared: str | None = None) -> tuple[Take, ...]:
    return tuple(Take(kind, scope, shared) for kind, scope in pools_)


# -- pure -------------------------------------------------------------------------------------------


def test_an_order_counts_by_the_share_of_branches_that_come_to_a_pool() -> None:
    found = demand([plan("a", at(ONE, ("ipv4", "bng")), at(TWO, ("ipv4", "bng")))], {})
    assert found[ONE].takes == (Booked(NOW + DAY, "a", 0.5, 1),)
    assert found[TWO].takes == (Booked(NOW + DAY, "a", 0.5, 1),)
    assert found["ipv4", "bng"].takes == (Booked(NOW + DAY, "a", 1.0, 1),)


def test_a_full_port_gets_no_share_unless_all_are_full() -> None:
    plans = [plan("a", at(ONE), at(TWO))]
    assert demand(plans, {ONE: 0, TWO: 5}).keys() == {TWO}
    assert demand(plans, {ONE: 0, TWO: 0}).keys() == {ONE, TWO}


def test_several_values_of_one_pool() -> None:
    found = demand([plan("a", at(ONE, ONE, ONE), at(ONE))], {})
    assert found[ONE].takes == (Booked(NOW + DAY, "a", 2 / 3, 3),)


def test_a_shared_value_is_taken_by_the_first_order_only() -> None:
    vlan = ("s-vlan", "bng")
    later, sooner = plan("b", at(vlan, shared="p"), day=5), plan("a", at(vlan, shared="p"), day=2)
    other = plan("c", at(vlan, shared="q"), day=3)
    assert [one.order for one in demand([later, sooner, other], {})[vlan].takes] == ["a", "c"]


def test_give_backs_come_at_their_own_time() -> None:
    found = demand([plan("a", gives=(ONE, ONE, TWO), gives_at=NOW + 3 * DAY)], {})
    assert found[ONE].gives == (Booked(NOW + 3 * DAY, "a", 1.0, 2),)
    assert found[TWO].gives == (Booked(NOW + 3 * DAY, "a", 1.0, 1),)
    assert found[ONE].takes == ()


def test_an_order_that_could_not_be_planned_takes_nothing() -> None:
    assert demand([plan("a", unknown=("CHARACTERISTIC_MISSING: x",))], {}) == {}


# -- against an inventory -----------------------------------------------------------------------------

NETCONF = ({"protocol": "netconf", "host": "127.0.0.9", "port": 8830, "username": "admin"},)
PONS = {"sim-pon-type": "gpon", "sim-pon-ports": "2"}
NODES = (
    TopologyNode("olt-1", "olt", "bbf-olt", "127.0.0.9", NETCONF, PONS),
    TopologyNode("bng-1", "bng", "generic-bng", "127.0.0.9", NETCONF, {"pool-s-vlan": "1001-1999"}),
    TopologyNode("split-1", "splitter"),
    TopologyNode("split-2", "splitter"),
    TopologyNode("home", "place", labels={"place-id": "PL-1"}),
)
LINKS = (
    ("olt-1", "uplink-1", "bng-1", "access-1"),
    ("olt-1", "pon1", "split-1", "in"),
    ("olt-1", "pon2", "split-2", "in"),
    ("split-1", "out1", "home", "fibre1"),
    ("split-2", "out1", "home", "fibre2"),
)
ACCESS = (
    {"as": "ponPort", "choose": "ponPort"},
    {"as": "bng", "choose": "ponPort"},
    {"as": "onuId", "take": "onu-id", "scope": "self.ponPort"},
)
VLAN = (
    {
        "as": "sVlan",
        "take": "s-vlan",
        "scope": "ref.access.bng",
        "sharedBy": "ref.access.ponPort",
    },
    {"as": "cVlan", "take": "c-vlan", "scope": "ref.access.bng + '/' + string(self.sVlan)"},
)
IP = (
    {
        "as": "ipv4",
        "take": "ipv4",
        "scope": "ref.access.bng + (self.mode == 'static' ? '/static' : '')",
        "when": "self.mode != 'none'",
    },
)


@pytest.fixture
def base(store: Database) -> Database:
    with store.write() as tx:
        import_topology(tx, TopologyImport("test", NODES, LINKS))
    return store


def spec(
    role: str, rules: tuple[Json, ...], *names: str, uses: tuple[str, ...] = ()
) -> ResourceSpec:
    declared = (*names, *(str(rule["as"]) for rule in rules))
    return ResourceSpec.from_tmf(
        {
            "id": f"RES-{role}",
            "version": "1.0",
            "name": role,
            "role": role,
            "uses": {name: {"spec": f"RES-{name}"} for name in uses},
            "resourceSpecCharacteristic": [{"name": name} for name in declared],
            "assign": list(rules),
        }
    )


ACCESS_SPEC = spec("access", ACCESS, "accessTechnology")
VLAN_SPEC = spec("vlan", VLAN, uses=("access",))
IP_SPEC = spec("ip", IP, "mode", uses=("access",))


def item(
    of: ResourceSpec,
    action: Action = Action.ADD,
    before: Mapping[str, Any] | None = None,
    **inputs: Any,
) -> ResourceItem:
    return ResourceItem(of.role, action, f"re-{of.role}", of, "L1", "PL-1", inputs, before=before)


def walk(
    base: Database, *items: ResourceItem, pick: int = 0, held: Mapping[str, Any] | None = None
) -> Walk:
    with base.read() as rx:
        return Walk(Look(rx), pick).through(items, held or {})


def test_the_nth_walk_takes_the_nth_port_and_all_that_follows_from_it(base: Database) -> None:
    items = (
        item(ACCESS_SPEC, accessTechnology="GPON"),
        item(VLAN_SPEC),
        item(IP_SPEC, mode="dynamic"),
    )
    one, two = walk(base, *items), walk(base, *items, pick=1)
    assert one.choices == two.choices == 2
    assert sorted(one.takes, key=lambda take: take.kind) == [
        Take("ipv4", "bng-1"),
        Take("onu-id", "olt-1/pon1"),
        Take("s-vlan", "bng-1", "olt-1/pon1"),
    ]
    assert [take.scope for take in two.takes[:1]] == ["olt-1/pon2"]
    assert one.unknown == []  # c-vlan pools are made when first asked for


def test_a_shared_value_that_is_there_is_not_taken_again_and_leads_on(base: Database) -> None:
    with base.write() as tx:
        taken = allocator.take_shared(
            tx, kind="s-vlan", scope="bng-1", shared_by="olt-1/pon1", user="re-other"
        )
    found = walk(base, item(ACCESS_SPEC, accessTechnology="GPON"), item(VLAN_SPEC))
    assert found.takes == [Take("onu-id", "olt-1/pon1"), Take("c-vlan", f"bng-1/{taken.value}")]


def test_a_delete_gives_back_what_is_held_and_a_shared_value_only_with_its_last_user(
    base: Database,
) -> None:
    shared = {"kind": "s-vlan", "scope": "bng-1", "sharedBy": "olt-1/pon1"}
    held = {"vlan": {"sVlan": shared, "cVlan": {"kind": "c-vlan", "scope": "bng-1/1001"}}}
    gone = item(VLAN_SPEC, Action.DELETE, before={})
    with base.write() as tx:
        allocator.take_shared(tx, kind="s-vlan", scope="bng-1", shared_by="olt-1/pon1", user="a")
    assert walk(base, gone, held=held).gives == [("s-vlan", "bng-1"), ("c-vlan", "bng-1/1001")]
    with base.write() as tx:
        allocator.take_shared(tx, kind="s-vlan", scope="bng-1", shared_by="olt-1/pon1", user="b")
    assert walk(base, gone, held=held).gives == [("c-vlan", "bng-1/1001")]


@pytest.mark.parametrize(
    ("mode", "takes", "gives"),
    [
        ("dynamic", [], []),
        ("static", [Take("ipv4", "bng-1/static")], [("ipv4", "bng-1")]),
        ("none", [], [("ipv4", "bng-1")]),
    ],
)
def test_a_modify_keeps_takes_or_gives_back(
    base: Database, mode: str, takes: list[Take], gives: list[tuple[str, str]]
) -> None:
    access = item(ACCESS_SPEC, Action.MODIFY, {"ponPort": "olt-1/pon1", "bng": "bng-1"})
    held = {
        "access": {"onuId": {"kind": "onu-id", "scope": "olt-1/pon1"}},
        "ip": {"ipv4": {"kind": "ipv4", "scope": "bng-1"}},
    }
    changed = item(IP_SPEC, Action.MODIFY, {"ipv4": "192.0.2.9", "mode": "dynamic"}, mode=mode)
    found = walk(base, access, changed, held=held)
    assert (found.takes, found.gives) == (takes, gives)


def test_what_cannot_be_known_is_said(base: Database) -> None:
    found = walk(base, item(ACCESS_SPEC, accessTechnology="XGS-PON"), item(IP_SPEC, mode="dynamic"))
    assert found.unknown[0] == "no managed XGS-PON port reaches place PL-1"
    assert any(why.startswith("ipv4 of RES-ip") for why in found.unknown)
    assert ("ipv4", "bng-1") not in [(take.kind, take.scope) for take in found.takes]


def test_a_pool_that_is_not_there_is_said_unless_it_is_made_on_demand(base: Database) -> None:
    plans = [plan("a", at(("ipv4", "nowhere"), ("c-vlan", "bng-1/7"), ONE))]
    assert pools_of(plans) == {("ipv4", "nowhere"), ("c-vlan", "bng-1/7"), ONE}
    with base.read() as rx:
        assert list(without_pool(rx, plans, {ONE})) == [
            ("a", "there is no pool of kind ipv4 for 'nowhere'")
        ]
        assert pools.pools(rx, kind="c-vlan") == []
