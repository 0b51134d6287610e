"""The one way in which activation's core reaches devices: many at once, each with a session of its own.

`activation.nornir_plugins` implements it over Nornir; tests may implement it in memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from activation.drivers.base import Driver, DriverError, Mode

if TYPE_CHECKING:
    from inventory.devices import Device

T = TypeVar("T")
DeviceTask = Callable[[str, Driver], Awaitable[T]]
"""What is done on one device: it gets the device's name and an open driver."""


class Fleet(Protocol):
    """All managed devices, reached through pooled sessions.

    Between two calls a device keeps its session (and with it its lock and what was staged): a later call may
    confirm, unlock or discard what an earlier one locked and staged. A session that ended is opened anew, and
    then nothing is staged on it: `commit` of a name that this session did not stage raises SessionDropped.
    """

    def mode(self, device: Device) -> Mode:
        """Return what a transaction on this device is worth; no device contact."""
        ...

    def run(
        self, task: DeviceTask[T], devices: Sequence[str], *, deadline_s: float
    ) -> dict[str, T | DriverError]:
        """Run `task(name, driver)` on all devices side by side and wait for all of them.

        Every device is in the answer, with the task's result or the DriverError that ended it (also one of
        opening the session). A device that is not done after `deadline_s` seconds is SessionDropped.
        Never raises for a device's failure.
        """
        ...

    def stop(self) -> None:
        """Close all sessions."""
        ...
