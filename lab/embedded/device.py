"""The seam between the lab process and the simulators of its nodes.

A model is a factory ``build(context) -> Simulator``; `MODELS` says where it lives. The lab process
gives each node a `NodeContext`, starts it, probes it, and arms its faults. A simulator keeps its
own state: `start` boots from the startup configuration in ``context.state_dir`` (from the
topology's when there is none), `stop` is a power cut, `refuse` and `listen` are a link that goes
and comes back while the device runs on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from lab.embedded.faults import FaultSet
from lab.embedded.pon import PonPlant


@dataclass(frozen=True, slots=True)
class Access:
    """One way to manage a node; `protocol` is netconf, ssh, eapi or rest."""

    protocol: str
    host: str
    port: int
    username: str


@dataclass(frozen=True, slots=True)
class LocalLink:
    """A link as one of its ends sees it; `port` is the interface name on this node."""

    port: str
    peer: str
    peer_port: str
    vars: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of a node; the same on every node, or a range where there is only one address."""

    netconf: int = 8830
    ssh: int = 8022
    https: int = 8443


@dataclass(frozen=True, slots=True)
class NodeContext:
    """All that a simulator knows of the lab around it.

    `tls_cert` is a PEM chain valid for `host`, `tls_key` its key, `host_key` the OpenSSH private
    key of the lab. `state_dir` exists, belongs to the node alone and outlives the process.
    """

    name: str
    role: str
    model: str
    host: str
    ports: Ports
    labels: Mapping[str, str]
    links: tuple[LocalLink, ...]
    state_dir: Path
    username: str
    password: str
    tls_cert: Path
    tls_key: Path
    host_key: Path
    faults: FaultSet
    pon: PonPlant


class Simulator(Protocol):
    """A device: it boots, answers on its ports, loses power."""

    @property
    def access(self) -> tuple[Access, ...]:
        """Return the ways to manage the node (empty: none, as with an ONT)."""

    async def start(self) -> None:
        """Boot from startup configuration, then listen."""

    async def stop(self) -> None:
        """Power cut: drop sessions and forget what was not saved."""

    async def listen(self) -> None:
        """Accept connections (again); configuration and state are as they were."""

    async def refuse(self) -> None:
        """Close the listeners and drop open sessions; the device itself runs on."""


Factory = Callable[[NodeContext], Simulator]

MODELS: dict[str, str] = {
    "bbf-olt": "lab.embedded.models.bbf_olt:build",
    "generic-bng": "lab.embedded.models.generic_bng:build",
    "eos": "lab.embedded.eos:build",
    "acs": "lab.embedded.rest.acs:build",
    "wifi": "lab.embedded.rest.wifi:build",
}


def factory(model: str) -> Factory | None:
    """Return the factory of `model`; None when the lab has no such model (an external node)."""
    target = MODELS.get(model)
    if target is None:
        return None
    module, _, name = target.partition(":")
    return cast("Factory", getattr(importlib.import_module(module), name))
