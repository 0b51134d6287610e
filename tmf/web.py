"""How errors and limits look on the wire: one Error body for every refusal, whatever refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from store import NotFound, TurnupError
from tmf._json import MAX_BODY, parse
from tmf.errors import (
    BodyTooLarge,
    InvalidBody,
    InvalidQuery,
    MethodNotAllowed,
    UnsupportedMediaType,
    error_body,
)

log = logging.getLogger("turnup.tmf")

MERGE_PATCH = frozenset({"application/json", "application/merge-patch+json"})
JSON_PATCH = "application/json-patch+json"
_PAGES = Path(__file__).parents[1] / "docs" / "errors"
_INLINE = 256 * 1024


class TmfResponse(JSONResponse):
    """JSON as the v4 files name it: with its charset."""

    media_type = "application/json;charset=utf-8"


def install(app: FastAPI, other_types: Mapping[str, frozenset[str]] | None = None) -> None:
    """Give an application the error bodies, the limits and `/docs/errors/{code}`.

    `other_types` says by address which media types beside JSON a body may have; the route reads those itself.
    """
    app.add_exception_handler(TurnupError, _on_turnup_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_middleware(Boundary, other_types=other_types or {})
    app.add_api_route("/docs/errors/{code}", _page, include_in_schema=False)


def media_type(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the request's media type without parameters, in lower case; empty when there is none."""
    for name, value in headers:
        if name == b"content-type":
            return value.decode("latin-1").split(";")[0].strip().lower()
    return ""


class Boundary:
    """ASGI middleware at the rim: size, media type and shape of bodies, and a body for what nobody caught.

    The parsed body is left in `request.state.json`, so that handlers see exactly what was sent.
    """

    def __init__(
        self, app: ASGIApp, other_types: Mapping[str, frozenset[str]] = MappingProxyType({})
    ) -> None:
        self._app = app
        self._other_types = other_types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = _Started(send)
        try:
            receive = await self._admit(scope, receive)
            await self._app(scope, receive, started)
        except TurnupError as error:
            await _respond(error)(scope, receive, started)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if started.yes:
                raise
            await _respond(_internal(scope))(scope, receive, started)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive:
        _check_address(scope)
        if scope["method"] not in {"POST", "PATCH", "PUT"}:
            return receive
        body = await _read(scope, receive)
        if body and media_type(scope["headers"]) not in self._other_types.get(scope["path"], ()):
            _check_media_type(scope)
            large = len(body) > _INLINE
            value = await to_thread.run_sync(parse, body) if large else parse(body)
            scope.setdefault("state", {})["json"] = value
        return _Replay(body, receive)


class _Started:
    """A `send` that remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.yes = False

    async def __call__(self, message: Message) -> None:
        self.yes = True
        await self._send(message)


class _Replay:
    """A `receive` that hands the body out once and then listens to the client again."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read(scope: Scope, receive: Receive) -> bytes:
    declared = dict(scope["headers"]).get(b"content-length", b"0")
    _check_size(int(declared) if declared.isdigit() else 0)
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        _check_size(size)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _check_address(scope: Scope) -> None:
    """Refuse NUL, which PostgreSQL refuses as a text, before anything looks for it."""
    if "\x00" in scope["path"]:
        raise NotFound("The address contains a NUL character, and no id does.")
    if b"%00" in scope["query_string"]:
        raise InvalidQuery("A query parameter contains a NUL character; remove it.")


def _check_size(size: int) -> None:
    if size > MAX_BODY:
        raise BodyTooLarge(f"The body has more than {MAX_BODY} bytes; split the request.")


def _check_media_type(scope: Scope) -> None:
    found = media_type(scope["headers"])
    allowed = MERGE_PATCH | {JSON_PATCH} if scope["method"] == "PATCH" else {"application/json"}
    if found not in allowed:
        raise UnsupportedMediaType(
            f"The body is {found or 'of no named media type'}; send {' or '.join(sorted(allowed))}."
        )


def _respond(error: TurnupError, headers: dict[str, str] | None = None) -> Response:
    return TmfResponse(error_body(error), status_code=error.status, headers=headers)


def _internal(scope: Scope) -> TurnupError:
    return TurnupError(
        f"{scope['method']} {scope['path']} failed in the server; its log has the cause. Report it with the time."
    )


async def _on_turnup_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TurnupError)
    if error.status >= 500 and not error.transient:  # noqa: PLR2004
        log.error("%s: %s", error.code, error.message, exc_info=error)
    return _respond(error)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _respond(validation_error(error.errors()))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return _respond(NotFound(f"There is nothing at {request.url.path}."), headers)
        case 405:
            allowed = ", ".join(_methods(request))
            message = f"{request.method} is not known at {request.url.path}; {allowed} are."
            return _respond(MethodNotAllowed(message), {"Allow": allowed})
        case 413:
            return _respond(BodyTooLarge(str(error.detail)), headers)
        case status if status < 500:  # noqa: PLR2004
            body = error_body(InvalidBody(str(error.detail)), status)
            return TmfResponse(body, status_code=status, headers=headers)
        case _:
            return _respond(_internal(request.scope), headers)


def _methods(request: Request) -> list[str]:
    """Return all methods of an address; the framework names those of its first route only."""
    routes = request.app.router.routes
    return [
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(r.matches({**request.scope, "method": method})[0] is Match.FULL for r in routes)
    ]


def validate(model: type[BaseModel], body: Any) -> None:
    """Hold a body against a model. Raises InvalidBody, which names every wrong attribute."""
    try:
        model.model_validate(body)
    except ValidationError as error:
        raise validation_error(error.errors()) from None


def validation_error(errors: Sequence[Any]) -> TurnupError:
    """Turn pydantic's findings into one error that names every wrong attribute by its dotted path."""
    findings = [{"path": _path(item["loc"]), "problem": item["msg"]} for item in errors]
    shown = "; ".join(f"{item['path'] or 'body'}: {item['problem']}" for item in findings[:5])
    more = f" (and {len(findings) - 5} more)" if len(findings) > 5 else ""  # noqa: PLR2004
    kind = InvalidQuery if errors and errors[0]["loc"][:1] == ("query",) else InvalidBody
    return kind(f"{shown}{more}. Correct it and send again.", details={"findings": findings[:50]})


def _path(loc: Sequence[Any]) -> str:
    inner = loc[1:] if loc and loc[0] in {"body", "query", "path"} else loc
    return ".".join(str(part) for part in inner if part not in {"merge-patch", "json-patch"})


def _page(code: str) -> Response:
    """Explain a code: its page when the documentation is at hand, else what its class says."""
    page = _PAGES / f"{code}.md"
    if code.replace("_", "").isalnum() and page.is_file():
        return PlainTextResponse(page.read_text("utf-8"), media_type="text/markdown; charset=utf-8")
    for kind in _kinds(TurnupError):
        if kind.code == code:
            return PlainTextResponse(
                f"# {code}\n{kind.reason} (HTTP {kind.status}).\n{kind.__doc__}\n"
            )
    raise NotFound(f"There is no error code {code}.")


def _kinds(root: type[TurnupError]) -> list[type[TurnupError]]:
    return [root] + [kind for child in root.__subclasses__() for kind in _kinds(child)]
