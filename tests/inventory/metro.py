"""A small metro network as an import: two OLTs, a router, a BNG, places behind splitters, ONTs in stock."""

from __future__ import annotations

from inventory.devices import TopologyImport, TopologyNode


def access(host: str, protocol: str = "netconf", port: int = 8830) -> tuple[dict[str, object], ...]:
    return ({"protocol": protocol, "host": host, "port": port, "username": "admin"},)


NODES = (
    TopologyNode(
        "olt-east-07",
        "olt",
        "bbf-olt",
        "127.0.64.1",
        access("127.0.64.1"),
        {"sim-pon-type": "gpon", "sim-pon-ports": "4"},
    ),
    TopologyNode(
        "olt-west-02",
        "olt",
        "bbf-olt",
        "127.0.64.2",
        access("127.0.64.2"),
        {"sim-pon-type": "xgs-pon", "sim-pon-ports": "4"},
    ),
    TopologyNode(
        "bng-1",
        "bng",
        "generic-bng",
        "127.0.64.3",
        access("127.0.64.3"),
        {
            "pool-ipv4": "100.64.0.0/20",
            "pool-ipv4-static": "203.0.113.0/24",
            "pool-ipv6": "2001:db8:4000::/40",
            "pool-s-vlan": "1001-1999",
            "vrf": "internet",
        },
    ),
    TopologyNode("agg-1", "router", "eos", "127.0.64.4", access("127.0.64.4", "eapi", 8443)),
    TopologyNode("acs-1", "acs", "acs", "127.0.64.5", access("127.0.64.5", "rest", 8443)),
    TopologyNode("logistics", "external"),
    *(
        TopologyNode(
            f"ont-{n}",
            "ont",
            labels={
                "sim-serial": f"HWTC1A2B3C0{n}",
                "sim-device-model": "HG8245H" if n < 5 else "HG8245X6",
                "stock": "metro-warehouse",
            },
        )
        for n in range(1, 7)
    ),
    TopologyNode("split-e1", "splitter", labels={"split-ratio": "1:32"}),
    TopologyNode("split-e2", "splitter", labels={"split-ratio": "1:32"}),
    TopologyNode("split-w1", "splitter", labels={"split-ratio": "1:32"}),
    TopologyNode("place-12-acacia-ave", "place", labels={"place-id": "PL-1001"}),
    TopologyNode("place-7-birch-rd", "place", labels={"place-id": "PL-1002"}),
    TopologyNode("place-3-cedar-ct", "place", labels={"place-id": "PL-1003"}),
    TopologyNode("place-99-dale-farm", "place", labels={"place-id": "PL-1099"}),
)
LINKS = (
    ("agg-1", "Ethernet1", "olt-east-07", "uplink-1"),
    ("olt-west-02", "uplink-1", "agg-1", "Ethernet2"),
    ("agg-1", "Ethernet10", "bng-1", "access-1"),
    ("split-e1", "in", "olt-east-07", "pon1"),
    ("olt-east-07", "pon2", "split-e2", "in"),
    ("split-w1", "in", "olt-west-02", "pon1"),
    ("split-e1", "out1", "place-12-acacia-ave", "fibre1"),
    ("split-e2", "out1", "place-12-acacia-ave", "fibre2"),
    ("place-7-birch-rd", "fibre1", "split-e2", "out2"),
    ("place-3-cedar-ct", "fibre1", "split-e1", "out2"),
    ("place-3-cedar-ct", "fibre2", "split-w1", "out1"),
)
METRO = TopologyImport("metro", NODES, LINKS, host_key="ssh-ed25519 AAAA", ca_path="/ca.pem")
