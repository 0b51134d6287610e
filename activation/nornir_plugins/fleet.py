"""The Fleet that activation works through: every call is one run of a fresh Nornir object over pooled sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nornir.core import Nornir
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.task import MultiResult, Task

from activation.credentials import CredentialError, Credentials
from activation.drivers.base import DriverError, Mode, SessionDropped
from activation.drivers.factory import (
    PROTOCOLS,
    DeviceView,
    DriverMissing,
    Drivers,
    DriverSettings,
    access_of,
    field_of,
)
from activation.drivers.loop import LoopThread
from activation.drivers.pool import SessionFactory
from activation.fleet import DeviceTask
from activation.nornir_plugins.connection import NAME, Sessions, TurnupConnection, device
from activation.nornir_plugins.inventory import TurnupInventory
from activation.nornir_plugins.runner import AsyncRunner

T = TypeVar("T")
Lookup = Callable[[Sequence[str]], Iterable[DeviceView]]
"""Device names → those of them that the registry knows."""


class CredentialUnusable(DriverError):
    """The device's credential cannot be found, so nobody logged in."""

    code = "CREDENTIAL_MISSING"
    reason = "A device's credential cannot be found"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """`idle_s`: unused sessions are closed after; `max_opens`: logins at the same time; `concurrency`: devices."""

    drivers: DriverSettings = field(default_factory=DriverSettings)
    idle_s: float = 60.0
    max_opens: int = 64
    concurrency: int = 1000


class NornirFleet:
    """Implements `activation.fleet.Fleet`.

    `lookup` reads the device registry (it is called in the caller's thread, before the run).
    `modes`: platform → mode it promises; a device that offers a weaker one is refused, never silently downgraded.
    Platforms not named promise what their protocol usually offers (netconf, eapi: A; rest: C).
    `make` replaces the drivers (in memory, for tests).
    """

    def __init__(
        self,
        lookup: Lookup,
        credentials: Credentials,
        *,
        modes: Mapping[str, Mode] | None = None,
        settings: FleetSettings | None = None,
        make: SessionFactory | None = None,
        loop: LoopThread | None = None,
    ) -> None:
        self._lookup = lookup
        self._credentials = credentials
        self._modes = dict(modes or {})
        self._settings = settings or FleetSettings()
        self._loop = loop or LoopThread()
        self._own_loop = loop is None
        self._sessions = Sessions(
            make or Drivers(self._settings.drivers),
            loop=self._loop,
            idle_s=self._settings.idle_s,
            max_opens=self._settings.max_opens,
        )

    def mode(self, device: DeviceView) -> Mode:
        """Return what a transaction on this device is worth: its platform's promise; no device contact.

        Raises:
            DriverMissing: no driver speaks to it.
        """
        if device.platform in self._modes:
            return self._modes[device.platform]
        return PROTOCOLS[field_of(access_of(device), "protocol")]

    def run(
        self, task: DeviceTask[T], devices: Sequence[str], *, deadline_s: float
    ) -> dict[str, T | DriverError]:
        """Run `task(name, driver)` on all devices side by side; every device is in the answer, in order."""
        answers: dict[str, T | DriverError] = {name: _unknown(name) for name in devices}
        nornir = self._nornir(devices, answers, deadline_s)
        for name, result in nornir.run(_on_device, on_failed=True, work=task).items():
            answers[name] = _answer(name, result)
        return answers

    def stop(self) -> None:
        """Close all sessions and end the loop thread."""
        self._sessions.close()
        if self._own_loop:
            self._loop.stop()

    def _nornir(
        self, names: Sequence[str], answers: dict[str, T | DriverError], deadline_s: float
    ) -> Nornir:
        # A fresh object each time: failed_hosts is sticky, and the device that failed is the one to roll back.
        ConnectionPluginRegister.register(NAME, TurnupConnection)
        inventory = TurnupInventory(extras=self._extras()).load()
        for found in self._lookup(names):
            if found.name not in answers:
                continue  # a lookup that finds too much must not make us touch other devices
            try:
                self._add(inventory.hosts, found)
            except DriverError as error:
                answers[found.name] = error
        runner = AsyncRunner(deadline_s, self._settings.concurrency, loop=self._loop)
        return Nornir(inventory=inventory, runner=runner)

    def _add(self, hosts: dict[str, Any], found: DeviceView) -> None:
        access_of(found)
        extras = {**self._extras(), "promised": self.mode(found)}
        hosts.update(TurnupInventory([found], extras=extras).load().hosts)

    def _extras(self) -> dict[str, Any]:
        return {
            "sessions": self._sessions,
            "credentials": self._credentials,
            "timeout_s": self._settings.drivers.timeout_s,
        }


async def _on_device(task: Task, work: DeviceTask[Any]) -> Any:
    try:
        connection = device(task)
    except CredentialError as error:
        raise CredentialUnusable(task.host.name, error.message) from error
    async with connection.session() as driver:
        return await work(task.host.name, driver)


def _answer(name: str, result: MultiResult) -> Any:
    error = result[0].exception
    match error:
        case None:
            return result[0].result
        case DriverError():
            return error
        case _:
            wrapped = SessionDropped(name, f"the task failed: {type(error).__name__}: {error}")
            wrapped.__cause__ = error
            return wrapped


def _unknown(name: str) -> DriverError:
    return DriverMissing(
        name, "the device registry does not know it; import it with `turnup device import`"
    )
