"""Nautobot 2.x and 3.x: UUIDs, related objects nested by `depth`, statuses as objects, namespaces as address domains.

It has no ranges of addresses and no S-VLANs. `?depth=1` nests what a related object is called.
"""

from __future__ import annotations

from inventory.sources.dialect import Dialect

_COMMON = {"id": "id", "tags": "tags.*.name", "fields": "custom_fields"}
_STATUS = {"status": "status.name", "role": "role.name"}

NAUTOBOT = Dialect(
    name="nautobot",
    label="Nautobot",
    version="nautobot-version",
    token={"": "Token"},
    paths={
        "prefix": "ipam/prefixes/",
        "address": "ipam/ip-addresses/",
        "vlanGroup": "ipam/vlan-groups/",
        "vlan": "ipam/vlans/",
        "device": "dcim/devices/",
        "interface": "dcim/interfaces/",
    },
    parameters={
        "within": "within",
        "withinOrEqual": "within_include",
        "inside": "prefix",
        "domain": "namespace",
        "group": "vlan_group",
        "device": "device",
        "address": "address",
        "vid": "vid",
    },
    always={"depth": "1"},
    assignments=("ipam/ip-address-to-interface/", "ip_address"),
    read={
        "prefix": {
            **_COMMON,
            **_STATUS,
            "prefix": "prefix",
            "domain": "namespace.name",
            "domain_id": "namespace.id",
            "kind": "type.value",
            # 3.0 leaves locations out of lists unless asked for
            "site": "locations.0.name|location.name",
            "description": "description",
        },
        "address": {
            **_COMMON,
            **_STATUS,
            "address": "address",
            "holder": "dns_name|description",
            "description": "description",
        },
        "vlanGroup": {
            **_COMMON,
            "name": "name",
            "ranges": "range",
            "site": "location.name",
        },
        "vlan": {
            **_COMMON,
            **_STATUS,
            "vid": "vid",
            "name": "name",
            "group_id": "vlan_group.id",
            "holder": "name|description",
            "description": "description",
        },
        "device": {
            **_COMMON,
            **_STATUS,
            "name": "name",
            "platform": "platform.network_driver|platform.name",
            "site": "location.name",
            "address": "primary_ip4.address|primary_ip6.address",
        },
        "interface": {"id": "id", "name": "name", "type": "type.value"},
    },
    write={
        "address": {"text": "address", "domain": "namespace"},
        "prefix": {"text": "prefix", "domain": "namespace"},
        "vlan": {"vid": "vid", "group": "vlan_group", "name": "name"},
    },
    constant={"address": {"type": "host"}, "prefix": {"type": "network"}},
    status={
        "active": {"name": "Active"},
        "reserved": {"name": "Reserved"},
        "deprecated": {"name": "Deprecated"},
    },
)
