"""The EOS simulator against the real napalm `eos` driver over HTTPS, certificates verified."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from lab.embedded.device import LocalLink
from lab.embedded.eos.router import EosRouter
from lab.embedded.rest.bench import Bench, Node

LINKS = (
    LocalLink("Ethernet1", "olt-east-07", "uplink-1"),
    LocalLink("Ethernet10", "bng-1", "access-1"),
)
CHANGE = """\
vlan 1001
   name SV1001
interface Ethernet1
   switchport trunk allowed vlan add 1001
interface Ethernet10
   switchport trunk allowed vlan add 1001
ip route 203.0.113.7/32 198.51.100.1 name line-7
"""

DIFF = """\
@@ -3,12 +3,15 @@
 !
 spanning-tree mode mstp
 !
+vlan 1001
+   name SV1001
+!
 interface Ethernet1
-   switchport trunk allowed vlan none
+   switchport trunk allowed vlan 1001
    switchport mode trunk
 !
 interface Ethernet10
-   switchport trunk allowed vlan none
+   switchport trunk allowed vlan 1001
    switchport mode trunk
 !
 interface Management1
@@ -17,6 +20,8 @@
 !
 ip routing
 !
+ip route 203.0.113.7/32 198.51.100.1 name line-7
+!
 management api http-commands
    no shutdown
 !"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


@pytest.fixture(params=["4.33.1F", "4.30.2F"])
def box(bench: Bench, request: pytest.FixtureRequest) -> Node:
    return bench.start("agg-1", "eos", labels={"sim-eos-version": request.param}, links=LINKS)


@pytest.fixture
def new_box(bench: Bench) -> Node:
    return bench.start("agg-1", "eos", links=LINKS)


class Connect(Protocol):
    def __call__(self, node: Node, session: str | None = None, **options: Any) -> Any: ...


@pytest.fixture
def connect(bench: Bench) -> Iterator[Connect]:
    """A napalm driver for a node. Left alone at the end: it would abort its session when collected."""
    opened: list[Any] = []

    def connect(node: Node, session: str | None = None, **options: Any) -> Any:
        from napalm.eos import EOSDriver

        context = ssl.create_default_context(cafile=bench.ca)
        extra = {"transport": "https", "port": node.port, "context": context, **options}
        eos = EOSDriver("127.0.0.1", "admin", "admin", timeout=10, optional_args=extra)
        opened.append(eos)
        eos.open()
        eos.config_session = session
        return eos

    yield connect
    for eos in opened:
        eos.config_session = None


def running(eos: Any) -> str:
    return str(eos.get_config(retrieve="running")["running"])


def state_of(node: Node) -> EosRouter:
    assert isinstance(node.simulator, EosRouter)
    return node.simulator


def test_facts(bench: Bench, connect: Connect, box: Node) -> None:
    facts = connect(box).get_facts()
    assert facts["hostname"] == facts["fqdn"] == "agg-1"
    assert facts["vendor"] == "Arista"
    assert facts["os_version"].startswith(box.context.labels["sim-eos-version"])
    assert facts["interface_list"] == ["Ethernet1", "Ethernet10", "Management1"]
    assert 0 <= facts["uptime"] < 60


def test_interfaces_are_up_where_a_cable_is(bench: Bench, connect: Connect, new_box: Node) -> None:
    eos = connect(new_box)
    assert eos.get_interfaces()["Ethernet1"]["is_up"]
    eos.load_merge_candidate(config="interface Ethernet1\nshutdown\ndescription to olt-east-07")
    eos.commit_config()
    ethernet1 = eos.get_interfaces()["Ethernet1"]
    assert (ethernet1["is_up"], ethernet1["is_enabled"]) == (False, False)
    assert ethernet1["description"] == "to olt-east-07"
    assert eos.get_interfaces_counters()["Ethernet1"]["rx_octets"] == 0


def test_ports_without_cable(bench: Bench, connect: Connect) -> None:
    node = bench.start("agg-2", "eos", labels={"sim-ports": "3"}, links=LINKS)
    interfaces = connect(node).get_interfaces()
    up = {name for name, one in interfaces.items() if one["is_up"]}
    assert set(interfaces) - up == {"Ethernet2", "Ethernet3"}


def test_a_link_whose_name_is_none_of_eos_gives_no_port(bench: Bench) -> None:
    node = bench.start("agg-3", "eos", links=[LocalLink("uplink-1", "x", "y")])
    assert state_of(node).box.identity.ports == ("Management1",)


