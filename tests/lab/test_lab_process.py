"""The lab as a process of its own: up, found, broken, down, killed, and up again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nornir.plugins.inventory import SimpleInventory

from lab import api, state
from lab.api import LabInfo
from lab.embedded import addresses, device
from lab.errors import LabError
from tests.lab.test_topology import METRO

PAIR = """
name: pair
topology:
  nodes:
    olt-1: {labels: {sim-role: olt, sim-model: bbf-olt}}
    acs-1: {labels: {sim-role: acs, sim-model: acs}}
    ont-1: {labels: {sim-role: ont, sim-serial: HWTC00000001}}
    router-x: {kind: nokia_srlinux}
    later: {labels: {sim-role: router, sim-model: not-made-yet}}
    split: {labels: {sim-role: splitter, split-ratio: "1:32"}}
    split-2: {labels: {sim-role: splitter, split-ratio: "1:2"}}
    home: {labels: {sim-role: place, place-id: PL-1}}
    far: {labels: {sim-role: place}}
  links:
    - endpoints: ["olt-1:pon1", "split:in"]
    - endpoints: ["split:out1", "split-2:in"]
    - endpoints: ["split-2:out1", "home:fibre"]
"""


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    file = tmp_path / "pair.clab.yml"
    file.write_text(PAIR)
    return file


@pytest.fixture
def up(tmp_path: Path, pair: Path) -> Iterator[Callable[..., LabInfo]]:
    """Return `api.up` of the pair; whatever is up at the end is taken down."""
    state_dir = tmp_path / "state"

    def bring_up(**options: bool) -> LabInfo:
        return api.up(pair, state_dir, owner_pid=os.getpid(), **options)

    yield bring_up
    for name in state.lab_names(state_dir):
        api.down(name, state_dir)


@pytest.fixture(scope="module")
def lab_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabInfo, Path]]:
    directory = tmp_path_factory.mktemp("pair")
    file = directory / "pair.clab.yml"
    file.write_text(PAIR)
    yield api.up(file, directory, owner_pid=os.getpid()), directory
    api.down("pair", directory)


def answers(info: LabInfo, node: str) -> bool:
    access = info.node(node).access[0]
    try:
        socket.create_connection((access.host, access.port), timeout=2).close()
    except OSError:
        return False
    return True


def ended(pid: int, limit: float = 5.0) -> bool:
    """Wait for the end of a process that is not our child (or is a zombie of ours)."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def pid_of(info: LabInfo) -> int:
    lab = state.read_json(info.state_dir / "lab.json")
    assert lab
    return int(lab["pid"])


def test_up_is_up_and_the_second_up_finds_it(up: Callable[..., LabInfo], tmp_path: Path) -> None:
    first = up()
    assert first.started
    assert answers(first, "olt-1")
    again = up()
    assert not again.started
    assert again.instance_id == first.instance_id
    found = api.connect("pair", tmp_path / "state")
    assert found == again
    api.down("pair", tmp_path / "state")
    assert api.connect("pair", tmp_path / "state") is None
    assert not answers(first, "olt-1")


def test_what_is_shown(lab_pair: tuple[LabInfo, Path], tmp_path: Path) -> None:
    info, where = lab_pair
    shown = {node["name"]: node for node in api.inspect("pair", where)["pair"]}
    assert shown["olt-1"]["lab_name"] == "pair"
    assert shown["olt-1"]["state"] == "running"
    host = info.node("olt-1").host
    assert shown["olt-1"]["ipv4_address"] == f"{host}/8"
    assert shown["olt-1"]["access"] == [
        {"protocol": "netconf", "host": host, "port": 8830, "username": "admin"}
    ]
    states = {name: node["state"] for name, node in shown.items()}
    assert states == {
        "olt-1": "running", "acs-1": "running", "ont-1": "unplugged", "router-x": "external",
        "later": "external", "split": "passive", "split-2": "passive", "home": "passive", "far": "passive",
    }  # fmt: skip
    assert (info.links[0].a, info.links[0].a_port, info.links[0].b) == ("olt-1", "pon1", "split")
    assert api.inspect(None, tmp_path / "nothing") == {}


def test_nornir_reads_the_inventory(lab_pair: tuple[LabInfo, Path]) -> None:
    info = lab_pair[0]
    inventory = SimpleInventory(
        host_file=str(info.state_dir / "nornir-simple-inventory.yml")
    ).load()
    assert set(inventory.hosts) == {"olt-1", "acs-1"}
    olt = inventory.hosts["olt-1"]
    assert (olt.hostname, olt.port, olt.platform) == (info.node("olt-1").host, 8830, "bbf-olt")


