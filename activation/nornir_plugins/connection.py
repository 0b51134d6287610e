"""Connection plug-in `turnup`: a device's pooled session, for async tasks and for ordinary sync ones.

    async def task(task):                                  # under the runner `turnup_async`
        async with device(task).session() as driver:
            return await driver.read("")

    def task(task):                                        # any runner
        return device(task).run(lambda driver: driver.read(""))

Opening it does no I/O; the session is opened (or found open) when it is borrowed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from activation.credentials import Credentials
from activation.drivers.base import Driver, Endpoint, Mode
from activation.drivers.factory import Drivers
from activation.drivers.loop import LoopThread, shared_loop
from activation.drivers.pool import Session, SessionFactory, SessionPool

if TYPE_CHECKING:
    from nornir.core.configuration import Config
    from nornir.core.task import Task

T = TypeVar("T")
NAME = "turnup"
DEFAULT_PORTS = {"netconf": 830, "eapi": 443, "rest": 443}


class Sessions:
    """A session pool in its event-loop thread; one per process is enough (`process_sessions`)."""

    def __init__(
        self,
        make: SessionFactory | None = None,
        *,
        loop: LoopThread | None = None,
        idle_s: float = 60.0,
        max_opens: int = 64,
    ) -> None:
        self.loop = loop or shared_loop()
        self.pool = SessionPool(make or Drivers(), idle_s=idle_s, max_opens=max_opens)

    def close(self) -> None:
        """Close all sessions."""
        self.loop.run(self.pool.close())


_process: list[Sessions] = []


def process_sessions() -> Sessions:
    """Return the sessions that plain Nornir scripts of this process share."""
    if not _process:
        _process.append(Sessions())
    return _process[0]


@dataclass(frozen=True, slots=True)
class DeviceConnection:
    """What a task gets: the way to borrow the device's session."""

    endpoint: Endpoint
    sessions: Sessions = field(repr=False)
    promised: Mode | None = None

    def session(self) -> AbstractAsyncContextManager[Session]:
        """Borrow the session inside the device loop (async tasks)."""
        return self.sessions.pool.session(self.endpoint, promised=self.promised)

    def run(self, work: Callable[[Driver], Awaitable[T]]) -> T:
        """Borrow the session, run `work(driver)` in the device loop and return its result (sync tasks)."""
        return self.sessions.loop.run(self._borrowed(work))

    async def _borrowed(self, work: Callable[[Driver], Awaitable[T]]) -> T:
        async with self.session() as driver:
            return await work(driver)


class TurnupConnection:
    """The plug-in. Options in `extras`: protocol, host_key, ca_path, timeout_s, credential_ref."""

    def __init__(self) -> None:
        self._connection: DeviceConnection | None = None

    def open(
        self,
        hostname: str | None,
        username: str | None,
        password: str | None,
        port: int | None,
        platform: str | None,
        extras: dict[str, Any] | None = None,
        configuration: Config | None = None,
    ) -> None:
        """Say how the device is reached; no I/O.

        Raises:
            CredentialError: its credential cannot be found.
        """
        del configuration
        options = extras or {}
        protocol = str(options.get("protocol", "netconf"))
        endpoint = Endpoint(
            device=str(options.get("device") or hostname),
            platform=platform or "",
            protocol=protocol,
            host=hostname or "",
            port=port or DEFAULT_PORTS.get(protocol, 0),
            username=username or "",
            password=password or _secret(options),
            host_key=options.get("host_key"),
            ca_path=options.get("ca_path"),
            timeout_s=float(options.get("timeout_s", 10.0)),
        )
        sessions = options.get("sessions") or process_sessions()
        self._connection = DeviceConnection(endpoint, sessions, options.get("promised"))

    def close(self) -> None:
        """Give the connection back; the session stays in the pool for the next task."""
        self._connection = None

    @property
    def connection(self) -> DeviceConnection:
        """The way to borrow the device's session."""
        if self._connection is None:
            msg = "the connection is closed: get it again from the host"
            raise RuntimeError(msg)
        return self._connection


def device(task: Task) -> DeviceConnection:
    """Return the connection of the task's host."""
    connection = task.host.get_connection(NAME, task.nornir.config)
    if not isinstance(connection, DeviceConnection):
        msg = f"connection plug-in {NAME!r} is not Turnup's: {type(connection).__name__}"
        raise TypeError(msg)
    return connection


def _secret(options: dict[str, Any]) -> str:
    ref = options.get("credential_ref")
    if not ref:
        return ""
    credentials: Credentials = options.get("credentials") or Credentials()
    return credentials.resolve(ref).reveal()
