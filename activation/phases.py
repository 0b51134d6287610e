"""What a batch does on its devices, phase by phase: each is one run over the fleet. No database here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from activation.compare import Difference, not_reverted
from activation.drivers.base import DeviceRejected, Driver, DriverError, Mode
from activation.drivers.netconf import NO_SUCH_COMMIT
from activation.fleet import Fleet
from activation.leaves import Leaves
from activation.model import DevicePlan
from activation.verify import Reader

T = TypeVar("T")
Done = dict[str, bool | DriverError]


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Times of a batch, in seconds.

    `commit_timeout_s`: a provisional commit that nobody confirms reverts after it; `phase_s`: the longest a phase
    may take; `check_s`: how long a device that took the change may be unreachable before everything is undone;
    `in_doubt_s`: how long a device in doubt is tried before it is `unknown`; `lease_wait_s`: how long to wait for
    devices that other batches hold; `pause_s`: first pause between tries (doubled up to 2 s).
    """

    commit_timeout_s: int = 120
    phase_s: float = 60.0
    check_s: float = 10.0
    in_doubt_s: float = 120.0
    lease_wait_s: float = 60.0
    pause_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Undone:
    """What a device has after undoing.

    `differences`: where it is not as it was before; `shared_left`: shared objects that the change ensured are there.
    """

    differences: tuple[Difference, ...]
    shared_left: bool


class Phases:
    """The phases of batches, by name of the batch."""

    def __init__(self, fleet: Fleet, reader: Reader, settings: BatchSettings) -> None:
        self._fleet = fleet
        self._reader = reader
        self._settings = settings

    def lock_and_read(
        self, name: str, plans: Sequence[DevicePlan]
    ) -> dict[str, Leaves | DriverError]:
        """Lock devices and read the touched paths; what is read cannot change any more where there are locks."""

        async def work(plan: DevicePlan, driver: Driver) -> Leaves:
            await driver.lock(name)
            return await self._reader.read_plan(plan, driver)

        return self._each(plans, work)

    def read(self, plans: Sequence[DevicePlan]) -> dict[str, Leaves | DriverError]:
        """Read the touched paths."""
        return self._each(plans, self._reader.read_plan)

    def stage(self, name: str, plans: Sequence[DevicePlan]) -> Done:
        """Load and validate the edits where nothing becomes active by it (modes A and B)."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:
            await driver.stage(name, plan.edits)
            await driver.validate(name)
            return True

        return self._each([plan for plan in plans if plan.mode != Mode.IMMEDIATE.value], work)

    def commit(self, name: str, plans: Sequence[DevicePlan]) -> Done:
        """Make what was staged active; provisionally in mode A."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:  # noqa: ARG001
            await driver.commit(name, self._settings.commit_timeout_s)
            return True

        return self._each(plans, work)

    def apply(self, plan: DevicePlan, edit: str) -> DriverError | None:
        """Make one edit active now (mode C)."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:  # noqa: ARG001
            await driver.apply(edit)
            return True

        result = self._each([plan], work)[plan.device]
        return result if isinstance(result, DriverError) else None

    def confirm(self, name: str, plans: Sequence[DevicePlan]) -> Done:
        """Make provisional commits permanent; False: the device knows no pending commit of that name."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:  # noqa: ARG001
            try:
                await driver.confirm(name)
            except DeviceRejected as error:
                if any(message.tag == NO_SUCH_COMMIT for message in error.messages):
                    return False
                raise
            return True

        return self._each(plans, work)

    def finish(self, name: str, plans: Sequence[DevicePlan]) -> dict[str, DriverError]:
        """Save and unlock; return what went wrong, which no longer endangers the change."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:  # noqa: ARG001
            await driver.save()
            await driver.unlock(name)
            return True

        return failures(self._each(plans, work))

    def unlock(self, name: str, plans: Sequence[DevicePlan]) -> None:
        """Discard what was staged and unlock; a device that does not answer ends the session by itself."""

        async def work(plan: DevicePlan, driver: Driver) -> bool:  # noqa: ARG001
            await driver.unlock(name)
            return True

        self._each(plans, work)

    def revert(self, name: str, plans: Sequence[DevicePlan]) -> dict[str, Undone | DriverError]:
        """Undo the change: cancel by name, and send the inverse where that was not enough."""

        async def work(plan: DevicePlan, driver: Driver) -> Undone:
            if plan.mode == Mode.CONFIRMED.value:
                await driver.cancel(name)
                await driver.unlock(name)
            shown = await self._reader.read_plan(plan, driver)
            if not_reverted(plan, shown):
                for edit in plan.inverse:
                    await driver.apply(edit)
                shown = await self._reader.read_plan(plan, driver)
                await driver.save()
            await driver.unlock(name)
            left = not plan.ensured.isdisjoint(shown)
            return Undone(tuple(not_reverted(plan, shown)), shared_left=left)

        return self._each(plans, work)

    def _each(
        self, plans: Sequence[DevicePlan], work: Callable[[DevicePlan, Driver], Awaitable[T]]
    ) -> dict[str, T | DriverError]:
        if not plans:
            return {}
        by_device = {plan.device: plan for plan in plans}

        async def task(device: str, driver: Driver) -> T:
            return await work(by_device[device], driver)

        return self._fleet.run(task, list(by_device), deadline_s=self._settings.phase_s)


def failures(results: dict[str, T | DriverError]) -> dict[str, DriverError]:
    """Return the errors among results."""
    return {name: result for name, result in results.items() if isinstance(result, DriverError)}
