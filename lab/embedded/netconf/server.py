"""The SSH side (RFC 6242): one listener per device, subsystem `netconf`, password login."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import asyncssh

LOGIN_TIMEOUT_S = 30


class Serve(Protocol):
    """Runs one session on an open channel."""

    async def __call__(self, channel: Channel) -> None:
        """Return when the session is over."""


class Channel:
    """An SSH channel as two byte streams that can be cut off."""

    def __init__(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._process = process

    async def read(self, limit: int) -> bytes:
        """Return what has come, b'' at the end or when the connection is gone."""
        try:
            return await self._process.stdin.read(limit)
        except (asyncssh.Error, OSError):
            return b""

    async def write(self, data: bytes) -> None:
        """Send all of it; raises OSError when the connection is gone."""
        try:
            self._process.stdout.write(data)
            await self._process.stdout.drain()
        except asyncssh.Error as error:
            raise ConnectionResetError(str(error)) from None

    def cut(self) -> None:
        """Drop the whole connection, as a pulled cable would."""
        connection = self._process.channel.get_connection()
        connection.abort()

    def close(self) -> None:
        """End the session in order."""
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.exit(0)


class _Login(asyncssh.SSHServer):
    def __init__(
        self, username: str, password: str, open_ones: set[asyncssh.SSHServerConnection]
    ) -> None:
        self._username = username
        self._password = password
        self._open = open_ones
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._open.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._connection:
            self._open.discard(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        same_name = hmac.compare_digest(username.encode(), self._username.encode())
        return hmac.compare_digest(password.encode(), self._password.encode()) and same_name


class SshListener:
    """Accepts NETCONF sessions on one address."""

    def __init__(
        self, host: str, port: int, *, host_key: Path, username: str, password: str, serve: Serve
    ) -> None:
        self._where = (host, port)
        self._host_key = host_key
        self._login = (username, password)
        self._serve = serve
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncssh.SSHServerConnection] = set()

    async def open(self) -> None:
        """Listen."""
        if self._acceptor is None:
            host, port = self._where
            self._acceptor = await asyncssh.listen(
                host,
                port,
                options=_options(self._host_key),
                server_factory=lambda: _Login(*self._login, self._connections),
                process_factory=self._start,
            )

    async def close(self) -> None:
        """Stop listening and cut all connections; returns when their sessions are over."""
        if self._acceptor:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        for connection in tuple(self._connections):
            connection.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, process: asyncssh.SSHServerProcess[Any]) -> None:
        # A task of our own: asyncssh cancels its tasks with the connection, in the middle of a commit.
        task = asyncio.get_running_loop().create_task(self._run(process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        if process.subsystem != "netconf":
            process.stderr.write(b"this port speaks NETCONF: ask for the subsystem netconf\n")
            process.exit(1)
            return
        channel = Channel(process)
        try:
            await self._serve(channel)
        finally:
            channel.close()


@cache
def _options(host_key: Path) -> asyncssh.SSHServerConnectionOptions:
    """One set of options for all devices of a lab: preparing them is most of a listener's cost."""
    return asyncssh.SSHServerConnectionOptions(
        server_host_keys=[str(host_key)],
        encoding=None,
        line_editor=False,
        allow_pty=False,
        login_timeout=LOGIN_TIMEOUT_S,
        config=(),
        gss_host=None,
        agent_forwarding=False,
        x11_forwarding=False,
    )
