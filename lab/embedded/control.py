"""The lab's own port: one JSON object per line in, one out, only with the token of lab.json.

``{"token": …, "call": "plug", "args": {…}}`` is answered by ``{"result": …}`` or
``{"error": {"code", "message"}}``.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

from lab.errors import LabError

Call = Callable[..., Awaitable[Any]]
MAX_LINE = 1024 * 1024


class Control:
    """Serves the calls that it is given."""

    def __init__(self, token: str, calls: dict[str, Call]) -> None:
        self._token = token
        self._calls = calls
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Listen on loopback and return the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_LINE)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Accept no more calls."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # gone, or no line of ours: nobody is left to be told
        finally:
            writer.close()

    def _check(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise LabError("LAB_UNREACHABLE", "the token is not that of lab.json")

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            self._check(str(request["token"]))
            return {"result": await self._calls[request["call"]](**request.get("args", {}))}
        except LabError as error:
            return {"error": {"code": error.code, "message": error.message}}
        except (KeyError, TypeError, ValueError) as error:
            message = f"no such call: {type(error).__name__}: {error}"
            return {"error": {"code": "LAB_UNREACHABLE", "message": message}}
