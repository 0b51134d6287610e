"""What a program does with labs: bring one up, look, break, mend, take it down. All sync.

`state_dir` is the directory that holds ``labs/NAME/``. `name` None means the one lab that is up.
All functions raise LabError and nothing else for what their caller can put right.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import state
from lab import topology as topologies
from lab.errors import LabError

START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0
CALL_LIMIT_S = 10.0
LOG_TAIL = 800


@dataclass(frozen=True, slots=True)
class Access:
    """One way to manage a node; protocol is netconf, ssh, eapi or rest."""

    protocol: str
    host: str
    port: int
    username: str


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node. `host` is None for what has no address (an ONT, a splitter, a place)."""

    name: str
    role: str
    model: str
    platform: str
    kind: str
    state: str
    host: str | None
    access: tuple[Access, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """Two interfaces that are linked."""

    a: str
    a_port: str
    b: str
    b_port: str


@dataclass(frozen=True, slots=True)
class LabInfo:
    """A lab that is up; `started`: this call brought it up.

    `host_key` is an OpenSSH public key that all nodes show, `ca_path` a PEM file that their
    certificates verify against.
    """

    name: str
    instance_id: str
    state_dir: Path
    file: Path
    control_port: int
    started: bool
    nodes: tuple[NodeInfo, ...]
    links: tuple[LinkInfo, ...]
    host_key: str
    ca_path: Path

    def node(self, name: str) -> NodeInfo:
        """Return a node by name; raises LabError NODE_UNKNOWN."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError("NODE_UNKNOWN", f"lab {self.name} has no node {name!r}")


def up(
    file: Path,
    state_dir: Path = state.DEFAULT,
    *,
    reconfigure: bool = False,
    owner_pid: int | None = None,
) -> LabInfo:
    """Bring the lab of a topology file up, or find it up; every node answers when this returns.

    `reconfigure` forgets what the nodes had saved. With `owner_pid` the lab ends with that process.

    Raises:
        LabError: TOPOLOGY_NOT_FOUND, TOPOLOGY_INVALID, LAB_RUNNING (another topology under that
        name), LAB_START_FAILED.
    """
    topology = topologies.load(file)
    directory = state.lab_dir(state_dir, topology.name)
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        found = connect(topology.name, state_dir)
        if found and not reconfigure:
            _check_same(directory, topology)
            return found
        if found:
            _stop(directory)
        if reconfigure:
            shutil.rmtree(directory / "nodes", ignore_errors=True)
        _start(topology.file, directory, owner_pid)
        return _info(directory, started=True)


def down(name: str | None = None, state_dir: Path = state.DEFAULT) -> None:
    """Take a lab down: a power cut; saved configurations stay. Raises LabError LAB_NOT_FOUND."""
    directory = _find(name, state_dir)
    with _locked(directory):
        if _alive(directory):
            _stop(directory)
        (directory / "lab.json").unlink(missing_ok=True)


def connect(name: str, state_dir: Path = state.DEFAULT) -> LabInfo | None:
    """Return the lab if it is up: its control port answers with the instance id of lab.json."""
    directory = state.lab_dir(state_dir, name)
    return _info(directory, started=False) if _alive(directory) else None


def inspect(name: str | None = None, state_dir: Path = state.DEFAULT) -> dict[str, Any]:
    """Return ``{lab: [{lab_name, name, kind, state, ipv4_address, …, access}]}``.

    Of one lab, or of all that are up; the shape of ``containerlab inspect --format json``.
    """
    names = [name] if name else state.lab_names(state_dir)
    shown = {}
    for one in names:
        directory = state.lab_dir(state_dir, one)
        if _alive(directory):
            shown[one] = _call(directory, "inspect")
        elif name:
            raise _not_found(name, state_dir)
    return shown


def fault(
    name: str | None,
    node: str,
    fault: str,
    params: Mapping[str, Any] | None = None,
    state_dir: Path = state.DEFAULT,
) -> None:
    """Arm a fault on a node until it is cleared (`lab.embedded.faults.PARAMETERS`).

    Raises:
        LabError: NODE_UNKNOWN, NODE_NOT_SIMULATED, FAULT_UNKNOWN, FAULT_PARAMETER.
    """
    arguments = {"name": node, "fault": fault, "params": dict(params or {})}
    _call(_find(name, state_dir), "fault", arguments)


def clear_faults(
    name: str | None, node: str | None = None, state_dir: Path = state.DEFAULT
) -> None:
    """Disarm all faults of a node, or of all nodes."""
    _call(_find(name, state_dir), "clear", {"name": node})


def faults(name: str | None = None, state_dir: Path = state.DEFAULT) -> list[dict[str, Any]]:
    """Return ``[{node, fault, params}]``."""
    return list(_call(_find(name, state_dir), "faults"))


def plug(
    name: str | None, node: str, place: str | None = None, state_dir: Path = state.DEFAULT
) -> dict[str, str]:
    """Plug an ONT in and return ``{olt, port}``.

    Without `place` (a node or place-id) it goes where an OLT has its serial configured.

    Raises:
        LabError: NODE_UNKNOWN, NODE_NOT_PLUGGABLE.
    """
    return dict(_call(_find(name, state_dir), "plug", {"name": node, "place": place}))


def unplug(name: str | None, node: str, state_dir: Path = state.DEFAULT) -> None:
    """Unplug an ONT."""
    _call(_find(name, state_dir), "unplug", {"name": node})


def reset(name: str | None, node: str | None = None, state_dir: Path = state.DEFAULT) -> None:
    """Boot a node (None: all) from the topology's configuration, with no faults."""
    _call(_find(name, state_dir), "reset", {"name": node})


def reboot(name: str | None, node: str, state_dir: Path = state.DEFAULT) -> None:
    """Cut a node's power and give it back: it boots from its startup configuration."""
    _call(_find(name, state_dir), "reboot", {"name": node})


# finding


def _find(name: str | None, state_dir: Path) -> Path:
    if name is None:
        return state.lab_dir(state_dir, _only(state_dir))
    if name not in state.lab_names(state_dir):
        raise _not_found(name, state_dir)
    return state.lab_dir(state_dir, name)


def _only(state_dir: Path) -> str:
    names = state.lab_names(state_dir)
    if len(names) > 1:
        names = [name for name in names if _alive(state.lab_dir(state_dir, name))]
    if len(names) != 1:
        which = f"several are up: {', '.join(names)}; say which" if names else "no lab is up"
        raise LabError("LAB_NOT_FOUND", f"{which} (state directory {state_dir})")
    return names[0]


def _not_found(name: str, state_dir: Path) -> LabError:
    return LabError(
        "LAB_NOT_FOUND", f"no lab {name!r} is up (state directory {state_dir}); turnup lab up FILE"
    )


def _alive(directory: Path) -> bool:
    lab = state.read_json(directory / "lab.json")
    if lab is None:
        return False
    try:
        answer = _call(directory, "ping")
    except LabError:
        return False
    return bool(answer["instanceId"] == lab["instanceId"])


def _check_same(directory: Path, topology: topologies.Topology) -> None:
    lab = state.read_json(directory / "lab.json") or {}
    if lab.get("digest") != topology.digest:
        raise LabError(
            "LAB_RUNNING",
            f"lab {topology.name} is up from another topology ({lab.get('file')}); "
            "take it down first, or give --reconfigure",
        )


def _info(directory: Path, *, started: bool) -> LabInfo:
    lab = state.read_json(directory / "lab.json")
    if lab is None:
        raise LabError("LAB_NOT_FOUND", f"{directory / 'lab.json'} is gone")
    return LabInfo(
        name=lab["name"],
        instance_id=lab["instanceId"],
        state_dir=directory,
        file=Path(lab["file"]),
        control_port=lab["controlPort"],
        started=started,
        nodes=tuple(_node(node) for node in _call(directory, "inspect")),
        links=tuple(LinkInfo(*link) for link in _call(directory, "links")),
        host_key=lab["hostKey"],
        ca_path=Path(lab["caPath"]),
    )


def _node(shown: Mapping[str, Any]) -> NodeInfo:
    return NodeInfo(
        name=shown["name"],
        role=shown["role"],
        model=shown["model"],
        platform=shown["platform"],
        kind=shown["kind"],
        state=shown["state"],
        host=shown["host"],
        access=tuple(Access(**one) for one in shown["access"]),
        labels=shown["labels"],
    )


# talking to the process


def _call(directory: Path, call: str, arguments: Mapping[str, Any] | None = None) -> Any:
    lab = state.read_json(directory / "lab.json")
    if lab is None:
        raise LabError("LAB_NOT_FOUND", f"lab {directory.name} is not up")
    request = {"token": lab["token"], "call": call, "args": arguments or {}}
    try:
        answer = _exchange(lab["controlPort"], json.dumps(request).encode() + b"\n")
    except (OSError, ValueError) as error:
        raise LabError(
            "LAB_UNREACHABLE",
            f"lab {directory.name} does not answer ({error}); turnup lab up {lab['file']}",
        ) from None
    if "error" in answer:
        raise LabError(answer["error"]["code"], answer["error"]["message"])
    return answer["result"]


def _exchange(port: int, request: bytes) -> dict[str, Any]:
    with socket.create_connection(("127.0.0.1", port), timeout=CALL_LIMIT_S) as connection:
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            answer: dict[str, Any] = json.loads(stream.readline() or b"null") or {}
    if not answer:
        raise ConnectionError("no answer")
    return answer


# starting and stopping the process


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two `up` of one lab at the same time: the second waits and finds it up."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(file: Path, directory: Path, owner_pid: int | None) -> None:
    (directory / "lab.json").unlink(missing_ok=True)
    ready, report = os.pipe()
    try:
        process = _spawn(file, directory, owner_pid, report)
    finally:
        os.close(report)
    try:
        answer = _wait_ready(ready)
    finally:
        os.close(ready)
    if answer.get("ready"):
        # The lab outlives this process on purpose: nobody waits for it (Popen would warn).
        process.returncode = 0
        return
    process.kill()
    process.wait()
    error = answer.get("error") or {}
    raise LabError(
        error.get("code", "LAB_START_FAILED"),
        error.get("message") or f"no sign of life within {START_LIMIT_S:.0f} s{_tail(directory)}",
    )


def _spawn(
    file: Path, directory: Path, owner_pid: int | None, report: int
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "lab.embedded", "--file", str(file)]
    command += ["--state-dir", str(directory.resolve()), "--ready-fd", str(report)]
    if owner_pid is not None:
        command += ["--owner-pid", str(owner_pid)]
    with (directory / "log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(report,),
            start_new_session=True,
        )


def _wait_ready(ready: int) -> dict[str, Any]:
    """Read the one line of the process; {} when it died or took too long."""
    deadline = time.monotonic() + START_LIMIT_S
    text = b""
    while not text.endswith(b"\n"):
        readable, _, _ = select.select([ready], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(ready, 65536) if readable else b""
        if not part:
            return {}
        text += part
    answer: dict[str, Any] = json.loads(text)
    return answer


def _tail(directory: Path) -> str:
    text = (directory / "log").read_text(errors="replace")[-LOG_TAIL:].strip()
    return f"; end of {directory / 'log'}:\n{text}" if text else ""


def _stop(directory: Path) -> None:
    lab = state.read_json(directory / "lab.json") or {}
    _call(directory, "stop")
    deadline = time.monotonic() + STOP_LIMIT_S
    while _open(lab["controlPort"]):
        if time.monotonic() > deadline:
            raise LabError("LAB_RUNNING", f"lab {directory.name} does not end; kill {lab['pid']}")
        time.sleep(0.02)
    with suppress(ChildProcessError):
        # Only if it is a child of ours: a long-lived parent would keep a zombie.
        os.waitpid(lab["pid"], 0)


def _open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
