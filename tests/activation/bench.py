"""Activation over devices in memory: an OLT in mode A, a BNG in mode B, a router in mode A, an ACS in mode C."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from activation.api import Activation, ActivationSettings
from activation.credentials import Credentials
from activation.drivers.base import Mode
from activation.drivers.memory import LineDialect, MemoryNetwork, RestDialect, XmlDialect
from activation.model import ChangeRequest, ContributionChange
from activation.nornir_plugins.fleet import NornirFleet
from activation.phases import BatchSettings
from inventory.devices import Device, devices, put
from store import Database

XML_KEYS = {"push-tag": "index", "tag": "index", "classifier-action-entry-cfg": "action-type"}
PLATFORMS = {"olt-1": "bbf-olt", "bng-1": "generic-bng", "agg-1": "eos", "acs-1": "acs"}
MODES = {
    "bbf-olt": Mode.CONFIRMED,
    "generic-bng": Mode.CANDIDATE,
    "eos": Mode.CONFIRMED,
    "acs": Mode.IMMEDIATE,
}
FAST = BatchSettings(
    commit_timeout_s=2,
    phase_s=5.0,
    check_s=0.3,
    in_doubt_s=0.6,
    lease_wait_s=0.3,
    pause_s=0.02,
)


class AcsDialect(RestDialect):
    """A REST device whose collection can be listed."""

    def select(self, running: str, selection: str) -> str:
        answer = json.loads(super().select(running, selection))
        store = json.loads(running or "{}")
        for path in answer:
            if path == "/acs/v1/endpoints":
                answer[path] = [body for key, body in store.items() if key.startswith(path)]
        return json.dumps(answer)


def access(number: int = 7) -> dict[str, Any]:
    return {
        "ponPort": "olt-1/pon1",
        "onuId": number,
        "allocId": 1024 + number,
        "gemPort": 1024 + number,
        "serial": f"HWTC1A2B3C{number:02d}",
    }


def line(number: int = 7, *, up: int = 50, down: int = 200) -> list[ContributionChange]:
    """The contributions of one subscriber's `line` change, as ROM makes them."""
    name = f"line-{number}"
    vlan = {"ponPort": "olt-1/pon1", "onuId": number, "sVlan": 1001, "cVlan": 100 + number}
    ip = {
        "ipv4": f"100.64.0.{number}",
        "ipv4Mode": "dynamic",
        "ipv6Prefix": f"2001:db8:40{number:02d}::/56",
    }
    qos = {"up": up, "down": down}
    said = [
        ("olt-1", "onu", "access", access(number)),
        ("olt-1", "subscriber-vlan", "vlan", vlan),
        ("bng-1", "subscriber-interface", "vlan", vlan),
        ("bng-1", "subscriber-interface", "ip", ip),
        ("olt-1", "onu", "qos", qos),
        ("olt-1", "subscriber-vlan", "qos", qos),
        ("bng-1", "subscriber-interface", "qos", qos),
    ]
    return [
        ContributionChange(device, feature, name, role, f"{role}-{number}", f"item-{role}", values)
        for device, feature, role, values in said
    ]


def endpoint(number: int = 7, profile: str = "residential") -> ContributionChange:
    values = {
        "serial": f"HWTC1A2B3C{number:02d}",
        "model": "HG8245H",
        "profile": profile,
        "ipv4": f"100.64.0.{number}",
        "ipv6Prefix": None,
    }
    return ContributionChange(
        "acs-1", "endpoint", f"line-{number}", "tr069", f"tr069-{number}", "item-tr069", values
    )


def route(number: int = 7) -> ContributionChange:
    values = {"ipv4": f"203.0.113.{number}", "nextHop": "100.64.0.1"}
    return ContributionChange(
        "agg-1", "static-route", f"line-{number}", "ip", f"ip-{number}", "item-ip", values
    )


def withdrawn(changes: Sequence[ContributionChange]) -> list[ContributionChange]:
    return [replace(change, values=None) for change in changes]


def request(name: str, changes: Sequence[ContributionChange]) -> ChangeRequest:
    return ChangeRequest(name, name.partition(":")[0], "change", tuple(changes))


@dataclass
class World:
    """Everything a test of activation touches."""

    database: Database
    network: MemoryNetwork
    make: Callable[..., Activation]
    activation: Activation
    settled: list[str] = field(default_factory=list)

    def plan(self, wanted: ChangeRequest) -> Any:
        with self.database.read() as rx:
            return self.activation.plan(rx, wanted)

    def running(self) -> dict[str, str]:
        return {device.name: device.running for device in self.network}

    def sweep(self, name: str = "order:sweep") -> ChangeRequest | None:
        with self.database.read() as rx:
            return self.activation.sweep(rx, name, sorted(PLATFORMS))

    def clean(self, name: str) -> None:
        """Sweep, as the order that failed or was cancelled does."""
        wanted = self.sweep(name)
        assert wanted is None or self.activation.run(wanted).ok


def build_network() -> MemoryNetwork:
    network = MemoryNetwork()
    network.add("olt-1", dialect=XmlDialect(XML_KEYS))
    network.add("bng-1", mode=Mode.CANDIDATE, dialect=XmlDialect())
    network.add("agg-1", dialect=LineDialect(), running="hostname agg-1")
    network.add("acs-1", mode=Mode.IMMEDIATE, dialect=AcsDialect(), running="{}")
    return network


def register(database: Database) -> None:
    access = {"protocol": "netconf", "host": "127.0.0.1", "port": 830, "username": "u"}
    with database.write() as tx:
        for name, platform in PLATFORMS.items():
            put(
                tx,
                Device(
                    name,
                    platform,
                    "any",
                    host="127.0.0.1",
                    endpoints=(access,),
                    credential_ref="lab:u",
                ),
            )


def build_world(store: Database) -> Iterator[World]:
    register(store)
    network = build_network()
    made: list[Activation] = []
    settled: list[str] = []

    def lookup(names: Sequence[str]) -> list[Any]:
        with store.read() as rx:
            return [device for device in devices(rx) if device.name in names]

    def make(times: BatchSettings = FAST) -> Activation:
        fleet = NornirFleet(lookup, Credentials(lab={"u": "p"}), modes=MODES, make=network.driver)
        activation = Activation(
            store,
            fleet,
            settings=ActivationSettings(batch=times),
            on_settled=lambda _, outcome: settled.append(outcome.change),
        )
        made.append(activation)
        return activation

    yield World(store, network, make, make(), settled)
    for activation in made:
        activation.stop()
