"""The simulator of an Arista EOS box: eAPI over HTTPS around a `Box`, with the lab's faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from lab.embedded.device import Access, NodeContext
from lab.embedded.eos.arguments import interface_names
from lab.embedded.eos.box import FLASH, STARTUP, Box, Identity, factory_startup
from lab.embedded.eos.eapi import PATH, RpcError, answer, read_call, rpc_failure
from lab.embedded.eos.errors import CannotRun
from lab.embedded.eos.shell import Shell
from lab.embedded.faults import FaultSet, Refused
from lab.embedded.rest.https import Request, Response
from lab.embedded.rest.node import HttpsNode, unauthorized

DEFAULT_VERSION: Final = "4.33.1F"
MANAGEMENT_PORT: Final = "Management1"
FOREIGN_SESSION: Final = "noc-change-1"
"""The session that the fault `lock` pretends somebody else has."""


class EosRouter:
    """One box. Its ports are those of its links and Management1.

    Labels: `sim-eos-version` sets what `show version` says (default 4.33.1F); `sim-ports` N adds
    Ethernet1..N.
    """

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._files = _NodeFiles(context.state_dir)
        self._guard = _FaultGuard(context.faults)
        self._box: Box | None = None
        refusal = unauthorized("COMMAND_API_AUTH", b"Unable to authenticate user", "text/plain")
        self._https = HttpsNode(context, "eapi", self._answer, refusal)

    @property
    def access(self) -> tuple[Access, ...]:
        """Where eAPI listens."""
        return self._https.access

    async def start(self) -> None:
        """Boot from startup-config (the factory's when there is none), then listen."""
        identity = _identity(self._context)
        if self._files.read(STARTUP) is None:
            startup = factory_startup(identity.name, identity.ports, self._context.host)
            self._files.write(STARTUP, startup)
        self._box = Box(identity, self._files, asyncio.get_running_loop())
        await self.listen()

    async def stop(self) -> None:
        """Power cut: sessions, a running commit timer and what was not written are gone."""
        await self._https.stop()
        box, self._box = self._box, None
        if box is not None:
            box.sessions.stop()

    async def listen(self) -> None:
        """Open the port."""
        await self._https.listen()

    async def refuse(self) -> None:
        """Close the port; sessions and the commit timer go on."""
        await self._https.refuse()

    @property
    def box(self) -> Box:
        """The state of the running box; tests look at it."""
        assert self._box is not None, f"{self._context.name} is not running"
        return self._box

    async def _answer(self, request: Request) -> Response:
        if request.path != PATH:
            return _text(HTTPStatus.NOT_FOUND, "Not Found")
        if request.method != "POST":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed", ("allow", "POST"))
        return _json(await self._rpc(request.body))

    async def _rpc(self, body: bytes) -> dict[str, Any]:
        try:
            call = read_call(body)
        except RpcError as error:
            return rpc_failure(error)
        shell = Shell(self.box, self._guard, self._context.username)
        return await answer(call, shell.run)


class _FaultGuard:
    """The lab's armed faults, told as EOS would."""

    def __init__(self, faults: FaultSet) -> None:
        self._faults = faults

    async def entering(self) -> None:
        if self._faults.locked:
            raise CannotRun("Configuration is locked by session " + FOREIGN_SESSION)

    async def editing(self, line: str) -> None:
        try:
            self._faults.refuse_edit(line)
        except Refused as refused:
            raise CannotRun(str(refused)) from None

    async def committing(self, *, confirming: bool) -> None:
        if self._faults.locked and not confirming:
            raise CannotRun(f"Cannot commit: session {FOREIGN_SESSION} has a pending commit timer")
        try:
            await self._faults.commit()
        except Refused as refused:
            raise CannotRun(f"Commit failed: {refused}") from None

    def locked_by(self) -> str | None:
        return FOREIGN_SESSION if self._faults.locked else None


class _NodeFiles:
    """startup-config and flash, as files of the node's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir

    def read(self, name: str) -> str | None:
        path = self._path(name)
        return path.read_text("utf-8") if path.is_file() else None

    def write(self, name: str, text: str) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + "~")
        fresh.write_text(text, "utf-8")
        fresh.replace(path)

    def _path(self, name: str) -> Path:
        inner = name.removeprefix(FLASH)
        if inner in {"", ".", ".."} or "/" in inner or "\0" in inner:
            raise CannotRun(f"Error: invalid file name {name}")
        return self._root / "flash" / inner if name.startswith(FLASH) else self._root / inner


def _identity(context: NodeContext) -> Identity:
    linked = _ports(link.port for link in context.links)
    panel = {f"Ethernet{n}" for n in range(1, int(context.labels.get("sim-ports", "0")) + 1)}
    ports = sorted((linked | panel) - {MANAGEMENT_PORT}, key=lambda port: (len(port), port))
    return Identity(
        name=context.name,
        version=context.labels.get("sim-eos-version", DEFAULT_VERSION),
        ports=(MANAGEMENT_PORT, *ports),
        connected=frozenset(linked),
    )


def _ports(names: Iterable[str]) -> set[str]:
    """Names of links as EOS spells them; a link whose name is none of EOS has no port here."""
    return {found[0] for name in names if (found := interface_names(name))}


def _json(body: dict[str, Any]) -> Response:
    text = json.dumps(body).encode()
    return Response(HTTPStatus.OK, text, (("content-type", "application/json"),))


def _text(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Response:
    return Response(status, text.encode(), (("content-type", "text/plain"), *headers))
