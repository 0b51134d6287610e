"""Talk to a server and print what it says, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from store.errors import TurnupError
from turnup.environment import server_url

Json = Any


class Output(StrEnum):
    """How a reading command prints."""

    TABLE = "table"
    JSON = "json"


ServerOption = Annotated[
    str | None, typer.Option("--server", help="Server address (TURNUP_SERVER)")
]
OutputOption = Annotated[Output, typer.Option("--output", help="How to print")]


class ServerError(TurnupError):
    """The server refused; code and message are its own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class ServerUnreachable(TurnupError):
    """Nobody answers at the server's address."""

    code = "SERVER_UNREACHABLE"
    status = 503
    reason = "Nobody answers at the server's address"


class Client:
    """A thin client of a Turnup server."""

    def __init__(self, server: str | None) -> None:
        import httpx

        self.base = server_url(server)
        self._http = httpx.Client(base_url=self.base, timeout=60.0)

    def get(self, path: str, **params: Any) -> Json:
        """GET and return the JSON answer."""
        return self._call("GET", path, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: Json = None) -> Json:
        """POST a JSON body and return the JSON answer."""
        return self._call("POST", path, json=body if body is not None else {})

    def patch(self, path: str, body: Json) -> Json:
        """PATCH with a merge patch and return the JSON answer."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str, **params: Any) -> None:
        """DELETE."""
        self._call("DELETE", path, params={k: v for k, v in params.items() if v is not None})

    def _call(self, method: str, path: str, **arguments: Any) -> Json:
        import httpx

        try:
            answer = self._http.request(method, path, **arguments)
        except httpx.TransportError as error:
            raise ServerUnreachable(
                f"{self.base} does not answer ({error}); start one with `turnup serve`, or name it with --server."
            ) from error
        if answer.status_code >= 400:  # noqa: PLR2004
            raise _refused(answer)
        return answer.json() if answer.content else None


def show(data: Json, output: Output, columns: Sequence[str] = ()) -> None:
    """Print JSON, or a table of the named columns (dotted paths) with one row per entry."""
    if output is Output.JSON:
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    rows = data if isinstance(data, list) else [data]
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.rsplit(".", 1)[-1].upper(), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row, column) for column in columns))
    Console().print(table if rows else "nothing")


def _cell(row: Json, path: str) -> str:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    if isinstance(row, list | dict):
        return json.dumps(row, ensure_ascii=False)
    return "" if row is None else str(row)


def _refused(answer: Any) -> ServerError:
    try:
        body = answer.json()
        return ServerError(str(body["code"]), str(body.get("message") or body["reason"]))
    except (ValueError, KeyError, TypeError):
        return ServerError("SERVER_ERROR", f"{answer.status_code} {answer.text[:200]}")
