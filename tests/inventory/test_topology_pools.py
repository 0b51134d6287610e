"""Pools that a topology's labels make: with what is excluded from them and what is reserved in them."""

from __future__ import annotations

import pytest

from inventory import pools
from inventory.devices import TopologyImport, TopologyNode, import_topology
from inventory.errors import InvalidPrefix, InvalidRange, TopologyConflict
from store import Database

ACCESS = ({"protocol": "netconf", "host": "127.0.0.1", "port": 1, "username": "x"},)


def topology(**labels: str) -> TopologyImport:
    given = {name.replace("_", "-"): text for name, text in labels.items()}
    return TopologyImport(
        "t", (TopologyNode("bng-1", "bng", "generic-bng", "127.0.0.1", ACCESS, given),)
    )


def test_labels_exclude_and_reserve(base: Database) -> None:
    wanted = topology(
        pool_ipv4="10.0.0.0/24",
        pool_ipv4_exclude="10.0.0.2-10.0.0.9, 10.0.0.128/25",
        pool_ipv4_bands="static=10.0.0.64/28, voice = 10.0.0.100",
        pool_ipv6="2001:db8::/48",
        pool_ipv6_exclude="2001:db8::/56",
        pool_s_vlan="100-199",
        pool_s_vlan_bands="wholesale=190-199",
        vrf="internet",
    )
    with base.write() as tx:
        import_topology(tx, wanted)
        assert import_topology(tx, wanted).created == 0
        made = pools.pool(tx, "ipv4@bng-1")
        assert {band.name: band.capacity for band in made.bands} == {"static": 16, "voice": 1}
        assert made.capacity == 118
        assert made.domain == "internet"
        assert pools.pool(tx, "ipv6-prefix@bng-1").capacity == 255
        assert pools.pool(tx, "s-vlan@bng-1").bands[0].free == 10


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ({"pool_ipv4_bands": "static"}, TopologyConflict),
        ({"pool_ipv4_bands": "=10.0.0.9"}, TopologyConflict),
        ({"pool_ipv4_bands": "static=10.9.0.0/24"}, InvalidRange),
        ({"pool_ipv4_exclude": "ten"}, InvalidRange),
        ({"pool_ipv4": "10.0.0.1/24"}, InvalidPrefix),
    ],
)
def test_labels_that_cannot_be(
    base: Database, labels: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error), base.write() as tx:
        import_topology(tx, topology(**{"pool_ipv4": "10.0.0.0/24"} | labels))
    with base.read() as rx:
        assert pools.pools(rx) == []
