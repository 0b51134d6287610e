"""Devices that live in this process: modes A, B and C with injected faults, for unit tests of activation.

    network = MemoryNetwork()
    network.add("olt", mode=Mode.CONFIRMED, dialect=XmlDialect(), running="<x xmlns='u'/>")
    network["olt"].fail("commit", when="after")       # the commit happens, the answer is lost
    fleet = NornirFleet(..., make=network.driver)

A device outlives its sessions, as a real one does: locks go with their session, named commits stay.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from activation.drivers._dialects import Dialect, LineDialect, Refusal, RestDialect, XmlDialect
from activation.drivers.base import (
    DeviceLocked,
    DeviceMessage,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    Mode,
    SessionDropped,
)
from activation.drivers.netconf import NO_SUCH_COMMIT

When = Literal["before", "after"]
__all__ = [
    "Dialect",
    "LineDialect",
    "MemoryDevice",
    "MemoryDriver",
    "MemoryNetwork",
    "RestDialect",
    "XmlDialect",
]


@dataclass(slots=True)
class _Fault:
    call: str
    error: type[DriverError]
    when: When
    skip: int
    times: int


@dataclass(slots=True)
class _Pending:
    name: str
    before: str
    deadline: float


@dataclass
class MemoryDevice:
    """What one device keeps. `clock` is monotonic seconds; move it to let a commit timer expire."""

    name: str
    mode: Mode = Mode.CONFIRMED
    dialect: Dialect = field(default_factory=XmlDialect)
    running: str = ""
    state: str = ""
    startup: str = ""
    clock: Callable[[], float] = time.monotonic
    down: bool = False
    latency_s: float = 0.0
    locked_by: object | None = None
    candidate: str | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every call that reached the device: (method, name or text)."""
    _faults: list[_Fault] = field(default_factory=list)
    _pending: _Pending | None = None

    def fail(
        self,
        call: str,
        error: type[DriverError] = SessionDropped,
        *,
        when: When = "before",
        skip: int = 0,
        times: int = 1,
    ) -> None:
        """Make the (`skip`+1)-th and following `times` calls of method `call` ("*": any) fail.

        `when="after"`: the call takes effect first. SessionDropped also ends the session.
        """
        self._faults.append(_Fault(call, error, when, skip, times))

    def heal(self) -> None:
        """Forget all faults."""
        self._faults.clear()
        self.down, self.latency_s = False, 0.0

    @property
    def pending(self) -> str | None:
        """The name of the provisional commit, if one is pending now."""
        self.expire()
        return self._pending.name if self._pending else None

    def expire(self) -> None:
        """Revert the provisional commit whose time is over."""
        if self._pending and self.clock() >= self._pending.deadline:
            self.revert()

    def revert(self) -> None:
        """Undo the provisional commit."""
        if self._pending:
            self.running, self._pending = self._pending.before, None

    def provisional(self, name: str, timeout_s: int, running: str) -> None:
        """Make `running` active until `timeout_s`; a renewal keeps the first backup (netopeer2 #1207)."""
        before = self._pending.before if self._pending else self.running
        self._pending = _Pending(name, before, self.clock() + timeout_s)
        self.running = running

    def settle(self) -> None:
        """Make the provisional commit permanent."""
        self._pending = None

    def fault(self, call: str, when: When) -> DriverError | None:
        """Return the error that this call meets now, if any."""
        for fault in self._faults:
            if fault.call not in {call, "*"} or fault.when != when or fault.times == 0:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault.error(self.name, f"injected fault at {call} ({when})")
        return None


