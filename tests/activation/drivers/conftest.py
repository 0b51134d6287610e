"""A small NETCONF server over real SSH in front of an in-memory device, with a script for bad answers."""

from __future__ import annotations

import asyncio
import socketserver
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncssh
import pytest
from lxml import etree

from activation.drivers.base import DeviceLocked, DeviceRejected, DriverError, Endpoint, Mode
from activation.drivers.memory import MemoryDevice, MemoryDriver
from lab.embedded.device import Simulator, factory
from lab.embedded.faults import FaultSet, parse_fault
from lab.embedded.rest.bench import Bench

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
CAP = "urn:ietf:params:netconf:capability:"
FULL = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    CAP + "candidate:1.0",
    CAP + "confirmed-commit:1.1",
    CAP + "validate:1.1",
    CAP + "rollback-on-error:1.0",
    CAP + "startup:1.0",
)
OK = "<ok/>"
Script = Callable[[str, str], "str | bytes | None"]
"""(operation name, message-id) → body of the reply, or raw bytes to send instead, or None: behave."""


@dataclass
class NetconfServer:
    """What the tests see of the server; everything may be changed while it runs."""

    device: MemoryDevice
    capabilities: tuple[str, ...] = FULL
    script: Script | None = None
    hello: bytes | None = None
    received: list[str] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    port: int = 0
    host_key: str = ""
    open_sessions: list[_Session] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    def endpoint(self, **changes: Any) -> Endpoint:
        values: dict[str, Any] = {
            "device": self.device.name,
            "platform": "test",
            "protocol": "netconf",
            "host": "127.0.0.1",
            "port": self.port,
            "username": "admin",
            "password": "admin",
            "host_key": self.host_key,
            "timeout_s": 5.0,
        }
        return Endpoint(**{**values, **changes})

    def kill_sessions(self) -> None:
        for session in [*self.open_sessions]:
            session.kill()

    @property
    def operations(self) -> list[str]:
        return [operation for operation in self.received if operation != "close-session"]


class _Session(asyncssh.SSHServerSession[bytes]):
    def __init__(self, server: NetconfServer) -> None:
        self._server = server
        self._buffer = b""
        self._chunked = False
        self._greeted = False
        self._driver = MemoryDriver(server.device)
        self._staged: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()

    def connection_made(self, chan: Any) -> None:
        self._chan = chan
        self._server.open_sessions.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._driver.abort()
        if self in self._server.open_sessions:
            self._server.open_sessions.remove(self)

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "netconf" and CAP + "no-subsystem" not in self._server.capabilities

    def session_started(self) -> None:
        names = "".join(f"<capability>{c}</capability>" for c in self._server.capabilities)
        hello = (
            f'<hello xmlns="{BASE}"><capabilities>{names}</capabilities>'
            "<session-id>7</session-id></hello>"
        )
        self._chan.write(self._server.hello or hello.encode() + b"]]>]]>")

    def kill(self) -> None:
        self._chan.get_extra_info("connection").abort()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._server.writes.append(len(data))
        self._buffer += data
        while message := self._message():
            if not self._greeted:
                self._greeted = True
                self._chunked = b"base:1.1" in message and any(
                    c.endswith("base:1.1") for c in self._server.capabilities
                )
                continue
            self._tasks.append(asyncio.ensure_future(self._handle(message)))

    def _message(self) -> bytes | None:
        """Read one frame, the other way round than the driver does: by splitting."""
        end = b"\n##\n" if self._chunked else b"]]>]]>"
        if end not in self._buffer:
            return None
        raw, self._buffer = self._buffer.split(end, 1)
        if not self._chunked:
            return raw
        whole = b""
        while raw:
            head, raw = raw[2:].split(b"\n", 1)
            whole, raw = whole + raw[: int(head)], raw[int(head) :]
        return whole

    async def _handle(self, message: bytes) -> None:
        rpc = etree.fromstring(message)
        operation = rpc[0]
        name = etree.QName(operation).localname
        message_id = str(rpc.get("message-id"))
        self._server.received.append(name)
        async with self._turn:
            scripted = self._server.script(name, message_id) if self._server.script else None
            if isinstance(scripted, bytes):
                self._chan.write(scripted)
                return
            body = scripted if scripted is not None else await self._answer(name, operation)
        self.send(f'<rpc-reply xmlns="{BASE}" message-id="{message_id}">{body}</rpc-reply>')
        if name == "close-session":
            self._chan.exit(0)

    def send(self, text: str) -> None:
        data = text.encode()
        if not self._chunked:
            self._chan.write(data + b"]]>]]>")
            return
        half = len(data) // 2 or 1
        parts = [data[:half], data[half:]]
        chunks = b"".join(b"\n#%d\n%b" % (len(part), part) for part in parts if part)
        self._chan.write(chunks + b"\n##\n")

    async def _answer(self, name: str, operation: etree._Element) -> str:
        if not self._driver.alive:
            await self._driver.open()
        try:
            return await self._behave(name, operation)
        except DeviceLocked as error:
            return _error("lock-denied", error)
        except DeviceRejected as error:
            return _error(error.messages[0].tag if error.messages else "operation-failed", error)

    async def _behave(  # noqa: C901, PLR0912 - one arm per operation
        self, name: str, operation: etree._Element
    ) -> str:
        driver, device = self._driver, self._server.device
        token = operation.findtext("{*}persist-id") or ""
        match name:
            case "get-config" | "get":
                found = operation.find("{*}filter")
                selection = "" if found is None else _inner(found)
                return f"<data>{await driver.read(selection)}</data>"
            case "lock":
                await driver.lock("candidate")
            case "unlock":
                await driver.unlock("candidate")
            case "discard-changes":
                self._staged = []
            case "edit-config":
                await self._edit(operation)
            case "validate":
                await driver.validate("candidate")
            case "commit" if operation.find("{*}confirmed") is not None:
                persist = str(operation.findtext("{*}persist"))
                if device.pending == persist and token != persist:
                    return _plain_error("invalid-value", "persist-id missing")
                await driver.stage(persist, self._staged)
                await driver.commit(persist, int(operation.findtext("{*}confirm-timeout") or 600))
            case "commit" if token:
                await driver.confirm(token)
            case "commit":
                assert device.candidate is not None
                device.running = device.candidate
                self._staged = []
            case "cancel-commit":
                if device.pending != token:
                    return _plain_error("invalid-value", "no such pending commit")
                await driver.cancel(token)
            case "copy-config":
                await driver.save()
            case "close-session":
                pass
            case other:
                return _plain_error("operation-not-supported", other)
        return OK

    async def _edit(self, operation: etree._Element) -> None:
        config = operation.find("{*}config")
        assert config is not None
        await self._driver.stage("candidate", [*self._staged, _inner(config)])
        self._staged.append(_inner(config))


