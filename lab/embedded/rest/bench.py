"""Simulators on a bench: in a thread of this process, without topology, lab process or control port.

For tests and for trying a driver by hand; the real lab is `lab.api`. Everything listens on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from lab.embedded.device import LocalLink, NodeContext, Ports, Simulator, factory
from lab.embedded.faults import FaultSet, parse_fault
from lab.embedded.pon import PonPlant
from lab.embedded.tls import ensure

T = TypeVar("T")
HOST = "127.0.0.1"
_WAIT_S = 30
_LAST_BREATH_S = 0.01


@dataclass(frozen=True)
class Node:
    """A simulator on the bench, with what it was built from."""

    context: NodeContext
    simulator: Simulator

    @property
    def port(self) -> int:
        """Its HTTPS port."""
        return self.context.ports.https


class Bench:
    """A place to run simulators; leave the `with` block and all have lost power.

    Args:
        folder: keeps certificates and the state of nodes; nodes of the same name share theirs.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._credentials = ensure(folder, "bench", [HOST])
        self.pon = PonPlant()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._nodes: list[Node] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self._nodes:
            self.call(node.simulator.stop())
        self.call(asyncio.sleep(_LAST_BREATH_S))  # aborted sockets close one turn of the loop later
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WAIT_S)
        self._loop.close()

    @property
    def ca(self) -> Path:
        """The certificate that signed those of the nodes."""
        return self._credentials.ca

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the bench's event loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_S)

    def start(
        self,
        name: str,
        model: str,
        *,
        labels: Mapping[str, str] | None = None,
        links: Sequence[LocalLink] = (),
    ) -> Node:
        """Build and boot a node on a free port."""
        node = self.build(name, model, labels=labels, links=links)
        self.call(node.simulator.start())
        return node

    def build(
        self,
        name: str,
        model: str,
        *,
        labels: Mapping[str, str] | None = None,
        links: Sequence[LocalLink] = (),
    ) -> Node:
        """Build a node without booting it."""
        make = factory(model)
        assert make is not None, f"the lab has no model {model}"
        context = self._context(name, model, labels or {}, tuple(links))
        node = Node(context, make(context))
        self._nodes.append(node)
        return node

    def arm(self, node: Node, fault: str, **params: object) -> None:
        """Arm a fault, as `turnup lab fault` does."""
        armed = parse_fault(fault, params)
        if armed.name == "down":
            self.call(node.simulator.refuse())
        self._loop.call_soon_threadsafe(node.context.faults.arm, armed)

    def clear(self, node: Node) -> None:
        """Disarm all faults of a node."""
        down = node.context.faults.get("down")
        self._loop.call_soon_threadsafe(node.context.faults.clear)
        if down:
            self.call(node.simulator.listen())

    def _context(
        self, name: str, model: str, labels: Mapping[str, str], links: tuple[LocalLink, ...]
    ) -> NodeContext:
        state = self._folder / name
        state.mkdir(exist_ok=True)
        return NodeContext(
            name=name,
            role=model,
            model=model,
            host=HOST,
            ports=Ports(https=_free_port()),
            labels=labels,
            links=links,
            state_dir=state,
            username="admin",
            password="admin",  # noqa: S106
            tls_cert=self._credentials.cert,
            tls_key=self._credentials.key,
            host_key=self._credentials.host_key,
            faults=FaultSet(),
            pon=self.pon,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
