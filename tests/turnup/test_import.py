"""`turnup device import`: a lab, its topology, a Nornir inventory, CSV, and what our own commands print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import api as lab
from tests.e2e.conftest import METRO, Server
from tests.turnup.conftest import Run
from turnup.devicefile import import_body, read_devices
from turnup.errors import DeviceFileInvalid

Json = dict[str, Any]
METRO_DEVICES = ["acs-1", "agg-1", "bng-1", "olt-east-07", "olt-west-02", "wifi-1"]


def _devices(turnup: Run) -> dict[str, Json]:
    return {one["name"]: one for one in turnup("device", "list", "--output", "json").json}


@pytest.fixture
def emptied(turnup: Run, server: Server) -> Iterator[Run]:
    """A server whose registry has forgotten the lab."""
    for name in _devices(turnup):
        assert server.http.delete(f"/turnup/v1/devices/{name}").status_code == 204
    return turnup  # type: ignore[return-value]


def test_a_running_lab_or_its_topology(emptied: Run) -> None:
    first = emptied("device", "import", "metro", "--output", "json").json
    assert sorted(first["devices"]) == METRO_DEVICES
    assert first["known"] == []
    assert first["links"] == 11
    for source in ("metro.clab.yml", str(METRO)):
        again = emptied("device", "import", source, "--output", "json").json
        assert sorted(again["known"]) == METRO_DEVICES
        assert again["devices"] == []
    assert "KNOWN" in emptied("device", "import", "metro").lines[0]
    Path("other.clab.yml").write_text("name: other\ntopology: {nodes: {}}\n")
    assert "turnup lab up" in emptied("device", "import", "other.clab.yml").refused("LAB_NOT_FOUND")


def test_the_inventory_file_of_a_lab(emptied: Run, server: Server) -> None:
    file = server.state_dir / "labs" / "metro" / "nornir-simple-inventory.yml"
    found = emptied("device", "import", str(file), "--credential", "lab:admin", "--output", "json")
    assert sorted(found.json["devices"]) == METRO_DEVICES
    assert "admin" not in found.out
    devices = _devices(emptied)
    spoken = {name: one["endpoints"][0]["protocol"] for name, one in devices.items()}
    assert spoken["agg-1"] == "eapi"
    assert spoken["bng-1"] == spoken["olt-east-07"] == "netconf"
    assert spoken["acs-1"] == "rest"
    assert {one["credentialRef"] for one in devices.values()} == {"lab:admin"}


def test_what_our_own_commands_print(emptied: Run, server: Server) -> None:
    Path("inspect.json").write_text(emptied("lab", "inspect", "--output", "json").out)
    emptied("device", "import", "inspect.json", "--credential", "lab:admin")
    before = _devices(emptied)
    assert sorted(before) == METRO_DEVICES
    Path("list.json").write_text(emptied("device", "list", "--output", "json").out)
    for name in before:
        server.http.delete(f"/turnup/v1/devices/{name}")
    assert emptied("device", "import", "list.json").code == 0
    assert _devices(emptied) == before


def test_a_device_from_csv_answers(emptied: Run, server: Server) -> None:
    node = server.running.node("bng-1")
    key = server.running.host_key
    Path("devices.csv").write_text(
        "name;platform;role;host;protocol;port;username;credential_ref;host_key;floor\n"
        f"bng-1;generic-bng;bng;{node.host};netconf;8830;admin;lab:admin;{key};2\n"
    )
    assert emptied("device", "import", "devices.csv").code == 0
    assert _devices(emptied)["bng-1"]["labels"] == {"floor": "2"}
    assert "turnup-bng" in emptied("device", "config", "bng-1", "--view", "running").out
    assert emptied("device", "audit").code == 0


def test_what_is_known_stays(turnup: Run, server: Server) -> None:
    before = _devices(turnup)
    Path("d.csv").write_text(
        "name,platform,role,host\nbng-1,eos,router,10.0.0.1\nnew-1,eos,router,127.0.0.1\n"
    )
    shown = turnup("device", "import", "d.csv", "--output", "json").json
    assert (shown["devices"], shown["known"]) == (["new-1"], ["bng-1"])
    after = _devices(turnup)
    assert after.pop("new-1")["endpoints"][0] == {
        "protocol": "eapi",
        "host": "127.0.0.1",
        "port": 443,
        "username": "admin",
    }
    assert after == before
    for body in ({}, {"source": "metro", "devices": []}):
        answer = server.http.post("/turnup/v1/devices/import", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_INPUT")


# -- the files themselves -------------------------------------------------------------------------------


def test_csv(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text(
        "\ufeffname, platform, role, host, protocol, port, site, password\n"
        "r1, eos, router, 10.0.0.1, eapi, , core, hunter2\n"
        "\n"
        "r1, eos, router, 10.0.0.1, ssh, 2222, core, hunter2\n"
        "o1, bbf-olt, olt, 10.0.0.2, , , ,\n",
        encoding="utf-8",
    )
    router, olt = read_devices(file, "env:PW")
    assert router["site"] == "core"
    assert [(e["protocol"], e["port"]) for e in router["endpoints"]] == [
        ("eapi", 443),
        ("ssh", 2222),
    ]
    assert router["labels"] == {}
    assert "hunter2" not in str(router)
    assert router["credentialRef"] == "env:PW"
    assert olt["endpoints"] == [
        {"protocol": "netconf", "host": "10.0.0.2", "port": 830, "username": "admin"}
    ]


def test_nornir_hosts_inherit_from_groups_and_defaults(tmp_path: Path) -> None:
    hosts = {
        "r1": {"hostname": "10.0.0.1", "groups": ["edge"], "data": {"rack": 7}},
        "o1": {
            "hostname": "10.0.0.2",
            "platform": "bbf-olt",
            "port": 8830,
            "password": "hunter2",
            "data": {"role": "olt", "site": "east"},
            "connection_options": {"turnup": {"extras": {"credential_ref": "env:OLT"}}},
        },
    }
    groups = {"edge": {"groups": ["core"], "port": 443}, "core": {"platform": "eos", "port": 1}}
    (tmp_path / "hosts.yaml").write_text(yaml.safe_dump(hosts, sort_keys=False))
    (tmp_path / "groups.yaml").write_text(yaml.safe_dump(groups))
    (tmp_path / "defaults.yaml").write_text("username: netops\ndata: {country: nl}\n")
    router, olt = read_devices(tmp_path / "hosts.yaml")
    assert (router["platform"], router["role"]) == ("eos", "edge")
    assert router["endpoints"] == [
        {"protocol": "eapi", "host": "10.0.0.1", "port": 443, "username": "netops"}
    ]
    assert router["labels"] == {"rack": "7", "country": "nl"}
    assert (olt["role"], olt["site"], olt["credentialRef"]) == ("olt", "east", "env:OLT")
    assert "hunter2" not in str(olt)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("d.csv", "name,platform\n", "role, host"),
        ("d.csv", "", "name, platform, role, host"),
        ("d.csv", "name,platform,role,host\n", "no device"),
        ("d.csv", "name,platform,role,host\nr1,eos,router\n", "line 2 has no host"),
        ("d.csv", "name,platform,role,host\nr1,eos,router,h,x\n", "line 2 has more"),
        ("d.csv", "name,platform,role,host,port\nr1,eos,router,h,x\n", "port x is no number"),
        (
            "d.csv",
            "name,platform,role,host,protocol\nr1,eos,router,h,telnet\n",
            "telnet is none of",
        ),
        ("d.yml", "a: [", "no YAML"),
        ("d.yml", "3", "no list of devices"),
        ("d.yml", "[1]", "entry 1 is no device"),
        ("d.yml", "- name: r1", "entry 1 has no platform, role, host"),
        ("d.yml", "r1: {hostname: h}", "host r1 has no platform, role"),
        ("d.json", "{}", "no list of devices"),
        ("d.json", "[]", "no device"),
    ],
)
def test_a_wrong_file_names_the_place(tmp_path: Path, name: str, content: str, says: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(DeviceFileInvalid, match=says):
        read_devices(file)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeviceFileInvalid, match="cannot be read"):
        read_devices(file)


def test_a_name_is_a_lab_and_a_missing_file_is_not(run: Run) -> None:
    assert import_body("metro") == {"source": "metro"}
    for absent in ("absent.csv", "some/folder"):
        run("device", "import", absent).refused("NOT_FOUND")


def test_a_topology_names_its_lab(tmp_path: Path) -> None:
    file = tmp_path / "another-name.yml"
    file.write_text(METRO.read_text().replace("name: metro", "name: here"))
    assert import_body(str(file)) == {"source": "here"}
    assert lab.connect("here", tmp_path) is None