class MemoryDriver:
    """A session with a MemoryDevice."""

    def __init__(self, device: MemoryDevice) -> None:
        self.mode = device.mode
        self._device = device
        self._open = False
        self._staged: str | None = None

    @property
    def alive(self) -> bool:
        """Whether the session is open."""
        return self._open and not self._device.down

    @property
    def holds(self) -> bool:
        """Whether this session holds the lock."""
        return self._device.locked_by is self

    async def open(self) -> None:
        await asyncio.sleep(self._device.latency_s)
        if self._device.down:
            raise DeviceUnreachable(self._device.name, "it is down")
        if error := self._device.fault("open", "before"):
            raise error
        self._open = True

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._open = False
        self._staged = None
        if self._device.locked_by is self:
            self._device.locked_by = self._device.candidate = None

    async def read(self, selection: str) -> str:
        with await self._call("read", selection) as device:
            return device.dialect.select(device.running, selection)

    async def read_state(self, selection: str) -> str:
        with await self._call("read_state", selection) as device:
            return device.dialect.select(device.state or device.running, selection)

    async def lock(self, name: str) -> None:
        with await self._call("lock", name) as device:
            if device.locked_by not in {None, self}:
                raise DeviceLocked(device.name, "another session holds the lock")
            if device.pending not in {None, name}:
                raise DeviceLocked(device.name, f"commit {device.pending} is pending")
            device.locked_by, device.candidate, self._staged = self, None, None

    async def unlock(self, name: str) -> None:
        if not self.holds:
            return
        with await self._call("unlock", name) as device:
            device.locked_by = device.candidate = self._staged = None

    async def stage(self, name: str, edits: Sequence[str]) -> None:
        self._must_not_be_immediate("stage")
        with await self._call("stage", name) as device:
            candidate = device.running
            for edit in edits:
                candidate = device.dialect.apply(candidate, edit)
            device.candidate, self._staged = candidate, name

    async def validate(self, name: str) -> None:
        self._must_not_be_immediate("validate")
        self._must_have_staged(name)
        with await self._call("validate", name):
            pass

    async def commit(self, name: str, timeout_s: int) -> None:
        self._must_not_be_immediate("commit")
        renew = self._device.pending == name
        if not renew:
            self._must_have_staged(name)
        with await self._call("commit", name) as device:
            running = device.running if renew else device.candidate
            assert running is not None
            if device.mode is Mode.CONFIRMED:
                device.provisional(name, timeout_s, running)
            else:
                device.running = running
            self._staged = None

    async def confirm(self, name: str) -> None:
        self._must_be_confirmed_mode()
        with await self._call("confirm", name) as device:
            if device.pending != name:
                message = DeviceMessage(NO_SUCH_COMMIT, f"no pending commit {name}")
                raise DeviceRejected(device.name, message.message, messages=[message])
            device.settle()

    async def cancel(self, name: str) -> None:
        self._must_be_confirmed_mode()
        with await self._call("cancel", name) as device:
            if device.pending == name:
                device.revert()

    async def apply(self, edit: str) -> None:
        with await self._call("apply", edit) as device:
            device.running = device.dialect.apply(device.running, edit)

    async def save(self) -> None:
        with await self._call("save", "") as device:
            device.startup = device.running

    async def _call(self, call: str, what: str) -> _Call:
        if not self.alive:
            self._open = False
            raise DeviceUnreachable(self._device.name, "the session had ended; nothing was sent")
        await asyncio.sleep(self._device.latency_s)
        self._device.expire()
        self._device.calls.append((call, what))
        return _Call(self, self._device, call)

    def _must_have_staged(self, name: str) -> None:
        if self._staged != name or not self.alive:
            raise SessionDropped(
                self._device.name, f"the session that staged {name} is gone; nothing was committed"
            )

    def _must_not_be_immediate(self, call: str) -> None:
        if self.mode is Mode.IMMEDIATE:
            raise _unsupported(self._device.name, f"it cannot {call}: every edit acts at once")

    def _must_be_confirmed_mode(self) -> None:
        if self.mode is not Mode.CONFIRMED:
            raise _unsupported(
                self._device.name, "it has no confirmed commit; undo with the inverse"
            )


class _Call:
    """One call at the device: faults before and after it, refusals as DeviceRejected."""

    def __init__(self, driver: MemoryDriver, device: MemoryDevice, call: str) -> None:
        self._driver, self._device, self._name = driver, device, call

    def __enter__(self) -> MemoryDevice:
        self._meet("before")
        return self._device

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refusal):
            text = f"refused ({error.message.tag}: {error.message.message})"
            raise DeviceRejected(self._device.name, text, messages=[error.message]) from error
        if error is None:
            self._meet("after")

    def _meet(self, when: When) -> None:
        if error := self._device.fault(self._name, when):
            if isinstance(error, SessionDropped):
                self._driver.abort()
            raise error


def _unsupported(device: str, why: str) -> DeviceRejected:
    return DeviceRejected(device, why, messages=[DeviceMessage("operation-not-supported", why)])


class MemoryNetwork:
    """Devices by name, and the factory of sessions with them."""

    def __init__(self, *devices: MemoryDevice) -> None:
        self._devices = {device.name: device for device in devices}

    def __getitem__(self, name: str) -> MemoryDevice:
        return self._devices[name]

    def __iter__(self) -> Iterator[MemoryDevice]:
        return iter(self._devices.values())

    def add(
        self,
        name: str,
        *,
        mode: Mode = Mode.CONFIRMED,
        dialect: Dialect | None = None,
        running: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> MemoryDevice:
        """Put a device into the network."""
        device = MemoryDevice(name, mode, dialect or XmlDialect(), running, clock=clock)
        self._devices[name] = device
        return device

    def driver(self, endpoint: Endpoint) -> MemoryDriver:
        """Return a session with the device of that endpoint (a SessionFactory)."""
        if endpoint.device not in self._devices:
            raise DeviceUnreachable(endpoint.device, "no such device in memory")
        return MemoryDriver(self._devices[endpoint.device])
