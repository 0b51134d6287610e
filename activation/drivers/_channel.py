"""One NETCONF session over SSH: login, hello, rpc matched to reply by message-id (RFC 6242 on asyncssh)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass

import asyncssh
from lxml import etree

from activation.drivers import _rpc
from activation.drivers._framing import FrameReader, FramingError, frame
from activation.drivers.base import (
    AuthenticationRefused,
    DeviceMessage,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    HostKeyMismatch,
    SessionDropped,
)


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How SSH sessions are made. Empty tuples: the library's defaults (right for production).

    In a lab curve25519-sha256 halves the CPU of a login: the post-quantum exchange costs 2-3 ms on each side.
    """

    kex_algs: tuple[str, ...] = ()
    encryption_algs: tuple[str, ...] = ()
    keepalive_s: float = 0.0
    """0: none. Else an idle session asks the peer every so many seconds and ends after three silences."""


class Channel(asyncssh.SSHClientSession[bytes]):
    """The NETCONF subsystem of one SSH connection. Use `connect` to make one."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.lost: str | None = None
        self._reader = FrameReader()
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[etree._Element]] = {}
        self._hello: asyncio.Future[_rpc.Hello] = asyncio.get_running_loop().create_future()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    async def hello(self, connection: asyncssh.SSHClientConnection) -> _rpc.Hello:
        """Exchange hellos and agree on the framing."""
        self._connection = connection
        self._write(frame(_rpc.client_hello(), chunked=False))
        return await self._hello

    async def rpc(self, operation: str, timeout_s: float) -> etree._Element:
        """Send `operation` in one write and return the `rpc-reply` with its message-id, errors and all.

        Raises:
            DeviceUnreachable: the session had ended before; nothing was sent.
            SessionDropped: it ended, or nothing sensible came back within `timeout_s`, after sending.
        """
        if self.lost is not None:
            raise DeviceUnreachable(
                self.device, f"the session had ended ({self.lost}); nothing was sent, try again"
            )
        message_id = str(next(self._ids))
        reply: asyncio.Future[etree._Element] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = reply
        self._write(frame(_rpc.rpc(message_id, operation), chunked=self._reader.chunked))
        try:
            async with asyncio.timeout(timeout_s):
                return await reply
        except TimeoutError as error:
            self.end(f"no answer within {timeout_s:g} s")
            raise self._dropped() from error
        except asyncio.CancelledError:
            self.end("the caller gave up waiting")
            raise
        finally:
            self._waiting.pop(message_id, None)

    def end(self, why: str) -> None:
        """Cut the session; who waits for a reply gets SessionDropped."""
        if self.lost is None:
            self.lost = why
        for reply in [*self._waiting.values()]:
            if not reply.done():
                reply.set_exception(self._dropped())
        if not self._hello.done():
            self._hello.set_exception(DeviceUnreachable(self.device, f"no NETCONF hello: {why}"))
            self._hello.exception()  # when nobody waits for it any more, asyncio would complain
        if self._connection is not None:
            self._connection.abort()

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None or self.lost is not None:
            return
        try:
            self._reader.feed(data)
            while (message := self._reader.next()) is not None:
                self._received(_rpc.parse(message))
        except (FramingError, _rpc.Garbage) as error:
            self.end(f"it sent {error}")

    def eof_received(self) -> bool:
        self.end("the device ended the session")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(str(exc) if exc else "the device closed the session")

    def _received(self, root: etree._Element) -> None:
        if not self._hello.done():
            hello = _rpc.parse_hello(root)
            self._reader.chunked = hello.has(_rpc.CAP_BASE_11)
            self._hello.set_result(hello)
        elif root.tag == _rpc.RPC_REPLY:
            self._answer(root)
        elif root.tag != _rpc.NOTIFICATION:
            msg = f"a message <{root.tag}> that is neither reply nor notification"
            raise _rpc.Garbage(msg)

    def _answer(self, reply: etree._Element) -> None:
        message_id = str(reply.get("message-id"))
        waiting = self._waiting.get(message_id)
        if waiting is None or waiting.done():
            msg = f"a reply with message-id {message_id} that nobody waits for"
            raise _rpc.Garbage(msg)
        waiting.set_result(reply)

    def _write(self, data: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(OSError, asyncssh.Error):
                self._channel.write(data)

    def _dropped(self) -> SessionDropped:
        return SessionDropped(
            self.device,
            f"the session ended in the middle of a call: {self.lost}. Whether it took effect is decided "
            f"by reading the device",
        )


async def connect(endpoint: Endpoint, settings: SshSettings) -> tuple[Channel, _rpc.Hello]:
    """Log in with the pinned host key, open the NETCONF subsystem and exchange hellos.

    Raises:
        DeviceUnreachable, AuthenticationRefused, HostKeyMismatch, DeviceRejected: as their classes say.
    """
    try:
        async with asyncio.timeout(endpoint.timeout_s):
            return await _connect(endpoint, settings)
    except TimeoutError as error:
        raise DeviceUnreachable(
            endpoint.device, f"no login within {endpoint.timeout_s:g} s at {_at(endpoint)}"
        ) from error


async def _connect(endpoint: Endpoint, settings: SshSettings) -> tuple[Channel, _rpc.Hello]:
    connection = await _login(endpoint, settings)
    try:
        channel = Channel(endpoint.device)
        await connection.create_session(lambda: channel, subsystem="netconf", encoding=None)
        return channel, await channel.hello(connection)
    except asyncssh.ChannelOpenError as error:
        connection.abort()
        raise DeviceRejected(
            endpoint.device,
            f"it refuses the NETCONF subsystem at {_at(endpoint)}; enable NETCONF over SSH on the device",
            messages=[DeviceMessage("operation-not-supported", str(error.reason))],
        ) from error
    except (OSError, asyncssh.Error) as error:
        connection.abort()
        raise DeviceUnreachable(endpoint.device, f"the login was cut: {error}") from error
    except BaseException:
        connection.abort()
        raise


async def _login(endpoint: Endpoint, settings: SshSettings) -> asyncssh.SSHClientConnection:
    key = _pinned(endpoint)
    try:
        return await asyncssh.connect(
            endpoint.host,
            endpoint.port,
            options=_options(endpoint, key, settings),
        )
    except (OSError, asyncssh.Error) as error:
        raise _login_error(endpoint, error) from error


def _pinned(endpoint: Endpoint) -> asyncssh.SSHKey:
    if endpoint.host_key is None:
        raise HostKeyMismatch(
            endpoint.device,
            f"the registry knows no host key for it; compare the output of `ssh-keyscan -p {endpoint.port} "
            f"{endpoint.host}` with the device's console and store it",
        )
    try:
        return asyncssh.import_public_key(endpoint.host_key)
    except asyncssh.KeyImportError as error:
        raise HostKeyMismatch(
            endpoint.device, "the host key in the registry is no OpenSSH public key; store it again"
        ) from error


def _options(
    endpoint: Endpoint, key: asyncssh.SSHKey, settings: SshSettings
) -> asyncssh.SSHClientConnectionOptions:
    return asyncssh.SSHClientConnectionOptions(
        username=endpoint.username,
        password=endpoint.password,
        known_hosts=([key], [], []),
        # Nothing of the person who started the server: no ~/.ssh/config, keys, agent or Kerberos.
        config=None,
        client_keys=None,
        agent_path=None,
        gss_host=None,
        preferred_auth="password,keyboard-interactive",
        kex_algs=settings.kex_algs or (),
        encryption_algs=settings.encryption_algs or (),
        keepalive_interval=settings.keepalive_s,
        connect_timeout=endpoint.timeout_s,
        login_timeout=endpoint.timeout_s,
    )


def _login_error(endpoint: Endpoint, error: Exception) -> DriverError:
    where = f"{endpoint.username}@{_at(endpoint)}"
    match error:
        case asyncssh.PermissionDenied():
            return AuthenticationRefused(
                endpoint.device,
                f"login refused for {where}; check the credential it is registered with",
            )
        case asyncssh.HostKeyNotVerifiable():
            return HostKeyMismatch(
                endpoint.device,
                f"the host key at {_at(endpoint)} is not the one in the registry; nothing was sent",
            )
        case asyncssh.KeyExchangeFailed() if "host key" in str(error):
            return HostKeyMismatch(
                endpoint.device, f"it has no host key of the type in the registry: {error}"
            )
        case _:
            return DeviceUnreachable(endpoint.device, f"no SSH login at {where}: {error}")


def _at(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"
