"""What a call of ours takes, and nothing else: parameters it does not know, and names with slashes in paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote
from weakref import WeakKeyDictionary

from fastapi import Path, Request
from fastapi.routing import APIRoute
from pydantic import AfterValidator
from starlette.types import ASGIApp, Receive, Scope, Send

from store import NotFound
from tmf.errors import InvalidQuery


async def known_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have, or that comes twice. Raises InvalidQuery."""
    query = request.scope["query_string"]
    if not query:
        return
    known = _parameters(request.scope["route"])
    given = Counter(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    for name, times in given.items():
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise InvalidQuery(f"{name!r} is no parameter of this call; {takes}.")
        if times > 1:
            raise InvalidQuery(f"{name!r} is given {times} times; give it once.")


_known: WeakKeyDictionary[Callable[..., Any], frozenset[str]] = WeakKeyDictionary()


def _parameters(route: APIRoute) -> frozenset[str]:
    found = _known.get(route.endpoint)
    if found is None:
        found = _known[route.endpoint] = frozenset(_names(route.dependant))
    return found


def _names(dependant: Any) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)


class EncodedNames:
    """ASGI middleware: leaves the names in paths below a prefix as they were sent, percent-encoded.

    Decoded, the slash of a name cannot be told from the slash between two names: `pools/x%2Fallocations` is the
    pool `x/allocations`, and not the allocations of pool `x`. The routes decode what they match (`Name`).
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"].startswith(self._prefix):
            sent = scope.get("raw_path") or b""
            if b"%" in sent:
                scope = {**scope, "path": sent.partition(b"?")[0].decode("latin-1")}
        await self._app(scope, receive, send)


def decoded(name: str) -> str:
    """Return a name of a path as it is. Raises NotFound for what no name can be."""
    found = unquote(name)
    if "\x00" in found or not found:
        raise NotFound("The address names nothing that can be: it is empty or has a NUL character.")
    return found


Name = Annotated[str, Path(), AfterValidator(decoded)]
