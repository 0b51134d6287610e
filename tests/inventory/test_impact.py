"""Impact: from port, splitter, device, link, resource or pool to the customers, and back down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from inventory import Cause, allocator, devices, impact, instances
from inventory.errors import InstanceNotFound, NodeNotFound, PartyNotFound, PoolNotFound
from inventory.impact import Page
from inventory.instances import Instance
from inventory.plant.registry import remove_link
from store import Database, ManualClock, Rx, Tx
from store.errors import InvalidInput

CAUSE = Cause("order", "1", "rom")
PON1, PON2, WEST = "olt-east-07/pon1", "olt-east-07/pon2", "olt-west-02/pon1"


def customer(tx: Tx, line: str, port: str, place: str) -> None:
    """Record one customer as the layers do: product, CFS on RFS, RFS realised by a composite on a port."""
    device = port.split("/", maxsplit=1)[0]
    party = {"id": f"party-{line}", "role": "customer", "name": f"Customer {line}"}
    for one in (
        Instance(
            line, "product", state="active", line=line, place=place, body={"relatedParty": [party]}
        ),
        Instance(f"cfs-{line}", "service", "CFS", state="active", line=line, place=place),
        Instance(f"rfs-{line}", "service", "RFS", state="active", line=line, place=place),
        Instance(
            f"res-{line}",
            "resource",
            "composite",
            state="inUse",
            line=line,
            place=place,
            characteristics={
                "ponPort": port,
                "olt": device,
                "router": "agg-1",
                "bng": "bng-1",
                "onuId": 3,
            },
            body={"realizes": {"serviceId": f"rfs-{line}"}},
        ),
    ):
        instances.put(tx, one, CAUSE)
    instances.relate(tx, f"cfs-{line}", f"rfs-{line}", "reliesOn", CAUSE)
    instances.relate(tx, f"rfs-{line}", f"res-{line}", "realizedBy", CAUSE)
    instances.relate(tx, f"res-{line}", port, "isComposedOf", CAUSE)


@pytest.fixture
def town(network: Database) -> Database:
    with network.write() as tx:
        customer(tx, "anna", PON1, "PL-1001")
        customer(tx, "bert", PON2, "PL-1001")
        customer(tx, "cleo", PON2, "PL-1002")
        customer(tx, "dora", WEST, "PL-1003")
    return network


def hurt(rx: Rx, **what: Any) -> set[str]:
    found = impact.impact(rx, **what)
    products = {product["id"] for product in found["products"]}
    assert {party["id"] for party in found["parties"]} == {f"party-{p}" for p in products}
    assert {s["id"] for s in found["services"]} == {
        f"{layer}-{p}" for p in products for layer in ("cfs", "rfs")
    }
    assert {f"res-{product}" for product in products} <= {r["id"] for r in found["resources"]}
    return products


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (PON1, {"anna"}),
        (PON2, {"bert", "cleo"}),
        ("olt-east-07/pon4", set()),
        ("olt-east-07/uplink-1", {"anna", "bert", "cleo"}),
        ("agg-1/Ethernet1", {"anna", "bert", "cleo"}),
        ("agg-1/Ethernet2", {"dora"}),
        ("agg-1/Ethernet10", {"anna", "bert", "cleo", "dora"}),
        ("bng-1/access-1", {"anna", "bert", "cleo", "dora"}),
        ("olt-west-02", {"dora"}),
        ("agg-1", {"anna", "bert", "cleo", "dora"}),
        ("bng-1", {"anna", "bert", "cleo", "dora"}),
        ("acs-1", set()),
        ("split-e1", {"anna"}),
        ("split-e2", {"bert", "cleo"}),
        ("PL-1001", {"anna", "bert"}),
        ("place-12-acacia-ave", {"anna", "bert"}),
        ("PL-1099", set()),
    ],
)
def test_a_node_hurts_whoever_is_behind_it(town: Database, node: str, expected: set[str]) -> None:
    with town.read() as rx:
        assert hurt(rx, node=node) == expected


def test_a_resource_or_service_hurts_upwards_only(town: Database) -> None:
    with town.read() as rx:
        assert hurt(rx, resource="res-cleo") == {"cleo"}
        assert hurt(rx, resource=PON2) == {"bert", "cleo"}
        found = impact.impact(rx, resource="cfs-anna")
        assert [p["id"] for p in found["products"]] == ["anna"]
        assert found["resources"] == []


def test_a_pool_hurts_its_owners_and_sharers(town: Database) -> None:
    with town.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="res-anna:ipv4:1")
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="an engineer")
        for line in ("bert", "cleo"):
            allocator.take_shared(
                tx, kind="s-vlan", scope="bng-1", shared_by=PON2, user=f"res-{line}"
            )
        assert hurt(tx, pool="ipv4@bng-1") == {"anna"}
        assert hurt(tx, pool="s-vlan@bng-1") == {"bert", "cleo"}
        allocator.release_shared(tx, kind="s-vlan", scope="bng-1", shared_by=PON2, user="res-bert")
        assert hurt(tx, pool="s-vlan@bng-1") == {"cleo"}


def test_what_moved_away_or_ended_is_not_hurt(town: Database) -> None:
    with town.write() as tx:
        moved = instances.get(tx, "res-anna")
        values: Mapping[str, Any] = {**moved.characteristics, "ponPort": WEST, "olt": "olt-west-02"}
        instances.put(tx, replace(moved, characteristics=values), CAUSE)
        instances.unrelate(tx, "res-anna", PON1, "isComposedOf", CAUSE)
        assert hurt(tx, node=PON1) == set()
        assert hurt(tx, node="olt-west-02") == {"anna", "dora"}
        instances.put(tx, replace(instances.get(tx, "res-dora"), state="released"), CAUSE)
        assert hurt(tx, node=WEST) == {"anna"}


def test_cascaded_splitters_hurt_downstream_only(town: Database) -> None:
    from inventory.devices import TopologyImport, TopologyNode, import_topology

    more = TopologyImport(
        "more",
        (
            TopologyNode("split-e2", "splitter"),
            TopologyNode("split-e2-a", "splitter"),
            TopologyNode("place-5", "place", labels={"place-id": "PL-5"}),
        ),
        (("split-e2", "out3", "split-e2-a", "in"), ("split-e2-a", "out1", "place-5", "f1")),
    )
    with town.write() as tx:
        import_topology(tx, more)
        customer(tx, "emil", PON2, "PL-5")
        assert hurt(tx, node="split-e2-a") == {"emil"}
        assert hurt(tx, node="split-e2") == {"bert", "cleo", "emil"}


def test_the_way_down_from_a_customer(town: Database) -> None:
    with town.read() as rx:
        found = impact.foundation(rx, "anna")
        assert {"cfs-anna", "rfs-anna"} == {s["id"] for s in found["services"]}
        assert {"res-anna", PON1, "olt-east-07"} == {r["id"] for r in found["resources"]}
        assert {PON1, "olt-east-07", "agg-1", "bng-1"} == set(found["nodes"])
        below = impact.foundation(rx, "rfs-anna")
        assert "res-anna" in {r["id"] for r in below["resources"]}


def test_a_customer_stands_on_ports(town: Database) -> None:
    with town.read() as rx:
        questions: tuple[dict[str, Any], ...] = (
            {"party": "party-anna"},
            {"resource": "party-anna"},
            {"resource": "anna"},
        )
        for question in questions:
            found = impact.impact(rx, **question)
            assert [one["id"] for one in found["products"]] == ["anna"]
            assert [one["id"] for one in found["parties"]] == ["party-anna"]
            below = found["standsOn"]
            assert below["ports"] == [{"id": PON1, "device": "olt-east-07", "technology": "GPON"}]
            assert below["nodes"] == sorted([PON1, "olt-east-07", "agg-1", "bng-1"])
            assert {one["id"] for one in below["services"]} == {"cfs-anna", "rfs-anna"}
            assert {one["id"] for one in below["resources"]} == {"res-anna", PON1, "olt-east-07"}
        with pytest.raises(PartyNotFound, match="relatedParty"):
            impact.impact(rx, party="nobody")


def test_lists_are_pages_and_totals_are_whole(town: Database) -> None:
    with town.read() as rx:
        whole = impact.impact(rx, node="bng-1")
        assert whole["total"] == {
            kind: len(whole[kind])
            for kind in ("nodes", "resources", "services", "products", "parties")
        }
        for kind in whole["total"]:
            paged = [
                one
                for offset in range(0, len(whole[kind]), 2)
                for one in impact.impact(rx, node="bng-1", page=Page(offset, 2))[kind]
            ]
            assert paged == whole[kind], kind


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({"node": PON1}, {"anna"}),
        ({"node": "agg-1/Ethernet2"}, {"dora"}),
        ({"node": "agg-1"}, {"anna", "bert", "cleo", "dora"}),
        ({"node": "split-e1"}, {"anna"}),
        ({"node": "PL-1001"}, {"anna", "bert"}),
        ({"resource": PON2}, {"bert", "cleo"}),
        ({"pool": "ipv4@bng-1"}, {"anna"}),
    ],
)
def test_the_past_is_answered_as_it_was(
    town: Database, clock: ManualClock, question: dict[str, Any], expected: set[str]
) -> None:
    with town.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="res-anna:ipv4:1")
    start = clock.now()
    clock.advance(timedelta(hours=1))
    with town.write() as tx:
        for line in ("anna", "bert", "cleo", "dora"):
            for relation in instances.related(tx, f"res-{line}"):
                instances.unrelate(tx, relation.source, relation.target, relation.type, CAUSE)
            for id_, state in ((f"res-{line}", "released"), (line, "terminated")):
                instances.put(tx, replace(instances.get(tx, id_), state=state), CAUSE)
            for layer in ("cfs", "rfs"):
                one = instances.get(tx, f"{layer}-{line}")
                instances.put(tx, replace(one, state="terminated"), CAUSE)
        allocator.release(tx, "res-anna:ipv4:1")
        devices.remove(tx, "olt-west-02")
        remove_link(tx, "split-e1", "PL-1001")
    with town.read() as rx:
        assert hurt(rx, **question, at=start) == expected
        assert hurt(rx, **question) == set()
        below = impact.foundation(rx, "dora", at=start)
        assert [one["id"] for one in below["ports"]] == [WEST]


def test_questions_that_have_no_answer(town: Database) -> None:
    with town.read() as rx:
        with pytest.raises(NodeNotFound, match="device/port"):
            impact.impact(rx, node="nowhere")
        with pytest.raises(InstanceNotFound):
            impact.impact(rx, resource="nothing")
        with pytest.raises(PoolNotFound):
            impact.impact(rx, pool="ipv4@nowhere")
        wrongs: tuple[dict[str, Any], ...] = ({}, {"node": PON1, "pool": "ipv4@bng-1"})
        for wrong in wrongs:
            with pytest.raises(InvalidInput, match="exactly one"):
                impact.impact(rx, **wrong)
