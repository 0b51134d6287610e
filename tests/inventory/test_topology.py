"""A topology becomes devices, ports, places, stock and pools, and a second import changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from inventory import allocator, devices, graph, instances, pools
from inventory.devices import TopologyImport, TopologyNode, import_topology
from inventory.errors import DeviceInvalid, DeviceNotFound, TopologyConflict
from lab.topology import load
from store import Database, ManualClock, metadata


def test_the_first_import_reports_what_it_made(base: Database, metro: TopologyImport) -> None:
    with base.write() as tx:
        report = import_topology(tx, metro)
    assert report.devices == ("olt-east-07", "olt-west-02", "bng-1", "agg-1", "acs-1")
    assert (report.ports, report.links, report.places, report.splitters, report.stock) == (
        14,
        11,
        4,
        3,
        6,
    )
    assert report.ignored == ("logistics",)
    assert "s-vlan@bng-1" in report.pools
    assert "ipv4@bng-1/static" in report.pools
    assert len(report.pools) == 8 * 3 + 4 + 2


def test_importing_again_changes_no_row(
    network: Database, metro: TopologyImport, clock: ManualClock
) -> None:
    def rows() -> dict[str, list[str]]:
        with network.read() as rx:
            return {
                table.name: sorted(map(repr, rx.rows(table.select())))
                for table in metadata.sorted_tables
            }

    before = rows()
    clock.advance(timedelta(days=1))
    with network.write() as tx:
        report = import_topology(tx, metro)
    assert rows() == before
    assert report.created == 0
    assert report.pools == ()


def test_an_import_leaves_what_is_in_use_and_what_an_operator_set(
    network: Database, metro: TopologyImport
) -> None:
    with network.write() as tx:
        port = instances.get(tx, "olt-east-07/pon1")
        instances.put(tx, replace(port, state="inService"))
        devices.patch(tx, "olt-east-07", {"admin_state": "maintenance", "site": "east"})
        allocator.take(tx, kind="onu-id", scope="olt-east-07/pon1", owner="o")
        import_topology(tx, metro)
        assert instances.get(tx, "olt-east-07/pon1").state == "inService"
        assert devices.get(tx, "olt-east-07").admin_state == "maintenance"
        assert devices.get(tx, "olt-east-07").site == "east"
        assert pools.pool(tx, "onu-id@olt-east-07/pon1").reserved == 1


def test_a_grown_topology_adds_to_stock_and_graph(network: Database, metro: TopologyImport) -> None:
    ont = TopologyNode(
        "ont-7", "ont", labels={"sim-serial": "HWTC1A2B3C07", "sim-device-model": "HG8245H"}
    )
    with network.write() as tx:
        report = import_topology(tx, replace(metro, nodes=(*metro.nodes, ont)))
        assert report.stock == 7
        assert pools.pool(tx, "onu-serial@HG8245H").capacity == 5
        assert instances.get(tx, "HWTC1A2B3C07").category == "stock"


def test_pools_follow_technology_and_labels(network: Database) -> None:
    with network.read() as rx:
        found = {pool.id: pool for pool in pools.pools(rx)}
    gpon, xgs = "olt-east-07/pon3", "olt-west-02/pon4"
    assert (found[f"onu-id@{gpon}"].first, found[f"onu-id@{gpon}"].last) == (0, 253)
    assert (found[f"onu-id@{xgs}"].first, found[f"onu-id@{xgs}"].last) == (0, 1020)
    assert (found[f"alloc-id@{gpon}"].first, found[f"alloc-id@{xgs}"].first) == (256, 1024)
    assert (found[f"gem-port@{xgs}"].first, found[f"gem-port@{xgs}"].last) == (1025, 65534)
    assert found["ipv4@bng-1"].capacity == 4096 - 3
    assert found["ipv6-prefix@bng-1"].capacity == 2**16
    assert (found["s-vlan@bng-1"].first, found["s-vlan@bng-1"].last) == (1001, 1999)
    assert found["onu-serial@HG8245X6"].capacity == 2
    assert not any("uplink" in pool.scope for pool in found.values())


def test_devices_ports_links_and_instances_exist(network: Database) -> None:
    with network.read() as rx:
        olt = devices.get(rx, "olt-east-07")
        assert (olt.platform, olt.role, olt.admin_state) == ("bbf-olt", "olt", "managed")
        assert olt.endpoints[0]["port"] == 8830
        assert (olt.host_key, olt.ca_path, olt.credential_ref) == (
            "ssh-ed25519 AAAA",
            "/ca.pem",
            "lab",
        )
        assert [device.name for device in devices.devices(rx, role="olt")] == [
            "olt-east-07",
            "olt-west-02",
        ]
        names = [port.name for port in devices.ports(rx, "olt-east-07")]
        assert names == ["pon1", "pon2", "pon3", "pon4", "uplink-1"]
        assert [link.b for link in devices.links(rx, "olt-east-07/pon1")] == ["split-e1"]
        port = instances.get(rx, "olt-east-07/pon4")
        assert (port.kind, port.category, port.state) == ("resource", "port", "commissioned")
        assert [r.target for r in instances.related(rx, port.id)] == ["olt-east-07"]
        stock = instances.find(rx, kind="resource", category="stock")
        assert len(stock) == 6
        assert stock[0].characteristics["stock"] == "metro-warehouse"


def test_port_names_sort_as_people_count(base: Database) -> None:
    node = TopologyNode(
        "olt",
        "olt",
        access=({"protocol": "netconf"},),
        labels={"sim-pon-type": "gpon", "sim-pon-ports": "11"},
    )
    with base.write() as tx:
        import_topology(tx, TopologyImport("big", (node,)))
        names = [port.name for port in devices.ports(tx, "olt")]
    assert names == [f"pon{n}" for n in range(1, 12)]


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        (("agg-1", "Ethernet3", "nowhere", "x"), "nowhere"),
        (("agg-1", "Ethernet1", "split-e1", "out9"), "two links"),
    ],
)
def test_a_topology_that_contradicts_itself_is_refused(
    base: Database, metro: TopologyImport, link: tuple[str, str, str, str], complaint: str
) -> None:
    broken = replace(metro, links=(*metro.links, link))
    with base.write() as tx, pytest.raises(TopologyConflict, match=complaint):
        import_topology(tx, broken)


def test_a_malformed_pool_label_is_refused(base: Database) -> None:
    node = TopologyNode(
        "bng", "bng", access=({"protocol": "netconf"},), labels={"pool-s-vlan": "all"}
    )
    with base.write() as tx, pytest.raises(TopologyConflict, match="first-last"):
        import_topology(tx, TopologyImport("bad", (node,)))


def test_registry_changes(network: Database) -> None:
    with network.write() as tx:
        changed = devices.patch(tx, "agg-1", {"admin_state": "readOnly"})
        assert devices.get(tx, "agg-1") == changed
        with pytest.raises(DeviceInvalid, match="adminState"):
            devices.patch(tx, "agg-1", {"admin_state": "asleep"})
        with pytest.raises(DeviceInvalid, match="colour"):
            devices.patch(tx, "agg-1", {"colour": "red"})
        with pytest.raises(DeviceInvalid, match="'/'"):
            devices.put(tx, replace(changed, name="a/b"))
        devices.remove(tx, "agg-1")
        with pytest.raises(DeviceNotFound):
            devices.get(tx, "agg-1")
        assert devices.ports(tx, "agg-1") == []
        assert not any("agg-1" in link.a for link in devices.links(tx))
        with pytest.raises(DeviceNotFound):
            devices.remove(tx, "agg-1")


def test_the_metro_that_we_ship_imports_whole(base: Database) -> None:
    topology = load(Path(__file__).parents[2] / "topologies/metro.clab.yml")
    reached = ({"protocol": "netconf", "host": "127.0.64.9", "port": 8830, "username": "admin"},)
    nodes = tuple(
        TopologyNode(
            node.name,
            node.role,
            node.model or "",
            access=reached if node.role not in {"ont", "place", "splitter"} else (),
            labels=dict(node.labels),
        )
        for node in topology.nodes
    )
    links = tuple((*link.a, *link.b) for link in topology.links)
    with base.write() as tx:
        report = import_topology(tx, TopologyImport("metro", nodes, links))
        assert (report.places, report.splitters, report.stock, report.ignored) == (4, 3, 6, ())
        assert graph.choose_port(tx, "PL-1001", "GPON").router_uplink == "Ethernet10"
        assert [q["technology"] for q in graph.qualify(tx, "PL-1003")] == ["GPON", "XGS-PON"]
        assert graph.reachable(tx, "PL-1004") == []
        assert devices.get(tx, "bng-1").site == "metro-core"
