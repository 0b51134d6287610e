"""The demo's own lab and server: real processes in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from lab import api as lab
from store.errors import TurnupError

START_LIMIT_S = 60.0


class DemoFailed(TurnupError):
    """The demo could not start its server."""

    code = "DEMO_FAILED"
    reason = "The demo's server did not start"


class World:
    """A lab and a server for one demo."""

    def __init__(self, folder: Path, topology: Path, *, keep: bool = False) -> None:
        self.folder = folder
        owner = None if keep else os.getpid()
        self.info = lab.up(topology, folder / "state", owner_pid=owner)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = _start(folder, topology, self.port, owner)
        _wait_ready(self._server, self.url, folder / "server.log")

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        return self._server.pid

    def plug(self, serial: str, place: str | None) -> str:
        """Plug the ONT with that serial and return its node's name."""
        for node in self.info.nodes:
            if node.labels.get("sim-serial") == serial:
                lab.plug(self.info.name, node.name, place=place, state_dir=self.folder / "state")
                return str(node.name)
        raise DemoFailed(f"No ONT of the lab has serial {serial}.")

    def close(self) -> None:
        """Stop the server and the lab."""
        self._server.send_signal(signal.SIGTERM)
        try:
            self._server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        lab.down(self.info.name, self.folder / "state")


def _start(folder: Path, topology: Path, port: int, owner: int | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "turnup", "serve", "--port", str(port)]
    command += ["--database", f"sqlite:///{folder}/turnup.db", "--topology", str(topology)]
    command += ["--state-dir", str(folder / "state")]
    command += ["--owner-pid", str(owner)] if owner else []
    with (folder / "server.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _wait_ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/readyz", timeout=1.0).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)  # the port is not bound yet; there is nothing to wait on before it is
    server.kill()
    raise DemoFailed(
        f"The server did not become ready; it said:\n{log.read_text(errors='replace')[-2000:]}"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
