"""CPU per complete order chain (622 → 641 → 652 → devices → back), on SQLite.

Two runs in one go: with the embedded lab's real devices, and with the device calls taken out (every plan is taken
as applied, nothing is sent). CPU of the server process (user + system) per order; the lab's CPU apart.

    python benchmarks/chain.py [--orders 100]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activation.api import Activation
from activation.model import ChangeOutcome, ChangeRequest, NoChange
from inventory.pools import add_values, pool_id
from lab import api as lab
from turnup.application import Application
from turnup.data import catalog_folders
from turnup.server import lab_credentials
from turnup.settings import Settings
from turnup.topology import import_lab

ROOT = Path(__file__).resolve().parents[1]
Json = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    orders: int
    server_ms: float
    lab_ms: float
    wall_s: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100)
    count = parser.parse_args().orders
    print("| run | orders | server CPU ms/order | lab CPU ms/order | wall s | orders/s |")
    print("|---|---|---|---|---|---|")
    for what, devices in (("embedded lab", True), ("device calls taken out", False)):
        row = measure(what, count, devices=devices)
        print(
            f"| {row.what} | {row.orders} | {row.server_ms:.1f} | {row.lab_ms:.1f} "
            f"| {row.wall_s:.1f} | {row.orders / row.wall_s:.1f} |"
        )


def measure(what: str, count: int, *, devices: bool) -> Row:
    """Run `count` new lines to their end and return what they cost."""
    with running(devices=devices) as (application, info):
        body = json.loads((ROOT / "examples/orders/superfibre-200-home.new.json").read_text())
        _one(application, body)
        lab_pid = json.loads((info.state_dir / "lab.json").read_text())["pid"]
        before, lab_before, started = _cpu(), _cpu_of(lab_pid), time.perf_counter()
        for number in range(count):
            _one(application, body | {"externalId": f"bench-{number}"})
        cpu, lab_cpu, wall = (
            _cpu() - before,
            _cpu_of(lab_pid) - lab_before,
            time.perf_counter() - started,
        )
    return Row(what, count, cpu * 1000 / count, lab_cpu * 1000 / count, wall)


@contextmanager
def running(*, devices: bool) -> Iterator[tuple[Application, lab.LabInfo]]:
    """Run lab and application in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        info = lab.up(ROOT / "topologies/metro.clab.yml", folder, owner_pid=os.getpid())
        settings = Settings(database_url=f"sqlite:///{folder}/bench.db", catalogs=catalog_folders())
        application = Application(settings, lab_credentials(info))
        import_lab(application.database, info)
        with application.database.write() as tx:
            add_values(
                tx, pool_id("onu-serial", "HG8245H"), [f"BNCH{n:08X}" for n in range(1, 4001)]
            )
        if not devices:
            _take_devices_out(application.activation)
        application.start()
        try:
            yield application, info
        finally:
            application.stop()
            lab.down(info.name, folder)


def _take_devices_out(activation: Activation) -> None:
    def run(request: ChangeRequest, *, expect: str | None = None) -> ChangeOutcome:  # noqa: ARG001
        with activation._database.write() as tx:  # noqa: SLF001
            plan = activation.plan(tx, request)
            activation.settle(tx, plan)
        return ChangeOutcome(request.id, None, tuple(NoChange(d.device) for d in plan.devices))

    activation.run = run  # type: ignore[method-assign]
    activation.verify_state = lambda checks: [  # type: ignore[method-assign]
        {**check, "verdict": "pass", "detail": ""} for check in checks
    ]


def _one(application: Application, body: Json) -> None:
    """Run one order to its end; waiting is by the engine's own conditions, because polling would be measured too."""
    order = application.com.submit(body)
    deadline = time.monotonic() + 60
    while application.com.get(order["id"])["state"] != "completed":
        application.executor.idle(10)
        application.deliverer.idle(10)
        _deliver(application)
        assert time.monotonic() < deadline, application.com.get(order["id"])


def _deliver(application: Application) -> None:
    with application.database.read() as rx:
        waits = application.ledger.waits(rx, external_only=True)
    for wait in waits:
        assert wait.external is not None
        application.rom.complete_external(wait.id, wait.external.example)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
