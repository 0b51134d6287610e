"""All nodes of a lab in one event loop: built from the topology, started, probed, broken, mended."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.embedded.addresses import Block
from lab.embedded.device import Access, LocalLink, NodeContext, Simulator, factory
from lab.embedded.faults import Fault, FaultSet, parse_fault
from lab.embedded.pon import Ont, PonPlant, PonPort
from lab.embedded.tls import Credentials
from lab.errors import LabError
from lab.topology import EXTERNAL, Node, Topology

PROBE_TIMEOUT_S = 10
PROBES_AT_ONCE = 16
FIBRE_LOSS_DB = 1.0
PASSIVE = {"splitter", "place", "ont", EXTERNAL}


@dataclass(frozen=True, slots=True)
class Running:
    """A simulated node."""

    node: Node
    context: NodeContext
    simulator: Simulator


class Network:
    """The nodes and the fibre between them."""

    def __init__(
        self, topology: Topology, block: Block, credentials: Credentials, state_dir: Path
    ) -> None:
        self.topology = topology
        self._state_dir = state_dir
        self._credentials = credentials
        self.plant = PonPlant()
        self._running: dict[str, Running] = {}
        # Each TLS connection of asyncio holds 256 KB at either end.
        self._probing = asyncio.Semaphore(PROBES_AT_ONCE)
        self._lay_fibre()
        for index, node in enumerate(simulated(topology)):
            self._running[node.name] = self._build(node, *block.node(index))

    async def start(self) -> None:
        """Boot all nodes at once and see that each answers its protocols.

        Raises:
            LabError: LAB_START_FAILED, naming the node.
        """
        await self._each(self._start)

    async def stop(self) -> None:
        """Cut the power of all nodes."""
        await self._each(lambda running: running.simulator.stop())

    async def reset(self, name: str | None) -> None:
        """Boot one node from the topology's configuration, no fault armed; None: all, no ONT plugged."""
        chosen = [self._simulated(name)] if name else list(self._running.values())
        if name is None:
            self.plant.unplug_all()
        for running in chosen:
            running.context.faults.clear()
            await running.simulator.stop()
            shutil.rmtree(running.context.state_dir)
            running.context.state_dir.mkdir()
            await running.simulator.start()

    async def reboot(self, name: str) -> None:
        """Cut the power of one node and give it back: it boots from its startup configuration."""
        simulator = self._simulated(name).simulator
        await simulator.stop()
        await simulator.start()

    async def fault(self, name: str, fault: str, params: Mapping[str, Any]) -> None:
        """Arm a fault; raises LabError."""
        running = self._simulated(name)
        parsed = parse_fault(fault, params)
        running.context.faults.arm(parsed)
        if parsed.name == "down":
            await running.simulator.refuse()

    async def clear(self, name: str | None) -> None:
        """Disarm all faults of a node, or of all nodes."""
        chosen = [self._simulated(name)] if name else list(self._running.values())
        for running in chosen:
            down = running.context.faults.get("down") is not None
            running.context.faults.clear()
            if down:
                await running.simulator.listen()

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """Yield (node, fault) for all that is armed."""
        for name, running in self._running.items():
            yield from ((name, fault) for fault in running.context.faults.armed)

    def plug(self, name: str, place: str | None) -> PonPort:
        """Plug an ONT where it is configured, or into the fibre that ends at `place`.

        Raises:
            LabError: NODE_UNKNOWN, NODE_NOT_PLUGGABLE.
        """
        node = self._ont(name)
        serial = node.labels["sim-serial"]
        port = self._port_at(node, place) if place else self._configured(serial)
        if port is None:
            raise LabError(
                "NODE_NOT_PLUGGABLE",
                f"no OLT has a line for {name} ({serial}): configure it, or say place=NODE",
            )
        self.plant.plug(serial, port)
        return port

    def unplug(self, name: str) -> None:
        """Unplug an ONT; raises LabError."""
        self.plant.unplug(self._ont(name).labels["sim-serial"])

    def access(self, name: str) -> tuple[Access, ...]:
        """Return the ways to manage a node."""
        running = self._running.get(name)
        return running.simulator.access if running else ()

    def host(self, name: str) -> str | None:
        """Return the address of a simulated node."""
        running = self._running.get(name)
        return running.context.host if running else None

    def state(self, node: Node) -> str:
        """Return running, down, plugged, unplugged, up (an ONT in service), external or passive."""
        running = self._running.get(node.name)
        if running:
            return "down" if running.context.faults.get("down") else "running"
        if serial := node.labels.get("sim-serial"):
            plugged = self.plant.plugged(serial) is not None
            return "up" if self.plant.is_up(serial) else "plugged" if plugged else "unplugged"
        return EXTERNAL if node.role == EXTERNAL or node.model else "passive"

    # building

    def _build(self, node: Node, host: str, ports: Any) -> Running:
        make = factory(node.model)
        assert make
        directory = self._state_dir / "nodes" / node.name
        directory.mkdir(parents=True, exist_ok=True)
        context = NodeContext(
            name=node.name,
            role=node.role,
            model=node.model,
            host=host,
            ports=ports,
            labels=node.labels,
            links=tuple(LocalLink(*peer) for peer in self.topology.peers(node.name)),
            state_dir=directory,
            username=node.labels.get("sim-username", "admin"),
            password=node.labels.get("sim-password", "admin"),
            tls_cert=self._credentials.cert,
            tls_key=self._credentials.key,
            host_key=self._credentials.host_key,
            faults=FaultSet(),
            pon=self.plant,
        )
        return Running(node, context, make(context))

    def _lay_fibre(self) -> None:
        for node in self.topology.nodes:
            technology = node.labels.get("sim-pon-type")
            if serial := node.labels.get("sim-serial"):
                self.plant.add_ont(Ont(node.name, serial, (technology,) if technology else ()))
            elif technology:
                self._lay_ports(node, technology)
            if node.role == "bng":
                self.plant.set_upstream(node.name, self._olts_below(node.name))

    def _lay_ports(self, olt: Node, technology: str) -> None:
        for port, peer, _ in self.topology.peers(olt.name):
            at = PonPort(olt.name, port)
            self.plant.set_technology(at, technology)
            ratio = self.topology.node(peer).labels.get("split-ratio", "")
            self.plant.set_loss(at, FIBRE_LOSS_DB + split_loss(ratio))

    def _olts_below(self, bng: str) -> Iterator[str]:
        for name in self._spread(bng, lambda node: node.role not in PASSIVE):
            if self.topology.node(name).role == "olt":
                yield name

    def _spread(self, start: str, through: Callable[[Node], bool]) -> Iterator[str]:
        """Yield the nodes that links connect with `start` over nodes that `through` accepts."""
        seen, frontier = {start}, [start]
        while frontier:
            yield from frontier
            peers = {peer for name in frontier for _, peer, _ in self.topology.peers(name)} - seen
            frontier = sorted(peer for peer in peers if through(self.topology.node(peer)))
            seen.update(frontier)

    # plugging

    def _ont(self, name: str) -> Node:
        node = self.topology.node(name)
        if "sim-serial" not in node.labels:
            raise LabError("NODE_NOT_PLUGGABLE", f"{name} is no ONT: it has no label sim-serial")
        return node

    def _configured(self, serial: str) -> PonPort | None:
        line = self.plant.line(serial)
        return line.port if line else None

    def _port_at(self, ont: Node, place: str) -> PonPort | None:
        ports = list(self._ports_above(self._place(place)))
        line = self.plant.line(ont.labels["sim-serial"])
        if line and line.port in ports:
            return line.port
        technology = ont.labels.get("sim-pon-type")
        fitting = [port for port in ports if self.plant.technology(port) in {None, technology}]
        return next(iter(fitting or ports), None)

    def _place(self, place: str) -> str:
        """Return the node's name, given that or its place-id."""
        for node in self.topology.nodes:
            if place in {node.name, node.labels.get("place-id")}:
                return node.name
        raise LabError("NODE_UNKNOWN", f"lab {self.topology.name} has no node or place {place!r}")

    def _ports_above(self, name: str) -> Iterator[PonPort]:
        """Follow the fibre from a place or splitter, through splitters, to PON ports."""
        for at in self._spread(name, lambda node: node.role == "splitter"):
            for _, peer, peer_port in self.topology.peers(at):
                if self.topology.node(peer).role == "olt":
                    yield PonPort(peer, peer_port)

    # running

    def _simulated(self, name: str) -> Running:
        node = self.topology.node(name)
        running = self._running.get(node.name)
        if running is None:
            raise LabError(
                "NODE_NOT_SIMULATED", f"{name} ({node.role}) has no simulator in this lab"
            )
        return running

    async def _start(self, running: Running) -> None:
        await running.simulator.start()
        for access in running.simulator.access:
            async with self._probing, asyncio.timeout(PROBE_TIMEOUT_S):
                await probe(access, running.context.host, self._credentials.ca)

    async def _each(self, action: Callable[[Running], Awaitable[None]]) -> None:
        nodes = list(self._running.values())
        results = await asyncio.gather(
            *(action(running) for running in nodes), return_exceptions=True
        )
        for running, result in zip(nodes, results, strict=True):
            if isinstance(result, BaseException):
                raise LabError(
                    "LAB_START_FAILED", f"{running.node.name}: {type(result).__name__}: {result}"
                ) from result


