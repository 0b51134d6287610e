"""Tasks for plain Nornir scripts (runner `turnup_async`): read, configure safely, save.

nr.run(configure, edits=["<interfaces .../>"], name="window-42")
"""

from __future__ import annotations

from collections.abc import Sequence

from nornir.core.task import Result, Task

from activation.drivers.base import DeviceRejected, Driver, Mode
from activation.nornir_plugins.connection import device


async def read_config(task: Task, selection: str = "") -> Result:
    """Return the running configuration, restricted by `selection` as the device's driver understands it."""
    async with device(task).session() as driver:
        return Result(host=task.host, result=await driver.read(selection))


async def read_state(task: Task, selection: str = "") -> Result:
    """Return operational state."""
    async with device(task).session() as driver:
        return Result(host=task.host, result=await driver.read_state(selection))


async def configure(
    task: Task, edits: Sequence[str], change: str = "nornir", timeout_s: int = 60
) -> Result:
    """Make `edits` active, as safely as the device allows, or (dry run) only let it check them.

    Mode A: provisional commit, then confirmed; B: commit; C: edit by edit. `change` names the commit on the device.
    """
    async with device(task).session() as driver:
        if driver.mode is Mode.IMMEDIATE:
            return await _immediate(task, driver, edits)
        await driver.lock(change)
        try:
            await driver.stage(change, edits)
            await driver.validate(change)
            if not task.is_dry_run():
                await _commit(driver, change, timeout_s)
        finally:
            if driver.alive:
                await driver.unlock(change)
        return Result(host=task.host, result="", changed=bool(edits))


async def save(task: Task) -> Result:
    """Copy running to startup."""
    async with device(task).session() as driver:
        await driver.save()
        return Result(host=task.host, changed=True)


async def _commit(driver: Driver, change: str, timeout_s: int) -> None:
    await driver.commit(change, timeout_s)
    if driver.mode is Mode.CONFIRMED:
        await driver.confirm(change)


async def _immediate(task: Task, driver: Driver, edits: Sequence[str]) -> Result:
    if task.is_dry_run():
        raise DeviceRejected(task.host.name, "mode C cannot check edits without making them active")
    for edit in edits:
        await driver.apply(edit)
    return Result(host=task.host, changed=bool(edits))
