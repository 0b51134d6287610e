"""A resource's life goes only the ways of its table; what does not is refused and leaves no trace."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from inventory import Cause, devices, instances
from inventory.devices import TopologyImport, TopologyNode, import_topology
from inventory.errors import DeviceNotFound, LifecycleInvalid
from inventory.instances import Instance
from inventory.lineage import footprints, lifecycle, relations, stakes, timeline
from inventory.lineage.lifecycle import LOGICAL, PHYSICAL, Logical, Physical
from inventory.plant.registry import remove_link, upsert_link
from inventory.tables import instance as table
from store import Database, ManualClock

HOUR = timedelta(hours=1)
CAUSE = Cause("order-1", "1", "rom")


def resource(id_: str = "r", category: str = "composite", state: str = "assigned") -> Instance:
    return Instance(id_, "resource", category, state=state)


@pytest.mark.parametrize("category", ["composite", "part", None, "device", "port", "stock"])
def test_every_step_is_allowed_or_refused_as_the_table_says(
    base: Database, category: str | None
) -> None:
    ways = PHYSICAL if lifecycle.physical(category) else LOGICAL
    for before, following in ways.items():
        for after in ways:
            with base.dry_run() as tx:
                _live_to(tx, category, before)
                new = Instance("r", "resource", category, state=after)
                if after == before or after in following:
                    assert instances.put(tx, new).state == after
                    continue
                with pytest.raises(LifecycleInvalid, match=before) as refused:
                    instances.put(tx, new)
                assert refused.value.details["allowed"] == sorted(following)
                assert all(state in str(refused.value) for state in following)
                assert instances.get(tx, "r").state == before
                assert len(instances.history(tx, "r")) == len(_way_to(ways, category, before))


def _live_to(tx: Any, category: str | None, state: str) -> None:
    ways = PHYSICAL if lifecycle.physical(category) else LOGICAL
    for step in _way_to(ways, category, state):
        instances.put(tx, Instance("r", "resource", category, state=step))


def _way_to(ways: Any, category: str | None, state: str) -> list[str]:
    """Return a shortest life that ends in a state."""
    lives: list[list[str]] = [[one] for one in sorted(lifecycle.allowed(category, None))]
    while True:
        for life in lives:
            if life[-1] == state:
                return life
        lives = [[*life, after] for life in lives for after in sorted(ways[life[-1]])]


def test_words_of_the_other_table_and_unknown_ones_are_refused(base: Database) -> None:
    with base.write() as tx:
        for category, state in (("port", "inUse"), ("composite", "inService"), ("part", "active")):
            with pytest.raises(LifecycleInvalid, match="begins as") as refused:
                instances.put(tx, resource("x", category, state))
            assert refused.value.code == "LIFECYCLE_INVALID"
            assert refused.value.status == 409
        with pytest.raises(LifecycleInvalid, match="begins as"):
            instances.put(tx, resource("x", "device", "inService"))
        assert instances.count(tx, kind="resource") == 0


def test_products_and_services_are_their_layers_matter(base: Database) -> None:
    with base.write() as tx:
        for state in ("active", "anything"):
            instances.put(tx, Instance("p", "product", state=state))
            instances.put(tx, Instance("s", "service", "CFS", state=state))


def test_changes_at_once_are_made_one_after_the_other(base: Database) -> None:
    """On PostgreSQL two writers may want the same instance: the second sees what the first left."""
    with base.write() as tx:
        instances.put(tx, resource())
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                with base.write() as tx:
                    one = instances.get(tx, "r")
                    values = {"by": f"{number}/{turn}"}
                    instances.put(tx, replace(one, characteristics=values), CAUSE)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with base.read() as rx:
        versions = instances.history(rx, "r")
        assert len(versions) == 41
        present = select(func.count()).where(table.c.id == "r", table.c.valid_to.is_(None))
        assert rx.scalar(present) == 1


def test_timeline_says_what_changed(base: Database, clock: ManualClock) -> None:
    first = replace(resource(), characteristics={"vlan": 7, "keep": 1}, body={"note": "x"})
    with base.write() as tx:
        instances.put(tx, first, CAUSE)
        clock.advance(HOUR)
        second = replace(
            first, state=Logical.IN_USE, characteristics={"vlan": 8, "keep": 1}, body={}
        )
        instances.put(tx, second, CAUSE)
        steps = timeline.of_instance(tx, "r")
        assert timeline.of_instance(tx, "r", offset=1) == steps[1:]
        assert timeline.of_instance(tx, "r", offset=0, limit=1) == steps[:1]
        assert timeline.of_instance(tx, "r", offset=1, limit=5) == steps[1:]
    assert steps[0].changes == ()
    assert [(c.attribute, c.before, c.after) for c in steps[1].changes] == [
        ("body.note", "x", None),
        ("characteristics.vlan", 7, 8),
        ("state", "assigned", "inUse"),
    ]
    assert steps[0].version.ended_by == steps[1].version.cause == CAUSE


def test_the_plant_has_a_past(network: Database, clock: ManualClock) -> None:
    start = clock.now()
    clock.advance(HOUR)
    with network.write() as tx:
        devices.patch(tx, "agg-1", {"site": "east"}, by="a test")
        devices.patch(tx, "agg-1", {"site": "east"}, by="again")
        remove_link(tx, "split-e1", "place-12-acacia-ave", by="nobody so named")
        remove_link(tx, "split-e1", "PL-1001", by="a test")
        clock.advance(HOUR)
        moved = clock.now()
        assert upsert_link(tx, "PL-1001", "split-w1", by="a test")
        assert not upsert_link(tx, "split-w1", "PL-1001", by="a test")
        clock.advance(HOUR)
        devices.remove(tx, "olt-west-02", by="a test")
    from inventory import graph

    def ports(at: Any) -> list[str]:
        with network.read() as rx:
            return [reach.port for reach in graph.reachable(rx, "PL-1001", at)]

    assert ports(start) == ["olt-east-07/pon1", "olt-east-07/pon2"]
    assert ports(start + HOUR) == ["olt-east-07/pon2"]
    assert ports(moved) == ["olt-east-07/pon2", "olt-west-02/pon1"]
    assert ports(None) == ["olt-east-07/pon2"]
    with network.read() as rx:
        assert devices.get(rx, "agg-1", at=start).site is None
        assert devices.get(rx, "agg-1").site == "east"
        assert devices.get(rx, "olt-west-02", at=moved).role == "olt"
        with pytest.raises(DeviceNotFound):
            devices.get(rx, "olt-west-02")
        with pytest.raises(DeviceNotFound, match="2025"):
            devices.get(rx, "agg-1", at=start.replace(year=2025))
        assert len(devices.devices(rx, role="olt", at=moved)) == 2
        assert len(devices.devices(rx, role="olt")) == 1
        assert len(devices.ports(rx, "olt-west-02", at=moved)) == 5
        assert devices.ports(rx, "olt-west-02") == []
        steps = timeline.of_device(rx, "agg-1")
        assert [(s.version.by, [c.attribute for c in s.changes]) for s in steps] == [
            ("topology metro", []),
            ("a test", ["site"]),
        ]
        (west,) = timeline.of_device(rx, "olt-west-02")
        assert (west.version.by, west.version.ended_by) == ("topology metro", "a test")
        for id_ in ("olt-west-02", "olt-west-02/pon1"):
            assert instances.get(rx, id_).state == Physical.DECOMMISSIONED
            assert instances.get(rx, id_, at=moved).state == Physical.COMMISSIONED


def test_a_device_that_comes_back_begins_anew(network: Database, metro: TopologyImport) -> None:
    with network.write() as tx:
        devices.remove(tx, "olt-west-02")
        report = import_topology(tx, replace(metro, source="the same again"))
        assert report.created > 0
        assert devices.history(tx, "olt-west-02")[-1].by == "the same again"
        for id_ in ("olt-west-02", "olt-west-02/pon4"):
            assert instances.get(tx, id_).state == Physical.COMMISSIONED


def test_maintenance_is_part_of_a_devices_life(network: Database) -> None:
    with network.write() as tx:
        devices.patch(tx, "olt-east-07", {"admin_state": "maintenance"})
        assert instances.get(tx, "olt-east-07").state == Physical.MAINTENANCE
        devices.patch(tx, "olt-east-07", {"admin_state": "managed"})
        assert instances.get(tx, "olt-east-07").state == Physical.COMMISSIONED
        port = instances.get(tx, "olt-east-07/pon1")
        instances.put(tx, replace(port, state=Physical.IN_SERVICE))
        devices.patch(tx, "olt-east-07", {"admin_state": "maintenance"})
        devices.patch(tx, "olt-east-07", {"admin_state": "readOnly"})
        assert instances.get(tx, "olt-east-07").state == Physical.IN_SERVICE


def test_relations_footprints_and_parties_answer_for_their_time(
    network: Database, clock: ManualClock
) -> None:
    start = clock.now()
    other = Cause("order-2", "4", "rom")
    port, west = "olt-east-07/pon1", "olt-west-02/pon1"
    with network.write() as tx:
        body = {"relatedParty": [{"id": "c-1", "role": "customer", "name": "Ann"}]}
        instances.put(tx, Instance("p", "product", state="active", line="p", body=body), CAUSE)
        one = replace(resource(state="inUse"), line="p", characteristics={"ponPort": port})
        instances.put(tx, one, CAUSE)
        instances.relate(tx, "r", port, "isComposedOf", CAUSE)
        clock.advance(HOUR)
        instances.unrelate(tx, "r", port, "isComposedOf", other)
        instances.put(tx, replace(one, characteristics={"ponPort": west}), other)
        sold = {"relatedParty": [{"id": "c-2", "role": "customer", "name": "Bob"}]}
        instances.put(tx, Instance("p", "product", state="active", line="p", body=sold), other)
        clock.advance(HOUR)
        instances.put(tx, replace(one, state="released"), other)
    middle = start + HOUR
    with network.read() as rx:
        where = [footprints.of(rx, ["r"], at) for at in (start, middle, None)]
        assert where == [{port}, {west}, set()]
        assert footprints.standing_on(rx, [port], at=start) == {"r"}
        assert footprints.standing_on(rx, [port]) == set()
        whose = [[p["id"] for p in stakes.parties(rx, ["p"], at)] for at in (start, middle, None)]
        assert whose == [["c-1"], ["c-2"], ["c-2"]]
        assert stakes.of_party(rx, "c-1", at=start) == {"p"}
        assert stakes.of_party(rx, "c-1") == set()
        (lasting,) = relations.lasting(rx, "r")
        assert (lasting.valid_from, lasting.valid_to) == (start, middle)
        assert (lasting.cause, lasting.ended_by) == (CAUSE, other)
        assert [r.source for r in relations.related(rx, port, reverse=True, at=start)] == ["r"]
        assert relations.related(rx, port, reverse=True) == []


def test_an_imported_ont_waits_in_stock(base: Database) -> None:
    labels = {"sim-serial": "HWTC00000001", "sim-device-model": "HG8245H"}
    with base.write() as tx:
        import_topology(tx, TopologyImport("stock", (TopologyNode("o", "ont", labels=labels),)))
        ont = instances.get(tx, "HWTC00000001")
        assert ont.state == Physical.IN_STOCK
        instances.put(tx, replace(ont, state=Physical.IN_SERVICE))
        import_topology(tx, TopologyImport("stock", (TopologyNode("o", "ont", labels=labels),)))
        assert instances.get(tx, "HWTC00000001").state == Physical.IN_SERVICE
