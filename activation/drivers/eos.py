"""Arista EOS driver: mode A by a named configuration session with a commit timer, over eAPI (napalm `eos`).

napalm is synchronous; its calls run in a bounded thread pool. The configuration session lives on the box, not in
our connection: any process can confirm or cancel it by name. One commit timer per box.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from activation.drivers._eapi import Box, as_driver_error, session_name, transport
from activation.drivers.base import DeviceUnreachable, Endpoint, Mode, SessionDropped

T = TypeVar("T")
THREADS = 16


@dataclass(frozen=True, slots=True)
class EosSettings:
    """`commit_timeout_s`: longest answer of the box to one request; a large configuration takes long to load."""

    commit_timeout_s: float = 60.0


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="turnup-napalm")


def preload() -> Future[None]:
    """Import napalm in a thread now, so that the first EOS device need not wait for it (seconds when busy)."""
    return _threads().submit(_import_napalm)


def _import_napalm() -> None:
    transport()
    importlib.import_module("napalm.eos")


class EosDriver:
    """One EOS box over eAPI."""

    def __init__(self, endpoint: Endpoint, settings: EosSettings | None = None) -> None:
        self.mode = Mode.CONFIRMED
        self._endpoint = endpoint
        timeout_s = max(endpoint.timeout_s, (settings or EosSettings()).commit_timeout_s)
        self._box = Box(endpoint, timeout_s)
        self._open = False
        self._held: str | None = None

    def __repr__(self) -> str:
        return f"EosDriver({self._endpoint!r})"

    @property
    def alive(self) -> bool:
        """Whether calls can be sent."""
        return self._open and not self._box.gate.is_shut

    @property
    def holds(self) -> bool:
        """Whether a session was begun here and not ended."""
        return self._held is not None

    async def open(self) -> None:
        """Log in and check the version.

        Raises:
            DeviceUnreachable, AuthenticationRefused, HostKeyMismatch, DeviceRejected (too old).
        """
        try:
            async with asyncio.timeout(self._endpoint.timeout_s + _IMPORT_S):
                await self._call(self._box.open)
        except (SessionDropped, TimeoutError) as error:
            self.abort()
            raise DeviceUnreachable(
                self._endpoint.device,
                f"no eAPI at {self._endpoint.host}:{self._endpoint.port}: {error}",
            ) from error
        self._open = True

    async def close(self) -> None:
        """Forget the box; nothing on it changes."""
        self.abort()

    def abort(self) -> None:
        """Let no further command out, not even from a thread that is still at it."""
        self._open = False
        self._held = None
        self._box.gate.shut()

    async def read(self, selection: str) -> str:
        """Return the running configuration; EOS ignores `selection`."""
        del selection
        return await self._call(self._box.running)

    async def read_state(self, selection: str) -> str:
        """Return the output of the show commands in `selection`, one a line."""
        commands = [line.strip() for line in selection.splitlines() if line.strip()]
        return await self._call(self._box.show, commands or ["show version"])

    async def lock(self, name: str) -> None:
        """See that nobody else configures the box: EOS has no lock, an open foreign session counts as one."""
        await self._call(self._box.make_room, session_name(name))
        self._held = name

    async def unlock(self, name: str) -> None:
        """Abort what `name` staged; a provisional commit stays."""
        if self._held == name:
            await self._call(self._box.abandon, session_name(name))
            self._held = None

    async def stage(self, name: str, edits: Sequence[str]) -> None:
        """Load all edits into the session of that name; a refused line aborts the session."""
        await self._call(self._box.load, session_name(name), edits)

    async def validate(self, name: str) -> None:
        """Let the box compute the session's difference: every line was checked when it was loaded."""
        await self._call(self._box.diff, session_name(name))

    async def commit(self, name: str, timeout_s: int) -> None:
        """Commit with a timer of `timeout_s` seconds."""
        await self._call(self._box.commit_timer, session_name(name), timeout_s)

    async def confirm(self, name: str) -> None:
        """Make the commit permanent, from any process, and save it.

        Raises:
            DeviceRejected: with tag `no-such-commit` when none is pending; reading decides.
        """
        await self._call(self._box.confirm, session_name(name))

    async def cancel(self, name: str) -> None:
        """Undo the commit of that name, from any process."""
        await self._call(self._box.cancel, session_name(name))

    async def apply(self, edit: str) -> None:
        """Load and commit one edit in a session of its own; all or nothing."""
        # EOS refuses to enter a completed session again, so each needs a name of its own.
        await self._call(self._box.apply, session_name(f"apply-{secrets.token_hex(4)}"), edit)

    async def save(self) -> None:
        """Copy running to startup."""
        await self._call(self._box.save)

    async def _call(self, work: Callable[..., T], *args: object) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(_threads(), work, *args)
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception as error:
            known = as_driver_error(self._endpoint, error)
            if known is error:
                raise
            if isinstance(known, SessionDropped):
                self.abort()
            raise known from error


_IMPORT_S = 20.0
"""The first open of a process imports napalm: 1.3 s CPU, much longer on a busy machine."""
