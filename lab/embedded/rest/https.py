"""A small HTTP/1.1 server over TLS on asyncio streams and h11: one listener costs microseconds.

A web framework per node would cost more than the node; a thousand of these share one event loop.
What a handler needs of HTTP is in `Request` and `Response`; bodies are whole, never streamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

LOG = logging.getLogger("lab.https")
MAX_BODY: Final = 16 * 1024 * 1024
CHUNK: Final = 65536
HANDSHAKE_S: Final = 10
GOODBYE_S: Final = 2
_WITHOUT_BODY: Final = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class DropConnection(Exception):
    """The connection is to be cut without an answer, as a failing link does."""


class BodyTooLarge(Exception):
    """The request's body is over `MAX_BODY` bytes."""


@dataclass(frozen=True)
class Request:
    """One request. Header names are in lower case; `path` is decoded and has no query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """One answer; Content-Length and Connection are added when it is sent."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())


Handler = Callable[[Request], Awaitable[Response]]


class HttpsServer:
    """One address of one node."""

    def __init__(
        self, handler: Handler, host: str, port: int, tls: Callable[[], ssl.SSLContext]
    ) -> None:
        self._handler = handler
        self._host, self._port, self._tls = host, port, tls
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def listening(self) -> bool:
        """Whether the port is open."""
        return self._server is not None

    async def start(self) -> None:
        """Open the port; a server that listens already is left alone. OSError: address in use."""
        if self._server is None:
            self._context = self._tls()
            self._server = await asyncio.start_server(self._serve, self._host, self._port)

    async def refuse(self) -> None:
        """Close the port and cut every connection; requests in work are carried to their end."""
        server, self._server = self._server, None
        if server is not None:
            # A connection that was accepted but not yet attached to the server leaks its socket
            # when the server is closed under it: let those in first.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Power cut: as `refuse`, and requests in work end where they are."""
        await self.refuse()
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted just before the port was closed
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            await self._converse(reader, writer)
            await _say_goodbye(writer)
        except asyncio.CancelledError:
            LOG.debug("connection cut by a stop")
        except (OSError, DropConnection):
            LOG.debug("connection lost")
        finally:
            writer.transport.abort()
            del self._open[task]

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not by start_server: what is still in its handshake then could not be cut by a stop.
        await writer.start_tls(self._context, ssl_handshake_timeout=HANDSHAKE_S)
        await _Conversation(self._handler, reader, writer).run()


async def _say_goodbye(writer: asyncio.StreamWriter) -> None:
    """Close TLS in order, but not for ever: a client that is gone answers no close_notify."""
    writer.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GOODBYE_S):
            await writer.wait_closed()


class _Conversation:
    """Requests and answers of one connection, in order."""

    def __init__(
        self, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._handler, self._reader, self._writer = handler, reader, writer
        self._http = h11.Connection(h11.SERVER)
        self._head = False

    async def run(self) -> None:
        while await self._exchange():
            self._http.start_next_cycle()

    async def _exchange(self) -> bool:
        """Serve one request; False when the connection is at its end."""
        try:
            request = await self._request()
        except (h11.RemoteProtocolError, BodyTooLarge) as error:
            await self._refuse(error)
            return False
        if request is None:
            return False
        await self._send(await self._answer(request))
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except DropConnection:
            raise
        except Exception:  # a fault of the simulator must show as 500, not as a lost session
            LOG.exception("%s %s", request.method, request.path)
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _request(self) -> Request | None:
        head = await self._event()
        if not isinstance(head, h11.Request):
            return None
        self._head = head.method == b"HEAD"
        return _request(head, await self._body())

    async def _body(self) -> bytes:
        parts = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            parts += event.data
            if len(parts) > MAX_BODY:
                raise BodyTooLarge
        if isinstance(event, h11.ConnectionClosed):
            raise ConnectionResetError
        return bytes(parts)

    async def _event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(CHUNK))
        return event

    async def _refuse(self, error: Exception) -> None:
        too_large = isinstance(error, BodyTooLarge)
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            await self._send(Response(status, headers=(("connection", "close"),)))

    async def _send(self, response: Response) -> None:
        headers = list(response.headers)
        if response.status not in _WITHOUT_BODY:
            headers.append(("content-length", str(len(response.body))))
        # pyeapi tells a refused login by the reason phrase, which h11 leaves empty.
        reason = HTTPStatus(response.status).phrase
        await self._write(
            h11.Response(status_code=response.status, headers=headers, reason=reason.encode())
        )
        if response.body and not self._head:
            await self._write(h11.Data(data=response.body))
        await self._write(h11.EndOfMessage())

    async def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


def _request(head: h11.Request, body: bytes) -> Request:
    url = urlsplit(head.target.decode("ascii"))
    return Request(
        method=head.method.decode("ascii"),
        path=unquote(url.path),
        query=dict(parse_qsl(url.query, keep_blank_values=True)),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in head.headers},
        body=body,
    )
