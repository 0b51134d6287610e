"""REST driver: mode C over HTTPS (httpx), CA verified, ETag and If-Match (RFC 9110 §13.1) against lost updates.

An edit is one JSON object `{"method", "path", "body"?}`. What was read last decides the precondition: a body with
an ETag → If-Match, an absence → If-None-Match: *; so nobody can slip in between our look and our write.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from activation.drivers.base import (
    AuthenticationRefused,
    DeviceLocked,
    DeviceMessage,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    HostKeyMismatch,
    Mode,
    SessionDropped,
)

METHODS = frozenset({"PUT", "PATCH", "POST", "DELETE"})
_ABSENT = ""
_LOCKED = 423
_BUSY = frozenset({429, 503})


@functools.lru_cache(maxsize=64)
def tls_context(ca_path: str | None) -> ssl.SSLContext:
    """Return a verifying TLS context for a CA file (None: the system's authorities)."""
    return ssl.create_default_context(cafile=ca_path)


class RestDriver:
    """HTTP calls to one controller; there is no transaction, every edit acts at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.mode = Mode.IMMEDIATE
        self._endpoint = endpoint
        self._client: httpx.AsyncClient | None = None
        self._etags: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"RestDriver({self._endpoint!r})"

    @property
    def alive(self) -> bool:
        """Whether calls can be sent."""
        return self._client is not None

    @property
    def holds(self) -> bool:
        """Never: HTTP has no lock."""
        return False

    async def open(self) -> None:
        """Check that the server is there and shows a certificate of its CA (one TLS handshake, no request).

        Raises:
            DeviceUnreachable, HostKeyMismatch: as their classes say.
        """
        context = await self._tls()
        await self._probe(context)
        self._client = httpx.AsyncClient(
            base_url=f"https://{_bracketed(self._endpoint.host)}:{self._endpoint.port}",
            auth=httpx.BasicAuth(self._endpoint.username, self._endpoint.password),
            verify=context,
            timeout=self._endpoint.timeout_s,
            trust_env=False,
            # Servers close idle connections after 5 s; one that closes while we write looks like a drop.
            limits=httpx.Limits(max_connections=4, keepalive_expiry=3.0),
        )

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        self._etags.clear()
        if client is not None:
            await client.aclose()

    def abort(self) -> None:
        """Forget the connections; they are closed in the background."""
        client, self._client = self._client, None
        self._etags.clear()
        if client is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the sockets with it
                closing = asyncio.get_running_loop().create_task(_closed(client))
                closing.add_done_callback(_ignore)

    async def read(self, selection: str) -> str:
        """GET each path of the JSON list `selection`; answer JSON object path → body, null when absent."""
        paths = self._paths(selection)
        bodies = {path: await self._get(path) for path in paths}
        return json.dumps(bodies, sort_keys=True)

    async def read_state(self, selection: str) -> str:
        """Return the same as `read`: REST does not keep state apart."""
        return await self.read(selection)

    async def lock(self, name: str) -> None:
        """Do nothing: HTTP has no lock."""

    async def unlock(self, name: str) -> None:
        """Do nothing: HTTP has no lock."""

    async def stage(self, name: str, edits: Sequence[str]) -> None:
        """Refuse: every edit acts at once (mode C)."""
        raise self._unsupported("stage", name, edits)

    async def validate(self, name: str) -> None:
        """Refuse: mode C."""
        raise self._unsupported("validate", name)

    async def commit(self, name: str, timeout_s: int) -> None:
        """Refuse: mode C."""
        raise self._unsupported("commit", name, timeout_s)

    async def confirm(self, name: str) -> None:
        """Refuse: mode C."""
        raise self._unsupported("confirm", name)

    async def cancel(self, name: str) -> None:
        """Refuse: mode C."""
        raise self._unsupported("cancel", name)

    async def apply(self, edit: str) -> None:
        """Send one call. A DELETE of what is not there is done.

        Raises:
            DeviceRejected: no such edit (nothing sent), or the server said no; 412 = changed since it was read.
        """
        method, path, body = self._edit(edit)
        response = await self._send(method, path, body, self._precondition(method, path))
        self._etags.pop(path, None)
        if method == "DELETE" and response.status_code == httpx.codes.NOT_FOUND:
            return
        self._check(response, path)
        if method != "DELETE" and (etag := response.headers.get("etag")):
            self._etags[path] = etag

    async def save(self) -> None:
        """Do nothing: controllers keep what they accept."""

    async def _get(self, path: str) -> Any:
        response = await self._send("GET", path, None, {})
        if response.status_code == httpx.codes.NOT_FOUND:
            self._etags[path] = _ABSENT
            return None
        self._check(response, path)
        self._remember(path, response)
        try:
            return response.json()
        except ValueError as error:
            raise SessionDropped(self._endpoint.device, f"{path}: the answer is no JSON") from error

    def _remember(self, path: str, response: httpx.Response) -> None:
        if etag := response.headers.get("etag"):
            self._etags[path] = etag
        else:
            self._etags.pop(path, None)

    def _precondition(self, method: str, path: str) -> dict[str, str]:
        etag = self._etags.get(path)
        if etag is None:
            return {}
        if etag == _ABSENT:
            return {"if-none-match": "*"} if method == "PUT" else {}
        return {"if-match": etag}

    async def _send(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> httpx.Response:
        client = self._client
        if client is None:
            raise DeviceUnreachable(self._endpoint.device, "the session is not open")
        try:
            return await client.request(method, path, headers=dict(headers), **_json(body))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._no_connection(error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self.abort()
            raise SessionDropped(
                self._endpoint.device,
                f"{method} {path}: the connection ended in the middle ({type(error).__name__}); "
                f"whether it took effect is decided by reading",
            ) from error

    def _check(self, response: httpx.Response, path: str) -> None:
        status = response.status_code
        if response.is_success:
            return
        messages = [DeviceMessage(str(status), _problem(response), path)]
        words = f"{response.request.method} {path}: {status} {messages[0].message}"
        device = self._endpoint.device
        if status == httpx.codes.UNAUTHORIZED:
            raise AuthenticationRefused(device, f"credentials refused ({words})", messages=messages)
        if status == _LOCKED:
            raise DeviceLocked(device, words, messages=messages)
        if status in _BUSY:
            raise DeviceUnreachable(
                device, f"it is busy ({words}); nothing was done", messages=messages
            )
        if response.is_server_error:
            raise SessionDropped(device, f"it failed ({words})", messages=messages)
        raise DeviceRejected(device, f"refused ({words})", messages=messages)

    def _paths(self, selection: str) -> list[str]:
        try:
            paths = json.loads(selection or "[]")
        except ValueError:
            paths = None
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise self._rejected("a selection is a JSON list of paths; nothing was sent")
        return paths

    def _edit(self, edit: str) -> tuple[str, str, Any]:
        try:
            call = json.loads(edit)
        except ValueError:
            call = None
        if not isinstance(call, dict) or call.get("method") not in METHODS:
            raise self._rejected(
                f"an edit is {{method, path, body}} with one of {sorted(METHODS)}; nothing was sent"
            )
        path = call.get("path")
        if not isinstance(path, str) or not path.startswith("/"):
            raise self._rejected("an edit's path starts with /; nothing was sent")
        return call["method"], path, call.get("body")

    def _rejected(self, why: str) -> DeviceRejected:
        return DeviceRejected(self._endpoint.device, why, messages=[DeviceMessage("400", why)])

    def _unsupported(self, call: str, *given: object) -> DeviceRejected:
        del given
        why = f"it cannot {call}: over REST every edit acts at once (mode C)"
        message = DeviceMessage("operation-not-supported", why)
        return DeviceRejected(self._endpoint.device, why, messages=[message])

    async def _tls(self) -> ssl.SSLContext:
        try:
            return tls_context(self._endpoint.ca_path)
        except (OSError, ssl.SSLError) as error:
            raise self._bad_ca(error) from error

    async def _probe(self, context: ssl.SSLContext) -> None:
        try:
            async with asyncio.timeout(self._endpoint.timeout_s):
                _, writer = await asyncio.open_connection(
                    self._endpoint.host, self._endpoint.port, ssl=context
                )
        except (OSError, TimeoutError) as error:
            raise self._no_connection(error) from error
        writer.transport.abort()

    def _no_connection(self, error: Exception) -> DriverError:
        return tls_or_unreachable(self._endpoint, error)

    def _bad_ca(self, error: Exception) -> DriverError:
        return HostKeyMismatch(
            self._endpoint.device,
            f"its CA file {self._endpoint.ca_path} cannot be used ({error}); correct it in the registry",
        )


def tls_or_unreachable(endpoint: Endpoint, error: BaseException) -> DriverError:
    """Return HostKeyMismatch when the certificate was the reason, else DeviceUnreachable (nothing was sent)."""
    where = f"{endpoint.host}:{endpoint.port}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return HostKeyMismatch(
            endpoint.device, f"the certificate at {where} is not of the CA in the registry: {error}"
        )
    return DeviceUnreachable(
        endpoint.device, f"no HTTPS connection to {where}: {error or type(error).__name__}"
    )


def _problem(response: httpx.Response) -> str:
    """The server's words: RFC 9457 `detail`/`title`, or `message`, `error`, else the text."""
    try:
        body = response.json()
    except ValueError:
        return response.text[:500] or response.reason_phrase
    if isinstance(body, dict):
        words = [str(body[key]) for key in ("detail", "message", "error", "title") if body.get(key)]
        return words[0] if words else json.dumps(body)[:500]
    return str(body)[:500]


def _json(body: Any) -> dict[str, Any]:
    return {} if body is None else {"json": body}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _closed(client: httpx.AsyncClient) -> None:
    await client.aclose()


def _ignore(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
