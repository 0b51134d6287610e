"""Sessions kept open and lent out: at most one per endpoint, one borrower at a time.

A batch takes the device's lock in one call and commits in a later one. Both must be the same session, so
a device has exactly one; a borrower waits for the one before him (OLTs allow only a handful of sessions anyway).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from activation.drivers.base import (
    DeviceMessage,
    DeviceRejected,
    Driver,
    DriverError,
    Endpoint,
    Mode,
    SessionDropped,
)

log = logging.getLogger(__name__)
CLOSE_S = 2.0


class Session(Driver, Protocol):
    """A driver that the pool can keep: it knows whether it still lives and can be cut at once."""

    @property
    def alive(self) -> bool:
        """Whether a call can still be sent."""
        ...

    @property
    def holds(self) -> bool:
        """Whether the device keeps something for this very session (a lock, staged edits)."""
        ...

    def abort(self) -> None:
        """Cut the session without a word; never blocks, never raises."""
        ...


SessionFactory = Callable[[Endpoint], Session]


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: Session | None = None
    reaper: asyncio.TimerHandle | None = None
    closing: asyncio.Task[None] | None = None
    idle_since: float = 0.0


class SessionPool:
    """Lends sessions by endpoint; used only inside one event loop.

    `idle_s`: a session nobody borrowed for so long is closed; `hold_s` when the device keeps something for it
    (a batch that was given up must not lock a device for ever; one that lives comes back much sooner).
    `max_opens`: logins at the same time, so that an AAA server is not flooded.
    """

    def __init__(
        self,
        make: SessionFactory,
        *,
        idle_s: float = 60.0,
        hold_s: float = 900.0,
        max_opens: int = 64,
    ) -> None:
        self._make = make
        self._idle_s = idle_s
        self._hold_s = hold_s
        self._opens = asyncio.Semaphore(max_opens)
        self._slots: dict[Endpoint, _Slot] = {}

    @contextlib.asynccontextmanager
    async def session(
        self, endpoint: Endpoint, *, promised: Mode | None = None
    ) -> AsyncIterator[Session]:
        """Lend the open session of `endpoint`, opening it when there is none or it died.

        A borrower who leaves with SessionDropped, by cancellation or with a foreign error loses the session:
        what it had in flight is not known, and closing it makes the device discard what was staged.

        Raises:
            DriverError: it could not be opened; DeviceRejected when the device offers a weaker mode than `promised`.
        """
        slot = self._slots.setdefault(endpoint, _Slot())
        async with slot.lock:
            session = await self._ready(slot, endpoint, promised)
            try:
                yield session
            except DriverError as error:
                if isinstance(error, SessionDropped):
                    _cut(slot)
                raise
            except BaseException:
                _cut(slot)
                raise
            finally:
                self._rest(slot)

    async def close(self) -> None:
        """Close every session, those in use too."""
        slots = list(self._slots.values())
        self._slots.clear()
        await asyncio.gather(*(_close(slot) for slot in slots))

    @property
    def open_sessions(self) -> int:
        """How many sessions are open."""
        return sum(slot.session is not None for slot in self._slots.values())

    async def _ready(self, slot: _Slot, endpoint: Endpoint, promised: Mode | None) -> Session:
        if slot.reaper is not None:
            slot.reaper.cancel()
            slot.reaper = None
        if slot.session is not None and not slot.session.alive:
            _cut(slot)
        if slot.session is None:
            slot.session = await self._open(endpoint)
        _keep_promise(slot, endpoint, promised)
        return slot.session

    async def _open(self, endpoint: Endpoint) -> Session:
        session = self._make(endpoint)
        try:
            async with self._opens:
                await session.open()
        except BaseException:
            session.abort()
            raise
        return session

    def _rest(self, slot: _Slot) -> None:
        slot.idle_since = asyncio.get_running_loop().time()
        self._watch(slot)

    def _watch(self, slot: _Slot) -> None:
        if slot.session is not None:
            loop = asyncio.get_running_loop()
            slot.reaper = loop.call_later(self._idle_s, self._reap, slot)

    def _reap(self, slot: _Slot) -> None:
        slot.reaper = None
        session, loop = slot.session, asyncio.get_running_loop()
        if slot.lock.locked() or session is None:
            return
        if session.alive and session.holds and loop.time() - slot.idle_since < self._hold_s:
            self._watch(slot)
            return
        slot.closing = loop.create_task(_close(slot))


def _keep_promise(slot: _Slot, endpoint: Endpoint, promised: Mode | None) -> None:
    session = slot.session
    if promised is None or session is None or session.mode <= promised:
        return
    raise DeviceRejected(
        endpoint.device,
        f"its platform promises mode {promised}, the device offers only {session.mode}; nothing was sent. "
        f"Correct the platform's mode or the device's features",
        messages=[DeviceMessage("operation-not-supported", f"offers mode {session.mode}")],
    )


def _cut(slot: _Slot) -> None:
    if slot.session is not None:
        slot.session.abort()
        slot.session = None


async def _close(slot: _Slot) -> None:
    session, slot.session = slot.session, None
    if slot.reaper is not None:
        slot.reaper.cancel()
        slot.reaper = None
    if session is None:
        return
    try:
        async with asyncio.timeout(CLOSE_S):
            await session.close()
    except (TimeoutError, DriverError) as error:
        log.debug("closing a session: %s", error)
        session.abort()
