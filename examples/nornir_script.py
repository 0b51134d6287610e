"""A plain Nornir script over Turnup's plug-ins: no server, no database, only a list of devices.

    turnup lab inspect --output json > lab.json
    TURNUP_DEVICE_PASSWORD=admin python examples/nornir_script.py lab.json .turnup/labs/metro/ca.pem

The list may as well come from `turnup device list --output json`. The second argument is the CA of HTTPS devices.
Async tasks and ordinary ones run side by side.
"""

# ruff: noqa: INP001, T201, PLR2004 - a script for people, not a package
from __future__ import annotations

import os
import sys

from nornir import InitNornir
from nornir.core import Nornir
from nornir.core.task import Task

from activation.nornir_plugins.connection import device


async def size_of_config(task: Task) -> int:
    """Return how many characters of configuration the device has (runs in the device loop)."""
    async with device(task).session() as driver:
        return len(await driver.read(""))


def mode_of(task: Task) -> str:
    """Return what a transaction on the device is worth (an ordinary task, in a thread)."""

    async def mode(driver: object) -> str:
        return str(getattr(driver, "mode", "?"))

    return device(task).run(mode)


def devices(file: str, ca_path: str | None, password: str) -> Nornir:
    """Return a Nornir object over the devices of `file` that Turnup can configure."""
    options = {"file": file, "password": password, "ca_path": ca_path}
    nornir = InitNornir(
        inventory={"plugin": "TurnupInventory", "options": options},
        runner={"plugin": "turnup_async", "options": {"deadline_s": 30}},
        logging={"enabled": False},
    )
    return nornir.filter(filter_func=lambda host: "turnup" in host.connection_options)


def main() -> int:
    """Print one line per device; 1 when any of them did not answer."""
    file, ca_path = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    nornir = devices(file, ca_path, os.environ.get("TURNUP_DEVICE_PASSWORD", ""))
    sizes, modes = nornir.run(size_of_config), nornir.run(mode_of, on_failed=True)
    for name, result in sizes.items():
        print(f"{name:16} mode {modes[name][0]!s:4} {result[0]!s} characters")
    return 1 if sizes.failed else 0


if __name__ == "__main__":
    sys.exit(main())