def _inner(node: etree._Element) -> str:
    return "".join(etree.tostring(child, encoding="unicode", with_tail=False) for child in node)


def _error(tag: str, error: DriverError) -> str:
    tag = "invalid-value" if tag == "no-such-commit" else tag
    return _plain_error(tag, error.message)


def _plain_error(tag: str, text: str, severity: str = "error") -> str:
    return (
        f"<rpc-error><error-type>application</error-type><error-tag>{tag}</error-tag>"
        f"<error-severity>{severity}</error-severity><error-message>{text}</error-message></rpc-error>"
    )


class _Login(asyncssh.SSHServer):
    def __init__(self, server: NetconfServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections.append(conn)

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Session(self._server)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("admin", "admin")


@pytest.fixture(scope="session")
def ssh_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


ServerFactory = Callable[..., Any]


@pytest.fixture
def netconf_server(ssh_key: asyncssh.SSHKey) -> ServerFactory:
    """`async with netconf_server(mode=..., capabilities=...) as server`."""

    @asynccontextmanager
    async def start(mode: Mode = Mode.CONFIRMED, **options: Any) -> AsyncIterator[NetconfServer]:
        device = MemoryDevice("box", mode, running="<top xmlns='urn:test'><keep>1</keep></top>")
        server = NetconfServer(device, **options)
        listener = await asyncssh.create_server(
            lambda: _Login(server),
            "127.0.0.1",
            0,
            server_host_keys=[ssh_key],
            encoding=None,
        )
        server.port = listener.get_port()
        server.host_key = ssh_key.export_public_key().decode()
        try:
            yield server
        finally:
            listener.close()
            for connection in server.connections:
                connection.abort()
                await connection.wait_closed()
            await listener.wait_closed()

    return start


@pytest.fixture
def run() -> Iterator[Callable[[Any], Any]]:
    """Run a coroutine to its end in a loop of its own."""
    with asyncio.Runner() as runner:
        yield runner.run


class _Answering(socketserver.StreamRequestHandler):
    """Reads one request, answers with the server's bytes and closes."""

    def handle(self) -> None:
        length = 0
        with suppress(OSError):
            while line := self.rfile.readline().strip().lower():
                name, _, value = line.partition(b":")
                length = int(value) if name == b"content-length" else length
            self.rfile.read(length)
            self.wfile.write(self.server.answer)  # type: ignore[attr-defined]


@pytest.fixture
def tls_server() -> Callable[[Bench, bytes], Any]:
    """`with tls_server(bench, answer) as port`: the same bytes, whatever the request."""

    @contextmanager
    def start(bench: Bench, answer: bytes) -> Iterator[int]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(bench._credentials.cert, bench._credentials.key)
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answering) as server:
            server.handle_error = lambda *_: None  # type: ignore[method-assign]
            server.answer = answer  # type: ignore[attr-defined]
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            yield server.socket.getsockname()[1]
            server.shutdown()

    return start


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@dataclass(frozen=True)
class NetconfNode:
    """A simulated OLT or BNG and how to reach it."""

    bench: Bench
    simulator: Simulator
    faults: FaultSet
    endpoint: Endpoint

    def arm(self, fault: str, **params: object) -> None:
        self.bench._loop.call_soon_threadsafe(self.faults.arm, parse_fault(fault, params))

    def clear(self) -> None:
        self.bench._loop.call_soon_threadsafe(self.faults.clear)


@contextmanager
def netconf_node(bench: Bench, name: str, model: str, **labels: str) -> Iterator[NetconfNode]:
    """A simulator that speaks NETCONF, beside those that the bench starts itself."""
    context = bench._context(name, model, labels, ())
    context = replace(context, ports=replace(context.ports, netconf=context.ports.https))
    key = asyncssh.read_private_key(context.host_key)
    make = factory(model)
    assert make is not None
    simulator = make(context)
    bench.call(simulator.start())
    endpoint = Endpoint(
        device=name,
        platform=model,
        protocol="netconf",
        host=context.host,
        port=context.ports.netconf,
        username="admin",
        password="admin",
        host_key=key.export_public_key().decode(),
    )
    yield NetconfNode(bench, simulator, context.faults, endpoint)
    bench.call(simulator.stop())


@pytest.fixture(scope="module")
def olt(bench: Bench) -> Iterator[NetconfNode]:
    with netconf_node(bench, "olt-1", "bbf-olt", **{"sim-pon-type": "gpon"}) as node:
        yield node


@pytest.fixture(scope="module")
def bng(bench: Bench) -> Iterator[NetconfNode]:
    with netconf_node(bench, "bng-1", "generic-bng") as node:
        yield node
