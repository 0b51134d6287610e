"""What every node with HTTPS has: its server, Basic authentication, and faults around requests."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path

from lab.embedded.device import Access, NodeContext
from lab.embedded.faults import Dropped
from lab.embedded.rest.basic_auth import authenticated
from lab.embedded.rest.https import DropConnection, HttpsServer, Request, Response

Answer = Callable[[Request], Awaitable[Response]]


def server_tls(context: NodeContext) -> ssl.SSLContext:
    """TLS 1.2 or later with the node's certificate."""
    return _server_tls(context.tls_cert, context.tls_key, context.tls_cert.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _server_tls(cert: Path, key: Path, _issued: int) -> ssl.SSLContext:
    # One context of OpenSSL takes 0.6 MB and 3 ms: the nodes of a lab share theirs.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(cert, key)
    return tls


class HttpsNode:
    """The listening half of a simulator.

    Args:
        protocol: what `access` calls it (`rest`, `eapi`).
        answer: called with each authenticated request.
        unauthorized: the answer to the others.
    """

    def __init__(
        self, context: NodeContext, protocol: str, answer: Answer, unauthorized: Response
    ) -> None:
        self._context = context
        self._answer, self._unauthorized = answer, unauthorized
        port = context.ports.https
        self.access = (Access(protocol, context.host, port, context.username),)
        self._server = HttpsServer(self._handle, context.host, port, lambda: server_tls(context))

    async def listen(self) -> None:
        """Open the port. OSError: the address is in use."""
        await self._server.start()

    async def refuse(self) -> None:
        """The link goes; the node works on."""
        await self._server.refuse()

    async def stop(self) -> None:
        """Power cut."""
        await self._server.stop()

    async def _handle(self, request: Request) -> Response:
        context = self._context
        if not authenticated(request.headers, context.username, context.password):
            return self._unauthorized
        gate = context.faults.requests
        try:
            await gate.before()
            response = await self._answer(request)
            await gate.after()
        except Dropped:
            raise DropConnection from None
        return response


def unauthorized(realm: str, body: bytes, content_type: str) -> Response:
    """401 with the challenge of RFC 7617."""
    challenge = ("www-authenticate", f'Basic realm="{realm}"')
    return Response(HTTPStatus.UNAUTHORIZED, body, (challenge, ("content-type", content_type)))
