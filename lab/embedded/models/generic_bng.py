"""A BNG with the module turnup-bng: address pools at startup, sessions of lines that are up.

Labels: `pool-ipv4`, `pool-ipv4-static`, `pool-ipv6` (prefixes) become address-pools.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from lab.embedded.device import NodeContext, Simulator
from lab.embedded.netconf.data import Branch, Data, Listing
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.schema import Schema, load
from lab.embedded.pon import PonPlant

SCHEMA = Path(__file__).with_name("generic-bng.yaml")
POOLS = {"pool-ipv4": "ipv4", "pool-ipv4-static": "ipv4-static", "pool-ipv6": "ipv6"}


def build(context: NodeContext) -> Simulator:
    """Return the BNG."""
    return NetconfDevice(context, GenericBng(context))


class GenericBng:
    """The model."""

    def __init__(self, context: NodeContext) -> None:
        self.schema: Schema = load(SCHEMA)
        self._name = context.name
        self._labels = context.labels
        self._plant: PonPlant = context.pon

    def factory_startup(self) -> str:
        """Return the address pools."""
        pools = "".join(
            _pool(name, self._labels[label])
            for label, name in POOLS.items()
            if label in self._labels
        )
        return f'<address-pools xmlns="urn:turnup:yang:turnup-bng">{pools}</address-pools>'

    def running(self, tree: Branch) -> None:
        """Nothing follows from it: sessions are worked out when somebody asks."""

    def state(self, tree: Branch) -> Branch:
        """Return the sessions: up when the interface is enabled and complete and its ONT is up."""
        entries = tree.branch("subscriber-interfaces").listing("subscriber-interface").entries
        if not entries:
            return Branch()
        sessions = {
            key: Branch(dict(self._session(key[0], entry))) for key, entry in entries.items()
        }
        return Branch({"subscriber-state": Branch({"session": Listing(sessions)})})

    def _session(self, name: str, entry: Branch) -> Iterator[tuple[str, Data]]:
        yield "name", name
        up = self._is_up(entry)
        yield "status", "up" if up else "down"
        if up:
            yield "address", entry.branch("ipv4").leaf("address") or ""
            if prefix := entry.branch("ipv6").leaf("delegated-prefix"):
                yield "delegated-prefix", prefix

    def _is_up(self, entry: Branch) -> bool:
        if entry.leaf("enabled") == "false" or entry.branch("ipv4").leaf("address") is None:
            return False
        tags = int(entry.leaf("s-vlan") or 0), int(entry.leaf("c-vlan") or 0)
        return self._plant.reaches(self._name, tags)


def _pool(name: str, prefix: str) -> str:
    network = ipaddress.ip_network(prefix)
    gateway = network.network_address + 1
    return f"<pool><name>{name}</name><prefix>{network}</prefix><gateway>{gateway}</gateway></pool>"