def test_a_wrong_password_and_an_untrusted_certificate_are_refused(
    bench: Bench, connect: Connect, new_box: Node
) -> None:
    from napalm.eos import EOSDriver
    from pyeapi.eapilib import ConnectionError as EapiConnectionError

    context = ssl.create_default_context(cafile=bench.ca)
    options = {"transport": "https", "port": new_box.port, "context": context}
    with pytest.raises(EapiConnectionError, match="Unauthorized"):
        EOSDriver("127.0.0.1", "admin", "wrong", optional_args=dict(options)).open()
    options = {"transport": "https", "port": new_box.port, "enforce_verification": True}
    with pytest.raises(EapiConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        EOSDriver("127.0.0.1", "admin", "admin", optional_args=options).open()


def test_merge_compare_commit(bench: Bench, connect: Connect, box: Node) -> None:
    eos = connect(box)
    eos.load_merge_candidate(config=CHANGE)
    assert "1001" not in running(eos)
    assert "vlan 1001" in eos.get_config(retrieve="candidate")["candidate"]
    assert eos.compare_config() == DIFF
    eos.commit_config()
    everything = eos.get_config(retrieve="all")
    assert "   name SV1001\n" in everything["running"]
    body = everything["running"].partition("!\n")[2]
    assert body in everything["startup"], "napalm's commit_config writes memory"


def test_a_line_that_the_box_refuses_leaves_nothing(
    bench: Bench, connect: Connect, new_box: Node
) -> None:
    from napalm.base.exceptions import MergeConfigException

    eos = connect(new_box)
    before = running(eos)
    with pytest.raises(MergeConfigException, match=r"Error \[1002\].*\(at token 1: '5000'\)"):
        eos.load_merge_candidate(config="vlan 1001\nvlan 5000")
    assert running(eos) == before
    assert not state_of(new_box).box.sessions.all


def test_errors_have_the_shape_of_eapi(bench: Bench, connect: Connect, new_box: Node) -> None:
    from pyeapi.eapilib import CommandError

    eos = connect(new_box)
    with pytest.raises(CommandError) as caught:
        eos.device.run_commands(["show hostname", "show bogus"])
    assert caught.value.error_code == 1002
    assert caught.value.error_text == "CLI command 3 of 3 'show bogus' failed: invalid command"
    assert caught.value.output == [
        {},
        {"hostname": "agg-1", "fqdn": "agg-1"},
        {"errors": ["Invalid input (at token 1: 'bogus')"]},
    ]
    with pytest.raises(CommandError) as caught:
        eos.device.run_commands(["show bogus"], encoding="text")
    assert caught.value.output[-1] == {
        "output": "% Invalid input (at token 1: 'bogus')\n",
        "errors": ["Invalid input (at token 1: 'bogus')"],
    }
    with pytest.raises(CommandError) as caught:
        eos.device.run_commands(["show session-config named nobody"])
    assert caught.value.error_code == 1000
    eos.load_merge_candidate(config="vlan 5")
    with pytest.raises(CommandError) as caught:
        eos.device.run_commands([f"show session-config named {eos.config_session} diffs"])
    assert caught.value.error_code == 1003


def test_another_process_confirms_by_the_sessions_name(
    bench: Bench, connect: Connect, box: Node
) -> None:
    first = connect(box, session="batch-77")
    first.load_merge_candidate(config=CHANGE)
    first.commit_config(revert_in=120)
    assert "vlan 1001" in running(first)
    assert first.has_pending_commit()
    assert "vlan 1001" not in first.get_config(retrieve="startup")["startup"]
    first.config_session = None
    first.close()

    second = connect(box, session="batch-77")
    assert second.has_pending_commit()
    assert 110 < second._get_pending_commits()["batch-77"] <= 120
    second.confirm_commit()
    assert not second.has_pending_commit()
    assert "vlan 1001" in second.get_config(retrieve="startup")["startup"]
    assert "vlan 1001" in running(second)


def test_another_process_cancels_by_the_sessions_name(
    bench: Bench, connect: Connect, box: Node
) -> None:
    first = connect(box, session="batch-78")
    before = running(first)
    first.load_merge_candidate(config=CHANGE)
    first.commit_config(revert_in=120)
    second = connect(box, session="batch-78")
    second.discard_config()
    assert running(second) == before
    assert not second.has_pending_commit()


def test_an_unconfirmed_commit_reverts(bench: Bench, connect: Connect, box: Node) -> None:
    from napalm.base.exceptions import CommitError

    eos = connect(box, session="batch-79")
    before = running(eos)
    eos.load_merge_candidate(config=CHANGE)
    eos.commit_config(revert_in=1)
    assert "vlan 1001" in running(eos)
    deadline = time.monotonic() + 5
    while running(eos) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(eos) == before
    assert not eos.has_pending_commit()
    with pytest.raises(CommitError, match="No pending commit-confirm"):
        eos.confirm_commit()


def test_one_commit_timer_per_box(bench: Bench, connect: Connect, box: Node) -> None:
    from napalm.base.exceptions import CommitError
    from pyeapi.eapilib import CommandError

    first = connect(box, session="batch-80")
    first.load_merge_candidate(config="vlan 10")
    first.commit_config(revert_in=60)
    second = connect(box, session="batch-81")
    assert second.has_pending_commit(), "a pending commit of somebody else shows"
    second.load_merge_candidate(config="vlan 11")
    with pytest.raises(CommitError, match="already in process"):
        second.commit_config(revert_in=60)
    with pytest.raises(CommandError, match="batch-80 has a pending commit timer"):
        second.commit_config()
    second.discard_config()
    first.confirm_commit()
    assert "vlan 10\n" in running(second)


def test_an_open_session_of_somebody_else_is_a_lock_for_napalm(
    bench: Bench, connect: Connect, new_box: Node
) -> None:
    from napalm.base.exceptions import SessionLockedException

    connect(new_box, session="other").load_merge_candidate(config="vlan 10")
    mine = connect(new_box, session="mine")
    with pytest.raises(SessionLockedException):
        mine._obtain_lock()
    connect(new_box, session="other").discard_config()
    mine._obtain_lock()


def test_replace_and_rollback(bench: Bench, connect: Connect, new_box: Node) -> None:
    eos = connect(new_box)
    before = running(eos)
    eos.load_replace_candidate(config="hostname other\ninterface Ethernet1\nswitchport mode trunk")
    assert "-ip routing" in eos.compare_config()
    eos.commit_config()
    assert "ip routing" not in running(eos)
    eos.rollback()
    assert running(eos) == before


def test_power_cut_loses_what_was_not_written(
    bench: Bench, connect: Connect, new_box: Node
) -> None:
    eos = connect(new_box)
    eos.load_merge_candidate(config="vlan 10")
    eos.commit_config()
    eos.device.run_commands(["configure terminal", "vlan 11"])
    assert "vlan 10-11" in running(eos)
    pending = connect(new_box, session="batch-82", lock_disable=True)
    pending.load_merge_candidate(config="vlan 12")
    pending.commit_config(revert_in=60)
    bench.call(new_box.simulator.stop())
    bench.call(new_box.simulator.start())
    assert "vlan 10\n" in running(eos)
    assert not eos.has_pending_commit()


def test_json_form_of_vlans_and_running_config(
    bench: Bench, connect: Connect, new_box: Node
) -> None:
    from pyeapi.eapilib import CommandError

    eos = connect(new_box)
    eos.load_merge_candidate(config=CHANGE)
    eos.commit_config()
    vlan = eos.device.run_commands(["show vlan 1001"])[0]["vlans"]["1001"]
    assert (vlan["name"], vlan["status"]) == ("SV1001", "active")
    assert set(vlan["interfaces"]) == {"Ethernet1", "Ethernet10"}
    commands = eos.device.run_commands(["show running-config"])[0]["cmds"]
    assert commands["vlan 1001"]["cmds"] == {"name SV1001": None}
    assert commands["ip route 203.0.113.7/32 198.51.100.1 name line-7"] is None
    with pytest.raises(CommandError, match="VLAN 999 not found in current VLAN database"):
        eos.device.run_commands(["show vlan 999"])


def test_pyeapis_own_interface_works_too(bench: Bench, new_box: Node) -> None:
    """A second client: it reads `show running-config all` and relies on the defaults in it."""
    import pyeapi

    node = pyeapi.connect(
        host="127.0.0.1",
        transport="https",
        port=new_box.port,
        username="admin",
        password="admin",
        context=ssl.create_default_context(cafile=bench.ca),
        return_node=True,
    )
    vlans, ports = node.api("vlans"), node.api("switchports")
    assert vlans.create(10)
    assert vlans.get(10)["name"] == "VLAN0010"
    assert vlans.set_name(10, "V10")
    assert vlans.getall()["10"]["name"] == "V10"
    assert ports.set_trunk_allowed_vlans("Ethernet1", "10,11")
    assert ports.get("Ethernet1")["trunk_allowed_vlans"] == "10-11"
    assert ports.get("Ethernet1")["mode"] == "trunk"
    node.configure_session()
    assert vlans.create(20)
    assert "+vlan 20" in node.diff()
    assert "20" not in vlans.getall()
    node.commit()
    assert "20" in vlans.getall()
