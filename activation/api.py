"""The facade of activation: plan, inspect, run, audit. Sync; everything that knows devices is behind it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from activation import fingerprint, present, shared
from activation import plan as planning
from activation.batch import Runner
from activation.compare import drift
from activation.drivers.base import DriverError
from activation.fleet import Fleet
from activation.journal import Record
from activation.leaves import Leaves
from activation.model import (
    ChangeOutcome,
    ChangePlan,
    ChangeRequest,
    ContributionChange,
    DevicePlan,
)
from activation.phases import BatchSettings, Phases
from activation.plan import Lookup, Planner
from activation.platform import Platforms
from activation.recovery import OnSettled, Patience, Recovery
from activation.verify import Reader
from store import Database, Rx, Tx

if TYPE_CHECKING:
    from inventory.devices import Device

SHARED = "shared"
"""The role under which a sweep names its objects."""


@dataclass(frozen=True, slots=True)
class ActivationSettings:
    """`platforms`: folders with platforms of the user's own; `batch`: times of batches."""

    platforms: tuple[FilePath, ...] = ()
    batch: BatchSettings = field(default_factory=BatchSettings)


def registry(rx: Rx, name: str) -> Device:
    """Return a device of the registry."""
    from inventory import devices

    return devices.get(rx, name)


class Activation:
    """All that other rooms may ask of activation."""

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        *,
        settings: ActivationSettings | None = None,
        on_settled: OnSettled | None = None,
        lookup: Lookup = registry,
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._settings = settings or ActivationSettings()
        self.platforms = Platforms(self._settings.platforms)
        self._planner = Planner(self.platforms, lookup, fleet.mode)
        self._reader = Reader(fleet, self.platforms)
        self._stopping = threading.Event()
        self._runner = self._make_runner(on_settled)

    def plan(self, rx: Rx, request: ChangeRequest) -> ChangePlan:
        """Return what a request means for the devices; pure over the intended state, no device contact.

        Raises:
            DeviceNotManaged, FeatureUnknown, FragmentConflict, RenderFailed: as their classes say.
        """
        return self._planner.plan(rx, request)

    def settle(self, tx: Tx, plan: ChangePlan, cause_order: str | None = None) -> None:
        """Keep the intended state as if the plan had been applied (the last phase of a batch, and simulation)."""
        evolution = self._planner.evolve(tx, plan.request)
        planning.settle(tx, evolution, cause_order or plan.request.order_id)

    def sweep(self, rx: Rx, request_id: str, devices: Sequence[str]) -> ChangeRequest | None:
        """Return the change that removes the shared objects that orders made and nobody uses, None if none."""
        unused = shared.unused(rx, devices) if devices else []
        if not unused:
            return None
        named = tuple(
            ContributionChange(device, which.kind, which.key, SHARED, "", "", None)
            for device, which in unused
        )
        return ChangeRequest(request_id, request_id.partition(":")[0], "sweep", named)

    def inspect(self, plan: ChangePlan) -> ChangePlan:
        """Read the devices (no transaction may be open) and fill the fingerprints.

        A device that cannot be read is a warning and leaves its fingerprint None.
        """
        shown = self._reader.touched(plan.devices)
        warnings = list(plan.warnings)
        devices = tuple(
            self._inspected(device, shown[device.device], warnings) if device.edits else device
            for device in plan.devices
        )
        return replace(plan, devices=devices, warnings=tuple(warnings))

    def change_hash(self, plan: ChangePlan) -> str:
        """Return the hash of one change (device, edits, inverse, fingerprint; never ids)."""
        return fingerprint.change_hash(plan)

    def plan_hash(
        self, allocations: list[dict[str, Any]], plans: Sequence[ChangePlan]
    ) -> str | None:
        """Return the hash over allocations and changes; None when a device was not read."""
        return fingerprint.plan_hash(allocations, plans)

    def present(self, plan: ChangePlan) -> list[dict[str, Any]]:
        """Return [{device, platform, mode, edits, inverse}] of the devices that are sent something."""
        return [
            present.present_device(device, self.platforms.get(device.platform))
            for device in plan.devices
            if device.edits
        ]

    def run(self, request: ChangeRequest, *, expect: str | None = None) -> ChangeOutcome:
        """Bring a change to its end, with transactions of its own per phase; none may be open.

        Resumable by the request's id: what an earlier call (or process) began is confirmed or undone first, and a
        change that is done is not done again. `expect`: the change's hash as shown; a plan that differs is
        PLAN_CHANGED and nothing is sent. Never raises for a device or a refusal: see the outcome's code.
        """
        return self._runner.run(request, expect)

    def stop(self) -> None:
        """Close all sessions with devices; batches under way stay as journaled and are taken up by the next `run`."""
        self._stopping.set()
        self._fleet.stop()

    def _make_runner(self, on_settled: OnSettled | None) -> Runner:
        times = self._settings.batch
        patience = Patience(self._database, self._stopping, times.pause_s)
        phases = Phases(self._fleet, self._reader, times)
        recovery = Recovery(self._database, phases, times, patience, self._keep, on_settled)
        return Runner(
            self._database, phases, recovery, patience, times, self._planner.plan, self.present
        )

    def _keep(self, tx: Tx, record: Record) -> None:
        self.settle(tx, record.plan)

    def _inspected(
        self, plan: DevicePlan, shown: Leaves | DriverError, warnings: list[str]
    ) -> DevicePlan:
        if isinstance(shown, DriverError):
            warnings.append(
                f"{shown.message} ({shown.code}): the plan of {plan.device} has no hash"
            )
            return plan
        if differences := drift(plan, shown):
            first = differences[0].json()
            warnings.append(
                f"{plan.device} was changed by other hands in {len(differences)} places, first "
                f"{first['path']}: expected {first['expected']}, found {first['found']}"
            )
        return replace(plan, fingerprint=fingerprint.fingerprint(plan, shown))
