"""Activation against the real lab: NETCONF, eAPI and REST devices with their own rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from activation.api import Activation, ActivationSettings
from activation.credentials import Credentials
from activation.model import ChangeRequest, ContributionChange
from activation.nornir_plugins.fleet import NornirFleet
from activation.phases import BatchSettings
from inventory.devices import Device, devices, put
from store import Database
from tests.activation.bench import request, withdrawn

if TYPE_CHECKING:
    from lab.pytest_plugin import Lab

OLT, BNG, ROUTER = "olt-east-07", "bng-1", "agg-1"
NAMES = (OLT, BNG, ROUTER, "acs-1", "wifi-1")
TIMES = BatchSettings(commit_timeout_s=8, check_s=2.0, in_doubt_s=3.0, lease_wait_s=1.0)
SERIAL = "HWTC1A2B3C01"


def metro_line(up: int = 50, down: int = 200) -> list[ContributionChange]:
    access = {
        "ponPort": f"{OLT}/pon1",
        "onuId": 7,
        "allocId": 1031,
        "gemPort": 1031,
        "serial": SERIAL,
    }
    vlan = {"ponPort": f"{OLT}/pon1", "onuId": 7, "sVlan": 1001, "cVlan": 101}
    trunk = {"sVlan": 1001, "downlink": "Ethernet1", "uplink": f"{ROUTER}/Ethernet10"}
    ip = {"ipv4": "203.0.113.10", "ipv4Mode": "static", "ipv6Prefix": "2001:db8:4000:100::/56"}
    qos = {"up": up, "down": down}
    said: list[tuple[str, str, str, dict[str, Any]]] = [
        (OLT, "onu", "access", access),
        (OLT, "subscriber-vlan", "vlan", vlan),
        (ROUTER, "trunk-vlan", "vlan", trunk),
        (BNG, "subscriber-interface", "vlan", vlan),
        (BNG, "subscriber-interface", "ip", ip),
        (ROUTER, "static-route", "ip", {"ipv4": "203.0.113.10", "nextHop": "100.64.0.1"}),
        (OLT, "onu", "qos", qos),
        (OLT, "subscriber-vlan", "qos", qos),
        (BNG, "subscriber-interface", "qos", qos),
    ]
    return [
        ContributionChange(device, feature, "line-1", role, f"res-{role}", f"item-{role}", values)
        for device, feature, role, values in said
    ]


def tr069() -> ContributionChange:
    values = {
        "serial": SERIAL,
        "model": "HG8245H",
        "profile": "residential",
        "ipv4": "203.0.113.10",
        "ipv6Prefix": "2001:db8:4000:100::/56",
    }
    return ContributionChange("acs-1", "endpoint", "line-1", "tr069", "res-t", "item-t", values)


def wifi(ssid: str = "SuperFibre") -> ContributionChange:
    values = {"siteId": f"site-{SERIAL}", "name": "12 Acacia", "serial": SERIAL, "ssid": ssid}
    return ContributionChange("wifi-1", "site", "line-1", "wifi", "res-w", "item-w", values)


class Metro:
    """Activation on the metro lab."""

    def __init__(self, store: Database, lab: Lab) -> None:
        self.store, self.lab = store, lab
        self.activation = self.make()

    def make(self) -> Activation:
        def lookup(names: Sequence[str]) -> list[Any]:
            with self.store.read() as rx:
                return [device for device in devices(rx) if device.name in names]

        fleet = NornirFleet(lookup, Credentials(lab={"admin": "admin"}))
        return Activation(self.store, fleet, settings=ActivationSettings(batch=TIMES))

    def texts(self) -> dict[str, Any]:
        return {name: self._leaves(name) for name in NAMES}

    def _leaves(self, name: str) -> Any:
        with self.store.read() as rx:
            platform = next(d.platform for d in devices(rx) if d.name == name)
        return self.activation.platforms.get(platform).codec.parse(self.activation.running(name))

    def sweep(self, name: str) -> ChangeRequest | None:
        with self.store.read() as rx:
            return self.activation.sweep(rx, name, NAMES)

    def audits(self) -> dict[str, Any]:
        return {name: self.activation.audit(name) for name in NAMES}


@pytest.fixture
def metro(store: Database, fresh_lab: Lab) -> Iterator[Metro]:
    with store.write() as tx:
        for name in NAMES:
            node = fresh_lab.node(name)
            put(
                tx,
                Device(
                    name,
                    node.platform or "",
                    node.role,
                    host=node.host or "",
                    endpoints=tuple(
                        {
                            "protocol": a.protocol,
                            "host": a.host,
                            "port": a.port,
                            "username": a.username,
                        }
                        for a in node.access
                    ),
                    credential_ref="lab:admin",
                    host_key=fresh_lab.info.host_key,
                    ca_path=str(fresh_lab.info.ca_path),
                ),
            )
    metro = Metro(store, fresh_lab)
    yield metro
    metro.activation.stop()


def test_new_modify_cease_on_the_lab(metro: Metro) -> None:
    run = metro.activation.run
    for name in NAMES:
        metro.activation.import_base(name)
    assert {a["verdict"] for a in metro.audits().values()} == {"pass"}
    before = metro.texts()

    wanted = request("o1:line", metro_line())
    with metro.store.read() as rx:
        plan = metro.activation.inspect(metro.activation.plan(rx, wanted))
    assert plan.weakest_mode == "A"
    assert plan.warnings == ()
    outcome = run(wanted, expect=metro.activation.change_hash(plan))
    assert outcome.ok, outcome
    assert run(request("o1:tr069", [tr069()])).ok
    assert run(request("o1:wifi", [wifi()])).ok
    audits = metro.audits()
    assert {a["verdict"] for a in audits.values()} == {"pass"}, audits
    assert all(not a["unowned"] for a in audits.values()), audits

    assert run(request("o2:line", [c for c in metro_line(20, 100) if c.role == "qos"])).ok
    assert run(request("o2:wifi", [wifi("Other")])).ok
    sweep = metro.sweep("o2:line:sweep")
    assert sweep is not None
    assert run(sweep).ok
    assert {a["verdict"] for a in metro.audits().values()} == {"pass"}

    assert run(request("o3:wifi", withdrawn([wifi()]))).ok
    assert run(request("o3:tr069", withdrawn([tr069()]))).ok
    assert run(request("o3:line", withdrawn(metro_line()))).ok
    sweep = metro.sweep("o3:line:sweep")
    assert sweep is not None
    assert run(sweep).ok
    assert metro.texts() == before


@pytest.mark.parametrize("device", [OLT, BNG, ROUTER])
@pytest.mark.parametrize(("fault", "params"), [("reject", {}), ("commit-fail", {"times": 1})])
def test_a_refusal_leaves_no_trace(
    metro: Metro, device: str, fault: str, params: dict[str, Any]
) -> None:
    before = metro.texts()
    metro.lab.fault(device, fault, **params)
    outcome = metro.activation.run(request("o1:line", metro_line()))
    assert outcome.code == "DEVICE_REJECTED", outcome
    assert not outcome.transient
    metro.lab.clear_faults()
    assert metro.texts() == before
    assert metro.activation.run(request("o1:line", metro_line())).ok


@pytest.mark.parametrize("device", [OLT, ROUTER])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("rpc", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_dropped_session_converges(metro: Metro, device: str, when: str, rpc: int) -> None:
    metro.activation.stop()
    metro.activation = metro.make()
    metro.lab.fault(device, "drop", rpc=rpc, when=when)
    outcome = metro.activation.run(request("o1:line", metro_line()))
    metro.lab.clear_faults()
    if not outcome.ok:
        assert outcome.transient or outcome.code == "DEVICE_UNKNOWN", outcome
        outcome = metro.activation.run(request("o1:line", metro_line()))
    assert outcome.ok, outcome
    assert {metro.activation.audit(n)["verdict"] for n in (OLT, BNG, ROUTER)} == {"pass"}


def test_a_device_that_is_down_stops_everything(metro: Metro) -> None:
    before = metro.texts()
    metro.activation.stop()
    metro.activation = metro.make()
    metro.lab.fault(BNG, "down")
    outcome = metro.activation.run(request("o1:line", metro_line()))
    assert (outcome.code, outcome.transient) == ("DEVICE_UNREACHABLE", True)
    with metro.store.read() as rx:
        plan = metro.activation.plan(rx, request("o1:line", metro_line()))
    inspected = metro.activation.inspect(plan)
    assert inspected.warnings
    assert metro.activation.plan_hash([], [inspected]) is None
    metro.lab.clear_faults()
    assert metro.texts() == before
    assert metro.activation.run(request("o1:line", metro_line())).ok


def test_state_is_asked_of_the_devices(metro: Metro) -> None:
    assert metro.activation.run(request("o1:line", metro_line())).ok
    assert metro.activation.run(request("o1:tr069", [tr069()])).ok
    onu = {
        "device": OLT,
        "check": "onu",
        "expect": "up",
        "values": {"ponPort": f"{OLT}/pon1", "onuId": 7},
    }
    session = {
        "device": BNG,
        "check": "session",
        "expect": "up",
        "values": {"sVlan": 1001, "cVlan": 101},
    }
    inform = {
        "device": "acs-1",
        "check": "inform",
        "expect": "done",
        "values": {"serial": SERIAL},
    }
    checks = [onu, session, inform]
    verdicts = [c["verdict"] for c in metro.activation.verify_state(checks)]
    assert verdicts == ["not_evaluated"] * 3
    metro.lab.plug("ont-1")
    verdicts = [c["verdict"] for c in metro.activation.verify_state(checks)]
    metro.lab.unplug("ont-1")
    assert verdicts == ["pass"] * 3
    (unknown,) = metro.activation.verify_state([{**onu, "check": "no-such"}])
    assert unknown["verdict"] == "error"


def test_the_owner_of_a_line_is_named(metro: Metro) -> None:
    assert metro.activation.run(request("o1:line", metro_line())).ok
    with metro.store.read() as rx:
        shown = metro.activation.intended(rx, BNG)
    (interface,) = (f for f in shown if f["feature"] == "subscriber-interface")
    assert {c["item"] for c in interface["contributions"]} == {"item-vlan", "item-ip", "item-qos"}
