"""A device that is managed by NETCONF: the common part of all models."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from lxml import etree

from lab.embedded.device import Access, NodeContext
from lab.embedded.faults import Dropped
from lab.embedded.netconf import edit
from lab.embedded.netconf.data import EMPTY, Branch
from lab.embedded.netconf.datastores import Datastores, Timer
from lab.embedded.netconf.edit import Operation
from lab.embedded.netconf.render import to_xml
from lab.embedded.netconf.rpcerror import BASE, Errors, RpcError
from lab.embedded.netconf.schema import Schema
from lab.embedded.netconf.server import Channel, SshListener
from lab.embedded.netconf.session import Session, parse
from lab.embedded.netconf.validate import Index, Validator


class Model(Protocol):
    """What makes a NETCONF device an OLT or a BNG."""

    schema: Schema

    def factory_startup(self) -> str:
        """Return the content of `<config>` that the topology gives the device."""

    def running(self, tree: Branch) -> None:
        """Take notice of a new running configuration."""

    def state(self, tree: Branch) -> Branch:
        """Return operational state, given the running configuration."""


class NetconfDevice:
    """Simulator of one NETCONF device."""

    def __init__(self, context: NodeContext, model: Model) -> None:
        self._context = context
        self._model = model
        self._sessions: dict[int, Channel] = {}
        self._last_session = 0
        self._startup_file = context.state_dir / "startup.xml"
        self.schema = model.schema
        self.faults = context.faults
        self.changing = asyncio.Lock()
        self.stores = Datastores(
            model.schema,
            start_timer=_call_later,
            on_running=model.running,
            on_startup=self._write_startup,
        )
        self._listener = SshListener(
            context.host,
            context.ports.netconf,
            host_key=context.host_key,
            username=context.username,
            password=context.password,
            serve=self._serve,
        )

    @property
    def access(self) -> tuple[Access, ...]:
        """Return the NETCONF endpoint."""
        c = self._context
        return (Access("netconf", c.host, c.ports.netconf, c.username),)

    async def start(self) -> None:
        """Boot from the startup configuration, the topology's at the first time; then listen."""
        self.stores.boot(self._read_startup())
        await self.listen()

    async def stop(self) -> None:
        """Lose power: sessions, running, candidate and pending commits are gone."""
        await self.refuse()
        self.stores.power_off()
        self._model.running(EMPTY)

    async def listen(self) -> None:
        """Accept connections."""
        await self._listener.open()

    async def refuse(self) -> None:
        """Accept none and drop those that are open."""
        await self._listener.close()

    def state(self) -> Branch:
        """Return operational state."""
        return self._model.state(self.stores.running)

    def kill(self, session: int) -> bool:
        """End another session; its locks and its unnamed commit go with it at once."""
        channel = self._sessions.pop(session, None)
        if channel is None:
            return False
        self.stores.end_session(session)
        channel.cut()
        return True

    def alive(self, session: int) -> bool:
        """Return whether the session has not been killed."""
        return session in self._sessions

    async def _serve(self, channel: Channel) -> None:
        self._last_session += 1
        number = self._last_session
        self._sessions[number] = channel
        try:
            await Session(self, number, channel).serve()
        except Dropped:
            channel.cut()
        finally:
            if self._sessions.pop(number, None):
                self.stores.end_session(number)

    def _read_startup(self) -> Branch:
        saved = self._startup_file.exists()
        text = self._startup_file.read_text() if saved else _config(self._model.factory_startup())
        try:
            tree = _document(self.schema, text)
        except (ValueError, RpcError, Errors) as error:
            raise ValueError(f"{self._startup_file}: {error}") from None
        if not saved:
            _replace(self._startup_file, _pretty(text))
        return tree

    def _write_startup(self, tree: Branch) -> None:
        if tree == EMPTY:
            self._startup_file.unlink(missing_ok=True)
        else:
            _replace(self._startup_file, _pretty(_config(to_xml(self.schema, tree))))


@lru_cache(maxsize=64)
def _document(schema: Schema, text: str) -> Branch:
    """Return the valid tree of a document; devices of one kind boot from the same.

    Raises:
        ValueError, RpcError, Errors: it is no XML, or no valid configuration.
    """
    root = parse(text.encode())
    if root is None:
        raise ValueError("not well-formed XML")
    tree = edit.apply(schema, EMPTY, root, Operation.MERGE)
    errors = Validator(schema).check(EMPTY, Index(), tree)
    if errors:
        raise Errors(errors)
    return tree


@lru_cache(maxsize=64)
def _pretty(text: str) -> bytes:
    root = etree.fromstring(text)
    etree.indent(root)
    return etree.tostring(root)


def _config(content: str) -> str:
    return f'<config xmlns="{BASE}">{content}</config>'


def _replace(path: Path, content: bytes) -> None:
    """Write so that a power cut leaves the old file or the new one."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content)
    os.replace(temporary, path)  # noqa: PTH105


def _call_later(seconds: float, action: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, action)
