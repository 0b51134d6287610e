"""NetBox 4.x: integer ids, brief nested objects, choices as {value, label}, VRFs as address domains."""

from __future__ import annotations

from inventory.sources.dialect import Dialect

_COMMON = {"id": "id", "tags": "tags.*.slug", "fields": "custom_fields"}
_SPACE = {"domain": "vrf.name", "domain_id": "vrf.id", "status": "status.value"}
_HOLDER = "assigned_object.device.name|assigned_object.display|dns_name|description"

NETBOX = Dialect(
    name="netbox",
    label="NetBox",
    version="netbox-version",
    # "nbt_" begins the tokens of version 2 (NetBox 4.5)
    token={"nbt_": "Bearer", "": "Token"},
    paths={
        "prefix": "ipam/prefixes/",
        "range": "ipam/ip-ranges/",
        "address": "ipam/ip-addresses/",
        "vlanGroup": "ipam/vlan-groups/",
        "vlan": "ipam/vlans/",
        "device": "dcim/devices/",
        "interface": "dcim/interfaces/",
    },
    parameters={
        "within": "within",
        "withinOrEqual": "within_include",
        "inside": "parent",
        "domain": "vrf_id",
        "group": "group_id",
        "device": "device_id",
        "address": "address",
        "vid": "vid",
    },
    customers={"qinq_role": "cvlan"},
    no_domain="null",
    read={
        # 4.2 put `scope` in place of a prefix's `site`
        "prefix": {
            **_COMMON,
            **_SPACE,
            "prefix": "prefix",
            "kind": "status.value",
            "role": "role.slug",
            "site": "scope.slug|site.slug|scope.name",
            "description": "description",
        },
        "range": {
            **_COMMON,
            **_SPACE,
            "first": "start_address",
            "last": "end_address",
            "role": "role.slug",
        },
        "address": {
            **_COMMON,
            **_SPACE,
            "address": "address",
            "role": "role.value",
            "holder": _HOLDER,
            "assigned": "assigned_object_id",
            "description": "description",
        },
        "vlanGroup": {
            **_COMMON,
            "name": "slug|name",
            "ranges": "vid_ranges",
            "site": "scope.slug|scope.name",
        },
        "vlan": {
            **_COMMON,
            "vid": "vid",
            "name": "name",
            "status": "status.value",
            "role": "role.slug",
            "group_id": "group.id",
            "svlan": "qinq_svlan.vid",
            "svlan_id": "qinq_svlan.id",
            "holder": "name|description",
            "description": "description",
        },
        "device": {
            **_COMMON,
            "name": "name",
            "platform": "platform.slug",
            "role": "role.slug",
            "site": "site.slug",
            "status": "status.value",
            "address": "primary_ip.address|primary_ip4.address|primary_ip6.address",
        },
        "interface": {"id": "id", "name": "name", "type": "type.value"},
    },
    write={
        "address": {"text": "address", "domain": "vrf"},
        "prefix": {"text": "prefix", "domain": "vrf"},
        "vlan": {"vid": "vid", "group": "group", "name": "name"},
    },
    status={"active": "active", "reserved": "reserved", "deprecated": "deprecated"},
)
