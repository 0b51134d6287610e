"""Ports obey physics: only reachable ones are chosen, the fullest with room first, and the reason is told."""

from __future__ import annotations

import pytest

from inventory import allocator, devices, graph
from inventory.errors import NoAccessPath, PolicyUnknown, PoolExhausted
from inventory.graph import Hop
from inventory.plant.placement import Rules
from store import Database, Tx

PON1, PON2, WEST = "olt-east-07/pon1", "olt-east-07/pon2", "olt-west-02/pon1"


def use(tx: Tx, port: str, count: int) -> None:
    allocator.take(tx, kind="onu-id", scope=port, owner=f"use-{port}-{count}", count=count)


def test_reach_follows_the_fibres(network: Database) -> None:
    with network.read() as rx:
        reached = graph.reachable(rx, "PL-1001")
        assert [r.port for r in reached] == [PON1, PON2]
        assert reached[0].path == ("PL-1001", "split-e1", PON1)
        assert {(r.port, r.technology) for r in graph.reachable(rx, "PL-1003")} == {
            (PON1, "GPON"),
            (WEST, "XGS-PON"),
        }
        assert graph.reachable(rx, "place-7-birch-rd") == graph.reachable(rx, "PL-1002")
        assert graph.reachable(rx, "PL-1099") == []
        assert graph.reachable(rx, "PL-unknown") == []


def test_the_way_to_the_edge_has_its_ports(network: Database) -> None:
    with network.read() as rx:
        assert graph.route_to_edge(rx, "olt-east-07") == (
            Hop("olt-east-07", None, None, "uplink-1"),
            Hop("agg-1", "router", "Ethernet1", "Ethernet10"),
            Hop("bng-1", "bng", "access-1", None),
        )
        assert graph.path(rx, "olt-west-02", "router") == Hop(
            "agg-1", "router", "Ethernet2", "Ethernet10"
        )
        assert graph.path(rx, "olt-west-02", "bng") == Hop("bng-1", "bng", "access-1", None)
        assert graph.path(rx, "olt-west-02", "acs") is None
        assert graph.path(rx, "bng-1", "olt") == Hop("olt-east-07", "olt", "uplink-1", None)


def test_best_fit_takes_the_fullest_port_with_room(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON2, 3)
        choice = graph.choose_port(tx, "PL-1001", "GPON")
    assert (choice.port, choice.device, choice.technology) == (PON2, "olt-east-07", "GPON")
    assert (choice.router, choice.router_downlink, choice.router_uplink) == (
        "agg-1",
        "Ethernet1",
        "Ethernet10",
    )
    assert (choice.bng, choice.bng_port) == ("bng-1", "access-1")
    assert choice.reason["chosen"] == PON2
    assert choice.reason["because"] == "fewest free ids (251) of 2 reachable GPON ports with room"
    assert choice.reason["rejected"] == [
        {
            "port": PON1,
            "code": "MORE_ROOM",
            "why": "254 free ids, more than the chosen port (251 free ids)",
        }
    ]


def test_spread_takes_the_emptiest(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 3)
        assert graph.choose_port(tx, "PL-1001", "GPON", rules=Rules("spread")).port == PON2
        with pytest.raises(PolicyUnknown, match="best-fit"):
            Rules("luck")  # type: ignore[arg-type]


def test_equal_ports_are_chosen_in_natural_order(network: Database) -> None:
    with network.read() as rx:
        assert graph.choose_port(rx, "PL-1001", "GPON").port == PON1


def test_a_full_port_is_turned_down_with_its_reason(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 254)
        choice = graph.choose_port(tx, "PL-1001", "GPON")
    assert choice.port == PON2
    assert choice.reason["rejected"] == [{"port": PON1, "code": "FULL", "why": "full: no free ids"}]
    assert "only" in choice.reason["because"]


def test_when_all_are_full_their_pools_are_named(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 254)
        use(tx, PON2, 254)
        with pytest.raises(PoolExhausted, match="full") as failure:
            graph.choose_port(tx, "PL-1001", "GPON")
    assert {f"onu-id@{PON1}", f"onu-id@{PON2}"} <= set(failure.value.details["pools"])


def test_any_full_pool_of_the_port_makes_it_full(network: Database) -> None:
    with network.write() as tx:
        allocator.take(tx, kind="gem-port", scope=PON2, owner="all", count=4094 - 256 + 1)
        assert graph.qualify(tx, "PL-1002") == [{"technology": "GPON", "ports": 0, "free": 0}]
        with pytest.raises(PoolExhausted):
            graph.choose_port(tx, "PL-1002", "GPON")


@pytest.mark.parametrize(
    ("place", "technology", "complaint"),
    [
        ("PL-1099", "GPON", "no access port is connected"),
        ("PL-unknown", "GPON", "not known"),
        (None, "GPON", "not known"),
        ("PL-1001", "XGS-PON", "it has GPON"),
    ],
)
def test_no_way_is_said_plainly(
    network: Database, place: str | None, technology: str, complaint: str
) -> None:
    with network.read() as rx, pytest.raises(NoAccessPath, match=complaint) as failure:
        graph.choose_port(rx, place, technology)
    assert (failure.value.code, failure.value.status) == ("NO_ACCESS_PATH", 409)


def test_a_device_in_maintenance_gets_no_new_customer(network: Database) -> None:
    with network.write() as tx:
        devices.patch(tx, "olt-east-07", {"admin_state": "maintenance"})
        with pytest.raises(NoAccessPath, match="maintenance"):
            graph.choose_port(tx, "PL-1001", "GPON")


def test_a_port_without_way_to_the_edge_serves_nobody(network: Database) -> None:
    with network.write() as tx:
        devices.remove(tx, "agg-1")
        with pytest.raises(NoAccessPath, match="no way to a node of role bng"):
            graph.choose_port(tx, "PL-1001", "GPON")


def test_qualification_counts_what_is_left(network: Database) -> None:
    with network.write() as tx:
        use(tx, PON1, 4)
        assert graph.qualify(tx, "PL-1003") == [
            {"technology": "GPON", "ports": 1, "free": 250},
            {"technology": "XGS-PON", "ports": 1, "free": 1021},
        ]
        assert graph.qualify(tx, "PL-1099") == []
        assert graph.alternatives(tx, "PL-1003", "GPON") == [
            {"technology": "XGS-PON", "ports": 1, "free": 1021}
        ]
