"""Talk to a server."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote
from weakref import finalize

import typer

from store.errors import TurnupError
from turnup.environment import server_url
from turnup.errors import ServerUnreachable, WrongUsage

Json = Any
HTTP_ERRORS = 400
NOT_FOUND = 404
TIMEOUT_S = 60.0

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="Server address (TURNUP_SERVER)")
]


class ServerError(TurnupError):
    """The server refused; code, status and message are its own."""

    def __init__(
        self, code: str, message: str, status: int = 500, details: Json | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.code = code  # type: ignore[misc]
        self.status = status  # type: ignore[misc]


class Client:
    """A thin client of a Turnup server.

    Raises SERVER_UNREACHABLE, WRONG_USAGE (no address) and whatever the server answers.
    """

    def __init__(self, server: str | None) -> None:
        import httpx

        self.base = server_url(server)
        if not self.base.startswith(("http://", "https://")):
            raise WrongUsage(f"--server {self.base}: write it as http://HOST:PORT.")
        try:
            self._http = httpx.Client(base_url=self.base, timeout=TIMEOUT_S)
        except httpx.InvalidURL as error:
            raise WrongUsage(f"--server {self.base}: {error}.") from error
        finalize(self, self._http.close)

    def get(self, path: str, **params: Any) -> Json:
        """GET and return the JSON answer."""
        return self._call("GET", path, params=_given(params))

    def page(self, path: str, **params: Any) -> tuple[Json, int]:
        """GET one page of a list; return it and how many entries there are altogether."""
        answer = self._send("GET", path, params=_given(params))
        shown = _json(answer)
        return shown, int(answer.headers.get("X-Total-Count", len(shown)))

    def text(self, path: str, **params: Any) -> str:
        """GET and return the answer as it is."""
        return str(self._send("GET", path, params=_given(params)).text)

    def send(self, path: str, content: bytes, media_type: str, **params: Any) -> Json:
        """POST content of any type and return the JSON answer."""
        headers = {"Content-Type": media_type}
        return self._call("POST", path, content=content, headers=headers, params=_given(params))

    def find(self, path: str, **params: Any) -> Json | None:
        """GET and return the JSON answer, or None when there is no such thing."""
        try:
            return self.get(path, **params)
        except ServerError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: Json = None) -> Json:
        """POST a JSON body and return the JSON answer."""
        return self._call("POST", path, json=body if body is not None else {})

    def patch(self, path: str, body: Json) -> Json:
        """PATCH with a merge patch and return the JSON answer."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str, **params: Any) -> None:
        """DELETE."""
        self._call("DELETE", path, params=_given(params))

    def _call(self, method: str, path: str, **arguments: Any) -> Json:
        return _json(self._send(method, path, **arguments))

    def _send(self, method: str, path: str, **arguments: Any) -> Any:
        import httpx

        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise ServerUnreachable(
                f"{self.base} did not answer within {TIMEOUT_S:.0f} s; look at its log."
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ServerUnreachable(
                f"{self.base} does not answer ({error}); start one with `turnup serve`, or name it with --server."
            ) from error
        if answer.status_code >= HTTP_ERRORS:
            raise _refused(answer)
        return answer


def segment(name: str) -> str:
    """Return a name as one segment of a path, slashes encoded, and dots that would lead elsewhere."""
    return name.replace(".", "%2E") if name in {".", ".."} else quote(name, safe="@:")


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _json(answer: Any) -> Json:
    try:
        return answer.json() if answer.content else None
    except ValueError as error:
        raise ServerError(
            "SERVER_ERROR", f"{answer.url} answers, but is no Turnup server."
        ) from error


def _refused(answer: Any) -> ServerError:
    status = answer.status_code
    try:
        body = answer.json()
        message = str(body.get("message") or body["reason"])
        return ServerError(str(body["code"]), message, status, body.get("details"))
    except (ValueError, KeyError, TypeError):
        shown = " ".join(answer.text[:200].split())
        return ServerError("SERVER_ERROR", f"{answer.url} answered {status} {shown}", status)
