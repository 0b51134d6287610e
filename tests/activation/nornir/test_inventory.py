"""The inventory plug-in: device lists in every form that people have them in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from activation.nornir_plugins.connection import NAME
from activation.nornir_plugins.inventory import InventoryFileInvalid, TurnupInventory

NETCONF = {"protocol": "netconf", "host": "127.9.0.1", "port": 8830, "username": "admin"}
SSH = {"protocol": "ssh", "host": "127.9.0.1", "port": 8022, "username": "admin"}
OLT: dict[str, Any] = {
    "name": "olt-1",
    "platform": "bbf-olt",
    "role": "olt",
    "host": "127.9.0.1",
    "endpoints": [SSH, NETCONF],
    "labels": {"pon": "gpon"},
}


@dataclass(frozen=True)
class AsObject:
    name: str = "olt-1"
    platform: str = "bbf-olt"
    role: str = "olt"
    host: str = "127.9.0.1"
    endpoints: tuple[Any, ...] = (SSH, NETCONF)
    labels: dict[str, str] = field(default_factory=lambda: {"pon": "gpon"})
    host_key: str = "ssh-ed25519 AAAA"
    credential_ref: str = "env:OLT"


@pytest.mark.parametrize("device", [OLT, AsObject()])
def test_host_of_a_device(device: Any) -> None:
    host = TurnupInventory([device]).load().hosts["olt-1"]
    assert host.hostname == "127.9.0.1"
    assert host.platform == "bbf-olt"
    assert (host.port, host.username) == (8830, "admin")
    assert host["pon"] == "gpon"
    assert host["role"] == "olt"
    assert host.has_parent_group("olt")
    assert host.has_parent_group("bbf-olt")


def test_connection_options() -> None:
    inventory = TurnupInventory([AsObject()], extras={"timeout_s": 3}).load()
    parameters = inventory.hosts["olt-1"].get_connection_parameters(NAME)
    assert (parameters.hostname, parameters.port) == ("127.9.0.1", 8830)
    assert parameters.extras == {
        "device": "olt-1",
        "protocol": "netconf",
        "host_key": "ssh-ed25519 AAAA",
        "credential_ref": "env:OLT",
        "timeout_s": 3,
    }


def test_device_that_no_driver_speaks_to_is_a_host_all_the_same() -> None:
    host = TurnupInventory([{**OLT, "endpoints": [SSH]}]).load().hosts["olt-1"]
    assert NAME not in host.connection_options


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([OLT]),
        json.dumps({"devices": [OLT]}),
        json.dumps({"lab-1": [OLT], "lab-2": []}),
        json.dumps({"lab-1": [{**OLT, "endpoints": None, "access": [NETCONF]}]}),
        json.dumps(OLT),
        json.dumps([{**OLT, "hostKey": "k", "adminState": "managed"}]),
    ],
)
def test_device_list_files(tmp_path: Path, content: str) -> None:
    file = tmp_path / "devices.json"
    file.write_text(content)
    host = TurnupInventory(file=str(file)).load().hosts["olt-1"]
    assert host.connection_options[NAME].port == 8830


def test_api_names_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "devices.json"
    file.write_text(json.dumps([{**OLT, "hostKey": "k", "credentialRef": "env:X"}]))
    extras = TurnupInventory(file=str(file)).load().hosts["olt-1"].connection_options[NAME].extras
    assert extras is not None
    assert (extras["host_key"], extras["credential_ref"]) == ("k", "env:X")


SIMPLE = """
olt-1:
  hostname: 127.9.0.1
  port: 8830
  username: admin
  platform: bbf-olt
  data: {host_key: k, role: olt, labels: {pon: gpon}}
agg-1:
  hostname: 127.9.0.2
  port: 8443
  data: {protocol: eapi, ca_path: /ca.pem}
acs-1:
  hostname: 127.9.0.3
  port: 8443
ont-1:
  platform: linux
  hostname: 172.31.40.11
  username: ""
"""


def test_simple_inventory_of_a_lab(tmp_path: Path) -> None:
    file = tmp_path / "nornir-simple-inventory.yml"
    file.write_text(SIMPLE)
    inventory = TurnupInventory(file=str(file), username="u", password="p").load()
    olt = inventory.hosts["olt-1"]
    assert olt.get_connection_parameters(NAME).port == 8830
    assert olt.get_connection_parameters(NAME).password == "p"
    assert olt.connection_options[NAME].extras == {
        "device": "olt-1",
        "protocol": "netconf",
        "host_key": "k",
    }
    agg = inventory.hosts["agg-1"].connection_options[NAME].extras
    assert agg == {"device": "agg-1", "protocol": "eapi", "ca_path": "/ca.pem"}
    for nothing_known in ("acs-1", "ont-1"):
        assert NAME not in inventory.hosts[nothing_known].connection_options


def test_trust_for_hosts_that_have_none_of_their_own() -> None:
    own, other = {**OLT, "host_key": "own"}, {**OLT, "name": "olt-2"}
    inventory = TurnupInventory([own, other], host_key="k", ca_path="/ca.pem").load()
    found = [inventory.hosts[name].connection_options[NAME].extras for name in ("olt-1", "olt-2")]
    assert [extras and extras["host_key"] for extras in found] == ["own", "k"]
    assert [extras and extras["ca_path"] for extras in found] == ["/ca.pem", "/ca.pem"]


@pytest.mark.parametrize("content", ["- 7", "[{}]", "a: [", "just text"])
def test_what_is_no_device_list(tmp_path: Path, content: str) -> None:
    file = tmp_path / "devices.yml"
    file.write_text(content)
    with pytest.raises(InventoryFileInvalid):
        TurnupInventory(file=str(file)).load()


def test_file_that_is_not_there() -> None:
    with pytest.raises(InventoryFileInvalid, match="cannot be read"):
        TurnupInventory(file="/nowhere/devices.json").load()