def test_certificates_verify_against_the_ca_of_the_lab(lab_pair: tuple[LabInfo, Path]) -> None:
    info = lab_pair[0]
    access = info.node("acs-1").access[0]
    context = ssl.create_default_context(cafile=str(info.ca_path))
    with (
        socket.create_connection((access.host, access.port)) as raw,
        context.wrap_socket(raw, server_hostname=access.host) as secure,
    ):
        assert secure.version() == "TLSv1.3"


def test_keys_and_addresses_stay_over_a_power_cut(
    up: Callable[..., LabInfo], tmp_path: Path
) -> None:
    first = up()
    api.down(None, tmp_path / "state")
    second = up()
    assert second.instance_id != first.instance_id
    assert second.host_key == first.host_key
    assert second.node("olt-1").host == first.node("olt-1").host


def test_two_labs_have_addresses_of_their_own(up: Callable[..., LabInfo], tmp_path: Path) -> None:
    one = up()
    two = api.up(METRO, tmp_path / "state", owner_pid=os.getpid())
    hosts = [node.host for info in (one, two) for node in info.nodes if node.host]
    assert len(set(hosts)) == len(hosts) == 8
    with pytest.raises(LabError, match="say which") as caught:
        api.faults(None, tmp_path / "state")
    assert caught.value.code == "LAB_NOT_FOUND"
    assert set(api.inspect(None, tmp_path / "state")) == {"pair", "metro"}


def test_a_killed_lab_is_seen_as_dead_and_comes_up_again(
    up: Callable[..., LabInfo], tmp_path: Path
) -> None:
    first = up()
    startup = first.state_dir / "nodes/olt-1/startup.xml"
    startup.write_text(startup.read_text().replace("uplink-1", "uplink-9"))
    os.kill(pid_of(first), signal.SIGKILL)
    assert ended(pid_of(first))
    assert api.connect("pair", tmp_path / "state") is None
    with pytest.raises(LabError) as caught:
        api.faults("pair", tmp_path / "state")
    assert caught.value.code == "LAB_UNREACHABLE"
    second = up()
    assert second.started
    assert "uplink-9" in startup.read_text()


def test_reconfigure_forgets_what_was_saved(up: Callable[..., LabInfo]) -> None:
    first = up()
    startup = first.state_dir / "nodes/olt-1/startup.xml"
    original, pid = startup.read_text(), pid_of(first)
    startup.write_text(original.replace("uplink-1", "uplink-9"))
    second = up(reconfigure=True)
    assert second.started
    assert startup.read_text() == original
    assert ended(pid)


def test_another_topology_of_the_same_name_is_refused(
    up: Callable[..., LabInfo], pair: Path
) -> None:
    up()
    pair.write_text(PAIR.replace("ont-1", "ont-2"))
    with pytest.raises(LabError) as caught:
        up()
    assert caught.value.code == "LAB_RUNNING"
    assert "--reconfigure" in caught.value.message
    assert up(reconfigure=True).node("ont-2")


