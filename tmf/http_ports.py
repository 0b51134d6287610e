"""The ports between the layers over HTTP: the next layer is another server, ours or a foreign one.

Orders, states and cancellation go by the official API. What-if and qualification are extensions of the public
surface: `POST /turnup/v1/simulations` and `GET /turnup/v1/qualification?place=…`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from tmf._json import Doc
from tmf.errors import InvalidQuery, PortUnreachable, RemoteRefused
from tmf.paths import BASE_PATHS
from tmf.ports import key_in, with_key

_TRANSIENT = frozenset({408, 425, 429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class _Shape:
    """What differs between the APIs."""

    api: str
    order: str  # serviceOrder
    cancel: str  # cancelServiceOrder
    id_filter: str  # attribute of externalReference that carries the key in this API

    @property
    def orders(self) -> str:
        return f"{BASE_PATHS[self.api]}/{self.order}"

    @property
    def cancels(self) -> str:
        return f"{BASE_PATHS[self.api]}/{self.cancel}"


_SERVICE = _Shape("641", "serviceOrder", "cancelServiceOrder", "externalReference.name")
_RESOURCE = _Shape("652", "resourceOrder", "cancelResourceOrder", "externalReference.id")


class _HttpOrdering:
    """Both ports: they differ in paths and names only.

    Args:
        base_url: address of the other server, without path.
        owner: who we are in the external references of the orders we send.
        headers: such as an authorization.
        timeout_s: how long the other server may take to answer, in seconds.

    """

    _shape: _Shape

    def __init__(
        self,
        base_url: str,
        owner: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self._owner = owner
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def submit(self, order: Doc, key: str) -> Doc:
        """Create an order, or return the one that this key made.

        Raises:
            PortUnreachable: the server did not answer; the same call again is safe.
            RemoteRefused: it refused, with its own code.

        """
        keyed = with_key(order, self._owner, key)
        return self._find(key) or self._object("POST", self._shape.orders, keyed)

    def get(self, order_id: str) -> Doc:
        """Return an order (raises as `submit` does)."""
        return self._object("GET", f"{self._shape.orders}/{quote(order_id, safe='')}")

    def cancel(self, order_id: str, reason: str) -> Doc:
        """Ask for cancellation and return the task (raises as `submit` does)."""
        body = {self._shape.order: {"id": order_id}, "cancellationReason": reason}
        return self._object("POST", self._shape.cancels, body)

    def simulate(self, order: Doc) -> Doc:
        """Return what the order would do (raises as `submit` does)."""
        return self._object("POST", "/turnup/v1/simulations", {self._shape.order: order})

    def qualify(self, place: str, request: Doc) -> Doc:
        """Return the technologies of a place (raises as `submit` does); `request` travels as one JSON parameter."""
        params = {"place": place} | ({"request": json.dumps(request)} if request else {})
        return self._object("GET", "/turnup/v1/qualification", params=params)

    def _find(self, key: str) -> Doc | None:
        """Look for the order of a key; a server that ignores the filter must not give us a stranger's."""
        found = self._call("GET", self._shape.orders, params={self._shape.id_filter: key})
        for order in found if isinstance(found, list) else ():
            if any(key_in(r) == key for r in order.get("externalReference") or ()):
                return dict(order)
        return None

    def _object(
        self,
        method: str,
        path: str,
        body: Doc | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Doc:
        answer = self._call(method, path, body, params)
        if not isinstance(answer, dict):
            raise RemoteRefused(f"{path} answered no JSON object.", status=502, body={})
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: Doc | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            answer = self._client.request(method, path, json=body, params=params)
        except httpx.HTTPError as error:
            raise PortUnreachable(
                f"{method} {self._client.base_url}{path}: {type(error).__name__}. Check that the server runs."
            ) from error
        if answer.is_success:
            return _json(answer, path)
        raise _refusal(answer, f"{method} {path}")


class HttpServiceOrdering(_HttpOrdering):
    """COM's port to a SOM behind HTTP (TMF641)."""

    _shape = _SERVICE


class HttpResourceOrdering(_HttpOrdering):
    """SOM's port to a ROM behind HTTP (TMF652)."""

    _shape = _RESOURCE


def qualification_request(parameter: str | None) -> Doc:
    """Read the `request` parameter of `GET /turnup/v1/qualification` (raises InvalidQuery)."""
    try:
        found = json.loads(parameter or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidQuery("request must be a JSON object, percent-encoded.")
    return found


def _json(answer: httpx.Response, path: str) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise RemoteRefused(f"{path} answered no JSON.", status=502, body={}) from None


def _refusal(answer: httpx.Response, call: str) -> PortUnreachable | RemoteRefused:
    body = _error_of(answer)
    said = body.get("message") or body.get("reason") or answer.reason_phrase
    if answer.status_code in _TRANSIENT:
        return PortUnreachable(f"{call}: HTTP {answer.status_code}, {said}")
    return RemoteRefused(f"{call}: {said}", status=answer.status_code, body=body)


def _error_of(answer: httpx.Response) -> Doc:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
