"""The process of one embedded lab: ``python -P -m lab.embedded --file F --state-dir D``.

It writes to ``--ready-fd`` one JSON line: ``{"ready": true}`` when every node answers, or
``{"error": {"code", "message"}}``. It ends on SIGTERM, on the control call ``stop``, or when the
process ``--owner-pid`` is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import secrets
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import topology as topologies
from lab.embedded import addresses, tls
from lab.embedded.control import Control
from lab.embedded.network import Network, simulated
from lab.errors import LabError
from lab.state import write_inventory, write_json
from lab.topology import Node, Topology

log = logging.getLogger("lab")
OWNER_POLL_S = 0.5
MAX_FILES = 10240


class LabProcess:
    """A lab from start to stop."""

    def __init__(self, topology: Topology, state_dir: Path) -> None:
        self._topology = topology
        self._state_dir = state_dir
        self._stopped = asyncio.Event()
        self._block = addresses.claim(_block_before(state_dir))
        (state_dir / "block").write_text(str(self._block.number))
        nodes = enumerate(simulated(topology))
        hosts = ["127.0.0.1", *(self._block.node(index)[0] for index, _ in nodes)]
        self._credentials = tls.ensure(state_dir, topology.name, hosts)
        self._network = Network(topology, self._block, self._credentials, state_dir)
        self._instance_id = secrets.token_hex(8)
        self._token = secrets.token_urlsafe(24)
        self._control = Control(self._token, self._calls())

    async def start(self) -> None:
        """Bring everything up and say so in lab.json."""
        await self._network.start()
        port = await self._control.open()
        write_json(
            self._state_dir / "lab.json",
            {
                "name": self._topology.name,
                "instanceId": self._instance_id,
                "runtime": "embedded",
                "file": str(self._topology.file),
                "digest": self._topology.digest,
                "controlPort": port,
                "token": self._token,
                "pid": os.getpid(),
                "hostKey": self._credentials.host_key_public,
                "caPath": str(self._credentials.ca.resolve()),
            },
            secret=True,
        )
        write_inventory(self._state_dir / "nornir-simple-inventory.yml", list(self._nodes()))

    async def run(self) -> None:
        """Return when the lab is to end."""
        await self._stopped.wait()

    def stop(self) -> None:
        """End the lab: a power cut for all nodes."""
        self._stopped.set()

    async def close(self) -> None:
        """Close all sockets; lab.json goes first, so that nobody finds a dying lab."""
        (self._state_dir / "lab.json").unlink(missing_ok=True)
        await self._network.stop()
        self._block.guard.close()
        # Last: who waits for the end of the lab waits for this port.
        self._control.close()

    def _calls(self) -> dict[str, Any]:
        return {
            "ping": self._ping,
            "inspect": self._inspect,
            "links": self._links,
            "stop": self._stop,
            "fault": self._network.fault,
            "clear": self._network.clear,
            "faults": self._faults,
            "plug": self._plug,
            "unplug": self._unplug,
            "reset": self._network.reset,
            "reboot": self._network.reboot,
        }

    async def _ping(self) -> dict[str, str]:
        return {"instanceId": self._instance_id}

    async def _stop(self) -> dict[str, str]:
        asyncio.get_running_loop().call_later(0.01, self.stop)
        return {"instanceId": self._instance_id}

    async def _inspect(self) -> list[dict[str, Any]]:
        return list(self._nodes())

    async def _links(self) -> list[tuple[str, str, str, str]]:
        return [(*link.a, *link.b) for link in self._topology.links]

    async def _faults(self) -> list[dict[str, Any]]:
        return [
            {"node": node, "fault": fault.name, "params": dict(fault.params)}
            for node, fault in self._network.faults()
        ]

    async def _plug(self, name: str, place: str | None = None) -> dict[str, str]:
        port = self._network.plug(name, place)
        return {"olt": port.olt, "port": port.port}

    async def _unplug(self, name: str) -> None:
        self._network.unplug(name)

    def _nodes(self) -> Iterator[dict[str, Any]]:
        return (self._inspected(node) for node in self._topology.nodes)

    def _inspected(self, node: Node) -> dict[str, Any]:
        """Return the keys of containerlab, then ours."""
        host = self._network.host(node.name)
        shown = {
            "lab_name": self._topology.name,
            "labPath": self._topology.file.name,
            "absLabPath": str(self._topology.file),
            "name": node.name,
            "container_id": "N/A",
            "image": node.model or "N/A",
            "kind": node.kind,
            "state": self._network.state(node),
            "status": self._network.state(node),
            "ipv4_address": f"{host}/8" if host else "N/A",
            "ipv6_address": "N/A",
            "owner": "N/A",
            "role": node.role,
            "model": node.model,
            "platform": node.model,
            "host": host,
            "access": [asdict(access) for access in self._network.access(node.name)],
            "labels": dict(node.labels),
            "host_key": self._credentials.host_key_public,
        }
        return shown | ({"group": node.group} if node.group else {})


def _block_before(state_dir: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int((state_dir / "block").read_text())
    return None


async def serve(arguments: argparse.Namespace) -> None:
    """Run the lab of the command line; raises LabError when it does not come up."""
    lab = LabProcess(topologies.load(arguments.file), arguments.state_dir)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lab.stop)
    try:
        await lab.start()
        watch = _watch_owner(arguments.owner_pid, lab)
        _report(arguments.ready_fd, {"ready": True})
        # The model and schema trees live as long as the process: keep the collector off them.
        gc.freeze()
        await lab.run()
        if watch:
            watch.cancel()
    finally:
        await lab.close()


def _watch_owner(pid: int | None, lab: LabProcess) -> asyncio.Task[None] | None:
    if pid is None:
        return None
    if not hasattr(os, "pidfd_open"):
        return asyncio.create_task(_poll_owner(pid, lab))
    try:
        # A pid can be given to another process; a pidfd cannot.
        owner = os.pidfd_open(pid)
    except OSError:
        lab.stop()
        return None
    asyncio.get_running_loop().add_reader(owner, lab.stop)
    return None


async def _poll_owner(pid: int, lab: LabProcess) -> None:
    with contextlib.suppress(OSError):
        while True:
            os.kill(pid, 0)
            await asyncio.sleep(OWNER_POLL_S)
    lab.stop()


def _report(descriptor: int | None, message: dict[str, Any]) -> None:
    if descriptor is not None:
        os.write(descriptor, json.dumps(message).encode() + b"\n")
        os.close(descriptor)


def _allow_many_sockets() -> None:
    """A thousand devices with a session each need more files than most systems give at first."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if most == resource.RLIM_INFINITY else min(most, MAX_FILES)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> int:
    """Run the process."""
    _allow_many_sockets()
    parser = argparse.ArgumentParser(prog="lab.embedded", description="run an embedded lab")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--owner-pid", type=int)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    for noisy in ("asyncssh", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        asyncio.run(serve(arguments))
    except LabError as error:
        log.error("%s: %s", error.code, error.message)  # noqa: TRY400
        _report(arguments.ready_fd, {"error": {"code": error.code, "message": error.message}})
        return 1
    except Exception as error:
        log.exception("the lab ends")
        message = f"{type(error).__name__}: {error}"
        _report(arguments.ready_fd, {"error": {"code": "LAB_START_FAILED", "message": message}})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