def test_two_at_once_bring_up_one(up: Callable[..., LabInfo]) -> None:
    found: list[LabInfo] = []
    threads = [threading.Thread(target=lambda: found.append(up())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(info.started for info in found) == [False, False, True]
    assert len({info.instance_id for info in found}) == 1


def test_a_node_that_cannot_start_fails_the_lab_and_leaves_nothing(
    up: Callable[..., LabInfo], tmp_path: Path
) -> None:
    first = up()
    api.down("pair", tmp_path / "state")
    (first.state_dir / "nodes/olt-1/startup.xml").write_text("<config")
    with pytest.raises(LabError, match="olt-1") as caught:
        up()
    assert caught.value.code == "LAB_START_FAILED"
    assert api.connect("pair", tmp_path / "state") is None
    shutil.rmtree(first.state_dir / "nodes")
    assert up().started


def test_the_lab_ends_with_its_owner(pair: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from lab import api; "
        f"api.up(Path({str(pair)!r}), Path({str(tmp_path)!r}), owner_pid=os.getpid()); "
        "print('up', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert owner.stdout
    assert owner.stdout.readline() == b"up\n"
    info = api.connect("pair", tmp_path)
    assert info
    pid = pid_of(info)
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert ended(pid)
    assert api.connect("pair", tmp_path) is None
    assert not answers(info, "olt-1")


def test_the_lab_outlives_who_started_it(pair: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from lab import api; "
        f"print(api.up(Path({str(pair)!r}), Path({str(tmp_path)!r})).started)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    try:
        info = api.connect("pair", tmp_path)
        assert info
        assert answers(info, "olt-1")
    finally:
        api.down("pair", tmp_path)


def test_only_the_token_opens_the_control_port(lab_pair: tuple[LabInfo, Path]) -> None:
    info = lab_pair[0]
    assert (info.state_dir / "lab.json").stat().st_mode & 0o077 == 0
    with socket.create_connection(("127.0.0.1", info.control_port)) as control:
        control.sendall(b'{"token": "guess", "call": "stop"}\nnonsense\n')
        stream = control.makefile("rb")
        assert b"LAB_UNREACHABLE" in stream.readline()
        assert b"LAB_UNREACHABLE" in stream.readline()
        stream.close()
    assert answers(info, "olt-1")


def test_faults_are_armed_listed_and_cleared(lab_pair: tuple[LabInfo, Path]) -> None:
    info, where = lab_pair
    api.fault("pair", "olt-1", "drop", {"rpc": "3", "when": "after"}, where)
    api.fault(None, "acs-1", "down", None, where)
    assert api.faults("pair", where) == [
        {"node": "olt-1", "fault": "drop", "params": {"rpc": 3, "when": "after"}},
        {"node": "acs-1", "fault": "down", "params": {}},
    ]
    assert not answers(info, "acs-1")
    api.clear_faults("pair", "acs-1", where)
    assert answers(info, "acs-1")
    api.clear_faults("pair", None, where)
    assert api.faults("pair", where) == []


@pytest.mark.parametrize(
    ("node", "fault", "params", "code"),
    [
        ("nobody", "down", {}, "NODE_UNKNOWN"),
        ("router-x", "down", {}, "NODE_NOT_SIMULATED"),
        ("olt-1", "explode", {}, "FAULT_UNKNOWN"),
        ("olt-1", "latency", {}, "FAULT_PARAMETER"),
        ("olt-1", "latency", {"ms": "soon"}, "FAULT_PARAMETER"),
        ("olt-1", "latency", {"ms": "-1"}, "FAULT_PARAMETER"),
        ("olt-1", "down", {"ms": "1"}, "FAULT_PARAMETER"),
        ("olt-1", "drop", {"rpc": "1", "when": "never"}, "FAULT_PARAMETER"),
    ],
)
def test_wrong_faults_are_told(
    lab_pair: tuple[LabInfo, Path], node: str, fault: str, params: dict[str, str], code: str
) -> None:
    with pytest.raises(LabError) as caught:
        api.fault("pair", node, fault, params, lab_pair[1])
    assert caught.value.code == code
    assert api.faults("pair", lab_pair[1]) == []


def test_an_ont_is_plugged_where_the_fibre_leads(lab_pair: tuple[LabInfo, Path]) -> None:
    where = lab_pair[1]
    for place in ("home", "PL-1", "split", "split-2"):
        assert api.plug("pair", "ont-1", place, where) == {"olt": "olt-1", "port": "pon1"}
    api.unplug("pair", "ont-1", where)


@pytest.mark.parametrize(
    ("node", "place", "code"),
    [
        ("ont-1", None, "NODE_NOT_PLUGGABLE"),
        ("ont-1", "far", "NODE_NOT_PLUGGABLE"),
        ("ont-1", "nowhere", "NODE_UNKNOWN"),
        ("olt-1", "home", "NODE_NOT_PLUGGABLE"),
    ],
)
def test_an_ont_is_not_plugged_where_no_fibre_is(
    lab_pair: tuple[LabInfo, Path], node: str, place: str | None, code: str
) -> None:
    with pytest.raises(LabError) as caught:
        api.plug("pair", node, place, lab_pair[1])
    assert caught.value.code == code


def test_no_lab(tmp_path: Path) -> None:
    for call in (
        lambda: api.down("x", tmp_path),
        lambda: api.down(None, tmp_path),
        lambda: api.inspect("x", tmp_path),
    ):
        with pytest.raises(LabError) as caught:
            call()
        assert caught.value.code == "LAB_NOT_FOUND"


def test_one_address_serves_many_nodes_by_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where only 127.0.0.1 is there."""
    monkeypatch.setattr(addresses, "_whole_loopback", lambda: False)
    one, two = addresses.claim(None), addresses.claim(None)
    try:
        assert one.number != two.number
        host, ports = one.node(3)
        assert host == "127.0.0.1"
        assert ports.netconf > 1024
        used = {
            port
            for block in (one, two)
            for index in range(10)
            for port in vars_of(block.node(index)[1])
        }
        assert len(used) == 60
    finally:
        one.guard.close()
        two.guard.close()


def vars_of(ports: device.Ports) -> tuple[int, int, int]:
    return ports.netconf, ports.ssh, ports.https
