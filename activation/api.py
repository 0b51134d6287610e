"""The facade of activation: plan, inspect, run, audit. Sync; everything that knows devices is behind it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from activation import audit as auditing
from activation import fingerprint, fragments, journal, present, shared
from activation import plan as planning
from activation.batch import Runner
from activation.codec import CodecError
from activation.compare import drift
from activation.contributions import FragmentKey
from activation.drivers.base import DriverError
from activation.errors import BatchNotFound
from activation.fleet import Fleet
from activation.fragments import BASE, Owner
from activation.leaves import Leaves
from activation.model import (
    ChangeOutcome,
    ChangePlan,
    ChangeRequest,
    ContributionChange,
    DevicePlan,
)
from activation.phases import BatchSettings, Phases
from activation.plan import Gear, IntendedState, Lookup, Planner
from activation.platform import Platforms, Rendered
from activation.recovery import OnSettled, Patience, Recovery
from activation.verify import Question, Reader, Verdict, ask
from store import Database, Rx, Tx

if TYPE_CHECKING:
    from inventory.devices import Device

UNMANAGED = "unmanaged"
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
        evolution = self._planner.evolve(tx, plan.request, to_change=False)
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

    def audit(self, device: str) -> dict[str, Any]:
        """Return {device, verdict, missing, extra, changed, unowned}: intended against running; writes nothing.

        Verdict `error`: it could not be read; `not_evaluated`: it is unmanaged. Each leaf names its owner
        {feature, line, contributions: [{role, source, item}]}.
        """
        with self._database.read() as rx:
            gear = self._planner.gear(rx, device, to_change=False)
            everything = auditing.owned(rx, gear.platform, device)
        if gear.device.admin_state == UNMANAGED:
            return _not_audited(device, "not_evaluated", "the device is unmanaged")
        try:
            running = gear.platform.codec.parse(self._running(gear))
        except (DriverError, CodecError) as error:
            return _not_audited(device, "error", str(error))
        return {"device": device, **auditing.compare(gear.platform, everything, running)}

    def intended(self, rx: Rx, device: str, at: datetime | None = None) -> list[dict[str, Any]]:
        """Return what a device is to have, now or at an instant: [{feature, line, text, contributions}]."""
        return auditing.intended(rx, device, at)

    def running(self, device: str) -> str:
        """Return a device's running configuration as native text; no transaction may be open.

        Raises:
            DriverError: it cannot be read.
        """
        with self._database.read() as rx:
            gear = self._planner.gear(rx, device, to_change=False)
        return self._running(gear)

    def import_base(self, device: str) -> int:
        """Keep what a device has now, but for what orders made, as its `base`; return the number of leaves.

        Raises:
            DriverError: it cannot be read.
        """
        text = self.running(device)
        with self._database.write() as tx:
            gear = self._planner.gear(tx, device, to_change=False)
            codec = gear.platform.codec
            mine = {
                path
                for one in auditing.owned(tx, gear.platform, device)
                if one.label["feature"] != BASE
                for path in one.leaves
            }
            leaves = {path: v for path, v in codec.parse(text).items() if path not in mine}
            key = FragmentKey(device, BASE, "")
            fragments.write(tx, key, Rendered(codec.text(leaves), leaves), {}, None)
            fragments.claim_roots(tx, gear.platform, device, Owner.fragment(key), leaves)
        return len(leaves)

    def verify_state(self, checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Ask devices about their state; no transaction may be open.

        A check has {device, check, values, expect} (and whatever else the caller needs back); it comes back with
        `verdict` (pass, not_evaluated: not so yet, or not reachable; error: cannot be evaluated) and `detail`.
        """
        return [
            {**check, "verdict": verdict, "detail": detail}
            for check, (verdict, detail) in zip(checks, self._answers(checks), strict=True)
        ]

    def batches(
        self,
        rx: Rx,
        *,
        device: str | None = None,
        order_id: str | None = None,
        state: str | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return batches, the newest first: {id, state, change, order, kind, created, changed, devices}."""
        return journal.find(
            rx, device=device, order_id=order_id, state=state, offset=offset, limit=limit
        )

    def batch(self, rx: Rx, batch_id: str) -> dict[str, Any]:
        """Return a batch with edits and inverse per device and its journal.

        Raises:
            BatchNotFound: there is none of that id.
        """
        summary, record = journal.summary(rx, batch_id), journal.load(rx, batch_id)
        if summary is None or record is None:
            raise BatchNotFound(f"There is no batch {batch_id}; GET the list of batches.")
        devices = [
            {
                **present.present_device(plan, self.platforms.get(plan.platform)),
                "state": record.states[plan.device],
                "fingerprint": plan.fingerprint,
            }
            for plan in record.plans
        ]
        return {**summary, "devices": devices, "journal": journal.lines(rx, batch_id)}

    def stop(self) -> None:
        """Close all sessions with devices; batches under way stay as journaled and are taken up by the next `run`."""
        self._stopping.set()
        self._fleet.stop()

    def _running(self, gear: Gear) -> str:
        answer = self._reader.everything(gear)
        if isinstance(answer, DriverError):
            raise answer
        return answer

    def _answers(self, checks: Sequence[Mapping[str, Any]]) -> list[tuple[Verdict, str]]:
        with self._database.read() as rx:
            questions = [self._question(rx, check) for check in checks]
        return ask(self._fleet, self.platforms, questions)

    def _question(self, rx: Rx, check: Mapping[str, Any]) -> Question:
        gear = self._planner.gear(rx, check["device"], to_change=False)
        return Question(
            gear.device.name,
            gear.platform.name,
            check["check"],
            check.get("values", {}),
            str(check["expect"]),
        )

    def _make_runner(self, on_settled: OnSettled | None) -> Runner:
        times = self._settings.batch
        patience = Patience(self._database, self._stopping, times.pause_s)
        phases = Phases(self._fleet, self._reader, times)
        keeper = IntendedState(self._planner)
        recovery = Recovery(self._database, phases, times, patience, keeper, on_settled)
        return Runner(
            self._database, phases, recovery, patience, times, self._planner.plan, self.present
        )

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


def _not_audited(device: str, verdict: str, why: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"missing": [], "extra": [], "changed": [], "unowned": []}
    return {"device": device, "verdict": verdict, "detail": why, **nothing}
