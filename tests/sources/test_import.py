"""Pools, prefixes, VLANs and devices come in from both sources, again and again without change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from inventory import allocator, pools
from inventory.errors import PoolExhausted, ValueOutsidePool
from inventory.plant import registry
from inventory.sources import Report, run_import
from inventory.sources.errors import (
    SourceAnswerInvalid,
    SourceDenied,
    SourceUnreachable,
)
from inventory.tables import allocation, pool, source_object
from store import Database, ManualClock
from tests.sources import likeness
from tests.sources.conftest import QUICK, World, fill, tag, world_of


def run(world: World) -> Report:
    port = world.port()
    try:
        return run_import(world.base, "sot", port)
    finally:
        port.close()


def held(base: Database) -> dict[str, str]:
    with base.read() as rx:
        return {f"{one.pool} {one.text}": one.owner for one in allocator.allocations(rx)}


def everything(base: Database) -> list[Any]:
    with base.read() as rx:
        tables = (allocation, pool, source_object)
        left_out = {"seen"}
        return [
            sorted(
                tuple(str(v) for k, v in row.items() if k not in left_out)
                for row in rx.execute(select(table)).mappings()
            )
            for table in tables
        ]


def test_what_is_tagged_becomes_pools_and_what_is_used_there_nobody_gets(world: World) -> None:
    report = run(world)
    assert set(report.created) == {"ipv4@bng-1", "ipv6-prefix@bng-1", "s-vlan@bng-1"}
    assert report.findings == ()
    with world.base.read() as rx:
        ipv4 = pools.pool(rx, "ipv4@bng-1")
    assert (ipv4.capacity, ipv4.allocated, ipv4.free) == (253, 2, 251)
    assert sorted(held(world.base)) == [
        "ipv4@bng-1 100.64.0.10",
        "ipv4@bng-1 100.64.0.11",
        "s-vlan@bng-1 100",
    ]


def test_the_next_values_pass_by_what_is_used_there(world: World) -> None:
    run(world)
    with world.base.write() as tx:
        taken = [
            allocator.take(tx, kind="ipv4", scope="bng-1", owner=f"o{n}")[0].text
            for n in range(251)
        ]
        with pytest.raises(PoolExhausted):
            allocator.take(tx, kind="ipv4", scope="bng-1", owner="one more")
    assert len(set(taken)) == 251
    assert not {"100.64.0.10", "100.64.0.11"} & set(taken)


def test_importing_again_changes_nothing(world: World) -> None:
    run(world)
    before = everything(world.base)
    again = run(world)
    assert everything(world.base) == before
    assert again.created == ()
    assert "held" not in again.counts


def test_pages_are_read_to_the_end(world: World) -> None:
    world.there.page = 3
    for n in range(20, 60):
        world.there.put("ipam/ip-addresses", address=f"100.64.0.{n}/24")
    run(world)
    assert len([key for key in held(world.base) if key.startswith("ipv4@")]) == 42


@pytest.mark.parametrize("page", [1, 4, 7])
def test_an_import_that_breaks_off_leaves_what_is_in_and_a_rerun_completes(
    world: World, page: int
) -> None:
    world.there.page = 1
    for n in range(20, 26):
        world.there.put("ipam/ip-addresses", address=f"100.64.0.{n}/24")

    def broken(request: Any) -> Any:
        is_addresses = request.path == "/api/ipam/ip-addresses/"
        offset = int(request.query.get("offset", ["0"])[0])
        return likeness.Answer(500, {}) if is_addresses and offset >= page else None

    world.there.fault = broken
    with pytest.raises(SourceUnreachable):
        run(world)
    with world.base.write() as tx:
        pool_there = pools.pool(tx, "ipv4@bng-1")
        assert pool_there.allocated == page
        with pytest.raises(Exception, match="drain"):
            allocator.take(tx, kind="ipv4", scope="bng-1", owner="too early")
    world.there.fault = None
    run(world)
    assert len([key for key in held(world.base) if key.startswith("ipv4@")]) == 8
    with world.base.write() as tx:
        assert allocator.take(tx, kind="ipv4", scope="bng-1", owner="now")


def test_what_is_gone_there_is_free_here_after_its_rest(world: World, clock: ManualClock) -> None:
    run(world)
    used = next(a for a in world.there.all("ipam/ip-addresses") if "0.10" in a["address"])
    world.there.drop("ipam/ip-addresses", used)
    report = run(world)
    assert report.counts["released"] == 1
    assert "ipv4@bng-1 100.64.0.10" not in held(world.base)
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").quarantined == 1


def test_an_object_that_a_page_let_slip_is_not_taken_for_gone(world: World) -> None:
    run(world)

    def slipping(request: Any) -> Any:
        listing = request.path == "/api/ipam/ip-addresses/" and "id" not in request.query
        empty: dict[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}
        return likeness.Answer(200, empty) if listing else None

    world.there.fault = slipping
    report = run(world)
    assert "released" not in report.counts
    assert "ipv4@bng-1 100.64.0.10" in held(world.base)


def test_a_pool_that_is_gone_there_stays_and_is_reported(world: World) -> None:
    run(world)
    with world.base.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="customer")
    prefix = world.there.all("ipam/prefixes")[0]
    world.there.drop("ipam/prefixes", prefix)
    report = run(world)
    (finding,) = report.findings
    assert finding["code"] == "SOURCE_GONE"
    assert "pool ipv4@bng-1" in finding["message"]
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").free == 250


def test_a_prefix_that_no_rule_takes_any_more_is_reported(world: World) -> None:
    run(world)
    world.there.all("ipam/prefixes")[0]["tags"] = []
    (finding,) = run(world).findings
    assert finding["code"] == "SOURCE_UNMATCHED"


def test_a_value_held_by_both_is_reported_and_stays(world: World) -> None:
    run(world)
    with world.base.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="customer", value="100.64.0.50")
    world.there.put("ipam/ip-addresses", address="100.64.0.50/24", dns_name="intruder")
    (finding,) = run(world).findings
    assert finding["code"] == "SOURCE_CONFLICT"
    assert "'customer' here and to 'intruder' in sot" in finding["message"]
    assert held(world.base)["ipv4@bng-1 100.64.0.50"] == "customer"


def test_an_address_that_moved_holds_its_new_value(world: World) -> None:
    run(world)
    used = next(a for a in world.there.all("ipam/ip-addresses") if "0.10" in a["address"])
    used["address"] = "100.64.0.77/24"
    run(world)
    now = held(world.base)
    assert "ipv4@bng-1 100.64.0.77" in now
    assert "ipv4@bng-1 100.64.0.10" not in now


def test_other_networks_inside_are_cut_out(world: World) -> None:
    world.there.put("ipam/prefixes", prefix="100.64.0.64/26", description="servers")
    report = run(world)
    assert report.findings == ()
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").capacity == 253 - 64


def test_a_network_made_there_later_is_cut_out_and_comes_back_when_it_is_gone(
    world: World,
) -> None:
    run(world)
    servers = world.there.put("ipam/prefixes", prefix="100.64.0.0/28", description="servers")
    inner = world.there.put("ipam/prefixes", prefix="100.64.0.8/29", description="inner")
    world.there.put("ipam/ip-addresses", address="100.64.0.3/24", description="one of them")
    assert run(world).findings == ()
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").capacity == 253 - 14
    assert held(world.base) == {"s-vlan@bng-1 100": "source:sot:100"}
    world.there.drop("ipam/prefixes", servers)
    assert run(world).counts["givenBack"] == 1
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").capacity == 253 - 8
    assert "ipv4@bng-1 100.64.0.3" in held(world.base), "in use there, network or not"
    world.there.drop("ipam/prefixes", inner)
    run(world)
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").capacity == 253
    assert len([key for key in held(world.base) if key.startswith("ipv4@")]) == 3


def test_what_rests_here_and_is_used_there_is_cut_out(world: World, clock: ManualClock) -> None:
    run(world)
    one: dict[str, Any]
    with world.base.write() as tx:
        one = {"kind": "ipv4", "scope": "bng-1", "owner": "customer", "value": "100.64.0.90"}
        allocator.take(tx, **one, state="active")
        allocator.release(tx, "customer")
    used = world.there.put("ipam/ip-addresses", address="100.64.0.90/24", dns_name="new")
    before = run(world)
    assert before.findings == ()
    clock.advance(timedelta(days=1))
    with world.base.write() as tx, pytest.raises(ValueOutsidePool):
        allocator.take(tx, **one)
    assert "ipv4@bng-1 100.64.0.90" not in held(world.base)
    world.there.drop("ipam/ip-addresses", used)
    run(world)
    with world.base.write() as tx:
        assert allocator.take(tx, **one)


def test_a_network_made_there_over_customers_is_reported_and_cuts_nobody(world: World) -> None:
    run(world)
    with world.base.write() as tx:
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="customer", value="100.64.0.200")
    world.there.put("ipam/prefixes", prefix="100.64.0.192/26", description="servers")
    (finding,) = run(world).findings
    assert finding["code"] == "POOL_IN_USE"
    assert held(world.base)["ipv4@bng-1 100.64.0.200"] == "customer"


def test_ranges_inside_are_cut_out(base: Database, netbox: Any) -> None:
    fill(netbox)
    netbox.put("ipam/ip-ranges", start_address="100.64.0.100/24", end_address="100.64.0.109/24")
    world = world_of(base, netbox)
    assert run(world).findings == ()
    with base.read() as rx:
        assert pools.pool(rx, "ipv4@bng-1").capacity == 253 - 10


def test_a_tagged_range_is_a_pool_of_its_own(base: Database, netbox: Any) -> None:
    netbox.put(
        "ipam/ip-ranges",
        start_address="100.65.0.10/24",
        end_address="100.65.0.19/24",
        tags=[tag(netbox, "turnup")],
        custom_fields={"turnup_scope": "bng-9"},
    )
    netbox.put("ipam/ip-addresses", address="100.65.0.12/24", description="used")
    netbox.put("ipam/ip-addresses", address="100.65.0.50/24", description="beside it")
    world = world_of(base, netbox)
    assert run(world).created == ("ipv4@bng-9",)
    with base.read() as rx:
        pool_there = pools.pool(rx, "ipv4@bng-9")
    assert (pool_there.capacity, pool_there.free) == (10, 9)


def test_c_vlans_there_are_held_in_their_s_vlan(base: Database, netbox: Any) -> None:
    fill(netbox)
    outer = next(one for one in netbox.all("ipam/vlans") if one["vid"] == 100)
    outer["qinq_role"] = likeness.choice("svlan")
    inner = netbox.put(
        "ipam/vlans",
        vid=5,
        name="a customer",
        qinq_role=likeness.choice("cvlan"),
        qinq_svlan={"id": outer["id"], "vid": 100, "name": "video"},
    )
    world = world_of(base, netbox)
    run(world)
    assert "c-vlan@bng-1/100 5" in held(base)
    netbox.drop("ipam/vlans", inner)
    run(world)
    assert "c-vlan@bng-1/100 5" not in held(base)


def test_gaps_of_a_vlan_group_are_no_values(world: World) -> None:
    group = world.there.all("ipam/vlan-groups")[0]
    if world.there.kind == "netbox":
        group["vid_ranges"] = [[100, 199], [300, 399]]
    else:
        group["range"] = "100-199,300-399"
    run(world)
    with world.base.read() as rx:
        assert pools.pool(rx, "s-vlan@bng-1").capacity == 200


def test_devices_come_with_their_pon_ports(base: Database, there: Any) -> None:
    netbox = there.kind == "netbox"
    named = "slug" if netbox else "name"
    address = {"address": "192.0.2.30/24"}
    device = there.put(
        "dcim/devices",
        name="olt-1",
        platform={named: "bbf-olt"},
        role={named: "access-olt"},
        **({"site": {"slug": "east"}} if netbox else {"location": {"name": "east"}}),
        **({"primary_ip": address} if netbox else {"primary_ip4": address}),
        tags=[tag(there, "turnup")],
    )
    there.put("dcim/devices", name="server-1", tags=[])
    for name, type_ in (("gpon-0/1/0", "gpon"), ("gpon-0/1/1", "gpon"), ("mgmt0", "1000base-t")):
        there.put("dcim/interfaces", name=name, type=likeness.choice(type_), device=device)
    rules = {"devices": [{"roles": {"access-olt": "olt"}, "credentialRef": "env:OLT"}]}
    world = world_of(base, there, rules)
    report = run(world)
    assert report.counts["ports"] == 2
    with base.read() as rx:
        (made,) = registry.devices(rx)
        assert {port.name for port in registry.ports(rx, "olt-1")} == {"gpon-0/1/0", "gpon-0/1/1"}
        assert pools.pool(rx, "onu-id@olt-1/gpon-0/1/0").capacity == 254
    assert (made.role, made.platform, made.site, made.host) == (
        "olt",
        "bbf-olt",
        "east",
        "192.0.2.30",
    )
    assert made.endpoints[0]["protocol"] == "netconf"
    device["primary_ip" if netbox else "primary_ip4"] = {"address": "192.0.2.31/24"}
    (finding,) = run(world).findings
    assert "olt-1 stays as it is here" in finding["message"]


def test_a_device_without_address_is_reported(world: World) -> None:
    world.there.put("dcim/devices", name="olt-2", tags=[tag(world.there, "turnup")], role=None)
    (finding,) = run(world).findings
    assert "Device olt-2 has no platform, role, address" in finding["message"]


def test_delegated_prefixes_there_are_values_here(world: World) -> None:
    world.there.put("ipam/prefixes", prefix="2001:db8:0:100::/56", description="a customer")
    world.there.put("ipam/prefixes", prefix="2001:db8:0:201::/64", description="a link")
    world.there.put("ipam/prefixes", prefix="2001:db8:0:400::/54", description="a site")
    run(world)
    now = {key.partition(" ")[2] for key in held(world.base) if key.startswith("ipv6")}
    assert now == {"2001:db8:0:100::/56", "2001:db8:0:200::/56"}
    with world.base.read() as rx:
        assert pools.pool(rx, "ipv6-prefix@bng-1").capacity == 256 - 4


def test_a_record_without_scope_is_reported(world: World) -> None:
    world.there.put("ipam/prefixes", prefix="198.51.100.0/24", tags=[tag(world.there, "turnup")])
    (finding,) = run(world).findings
    assert finding["code"] == "SOURCE_INVALID"
    assert "198.51.100.0/24" in finding["message"]


def test_overlapping_records_are_reported_not_taken(world: World) -> None:
    mine = {"tags": [tag(world.there, "turnup")], "custom_fields": {"turnup_scope": "bng-2"}}
    world.there.put("ipam/prefixes", prefix="100.64.0.0/16", **mine)
    codes = {finding["code"] for finding in run(world).findings}
    assert codes == {"POOL_OVERLAP"}


def test_a_pool_that_is_there_already_is_adopted_when_it_is_the_same(world: World) -> None:
    with world.base.write() as tx:
        pools.create_pool(tx, "ipv4", "bng-1", prefix="100.64.0.0/24")
        allocator.take(tx, kind="ipv4", scope="bng-1", owner="customer")
    report = run(world)
    assert report.counts["adopted"] == 1
    assert "ipv4@bng-1 100.64.0.10" in held(world.base)


def test_a_token_that_is_not_accepted_says_so(world: World) -> None:
    from inventory.sources import connect

    port = connect(world.source, "f" * 40, QUICK)
    with pytest.raises(SourceDenied) as error:
        run_import(world.base, "sot", port)
    port.close()
    assert "f" * 40 not in str(error.value)


def test_the_wrong_type_is_noticed(base: Database, netbox: Any) -> None:
    fill(netbox)
    world = world_of(base, netbox)
    netbox.kind = "nautobot"
    with pytest.raises(SourceAnswerInvalid, match="no NetBox"):
        run(world)