def simulated(topology: Topology) -> Iterable[Node]:
    """Return the nodes that there is a simulator for."""
    return [node for node in topology.nodes if factory(node.model) is not None]


def split_loss(ratio: str) -> float:
    """Return what a splitter takes in dB: 3.5 per halving (ITU-T G.671 typical), 1:32 is 17.5."""
    match = re.fullmatch(r"1:([0-9]+)", ratio)
    ways = int(match[1]) if match else 1
    return 3.5 * (max(ways, 1).bit_length() - 1)


async def probe(access: Access, host: str, ca: Path) -> None:
    """See that the node speaks: an SSH identification string, or a TLS handshake that verifies.

    Raises:
        OSError, ssl.SSLError: it does not.
    """
    context = _trusting(ca) if access.protocol in {"eapi", "rest"} else None
    reader, writer = await asyncio.open_connection(
        access.host, access.port, ssl=context, server_hostname=host if context else None
    )
    try:
        if context is None and not (await reader.readline()).startswith(b"SSH-2.0-"):
            raise ConnectionError(f"{access.host}:{access.port} does not speak SSH")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


_CONTEXTS: dict[Path, ssl.SSLContext] = {}


def _trusting(ca: Path) -> ssl.SSLContext:
    if ca not in _CONTEXTS:
        _CONTEXTS[ca] = ssl.create_default_context(cafile=str(ca))
    return _CONTEXTS[ca]
