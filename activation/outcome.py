"""How a change ended, in words: from what devices and checks said to codes, explanations and remedies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from activation import model
from activation.drivers.base import DeviceRejected, DriverError
from activation.errors import (
    ChangeInterrupted,
    DeviceBusy,
    DeviceDrift,
    DeviceUnknown,
    PlanChanged,
    ReadBackFailed,
)
from activation.journal import (
    CONFIRMED,
    MAY_BE_ACTIVE,
    NO_CHANGE,
    REVERTED,
    UNKNOWN,
    Record,
)
from activation.model import ChangeOutcome, ChangeRequest, DeviceOutcome, NotAttempted
from store.errors import TurnupError

Json = dict[str, Any]
_TYPES = {
    kind.__name__: kind
    for kind in (
        model.Applied,
        model.NoChange,
        model.Rejected,
        model.Reverted,
        model.Unknown,
        model.NotAttempted,
    )
}
_REMEDIES = {
    "DEVICE_UNREACHABLE": "Bring the device back (power, management network), then retry.",
    "DEVICE_LOCKED": "Find out who holds the device's lock or pending commit, then retry.",
    "DEVICE_SESSION_DROPPED": "Find out why the device ends sessions, then retry.",
    "DEVICE_REJECTED": "Read the device's messages; correct the order, the catalog or the device, then retry.",
    "DEVICE_AUTHENTICATION": "Correct the device's credential, then retry.",
    "DEVICE_HOST_KEY": "Check that this is the right device; if so, correct its key in the registry, then retry.",
    PlanChanged.code: "Look at the new plan; retry with its hash, or cancel.",
    DeviceDrift.code: "Look at the differences; put the device back as it was, or adopt what it has, then retry.",
    ReadBackFailed.code: "Compare what the device shows with the plan; it may need another platform definition.",
    DeviceBusy.code: "Wait for the other batch, or resolve it if it is unknown, then retry.",
    DeviceUnknown.code: "Make the device readable again, then retry: it is compared and brought to one side.",
    ChangeInterrupted.code: "Retry.",
}


def cause_of(errors: Mapping[str, DriverError]) -> Json:
    """Return the cause of a failure on devices; one that is not transient weighs more."""
    device, error = min(errors.items(), key=lambda pair: pair[1].transient)
    messages = {name: one.details["messages"] for name, one in errors.items()}
    return {
        "code": error.code,
        "explanation": error.message,
        "transient": error.transient,
        "devices": {name: _kind(one) for name, one in errors.items()},
        "details": {"device": device, "messages": messages[device], "all": messages},
    }


def cause(error: TurnupError, devices: Sequence[str] = ()) -> Json:
    """Return the cause of a failure that the core itself found."""
    return {
        "code": error.code,
        "explanation": error.message,
        "transient": error.transient,
        "devices": dict.fromkeys(devices, "reason"),
        "details": error.details,
    }


def failed(record: Record, why: Json) -> ChangeOutcome:
    """Return the outcome of a batch that failed."""
    if UNKNOWN in record.states.values():
        why = _unknown(record, why)
    return ChangeOutcome(
        change=record.request.id,
        batch=record.id,
        devices=tuple(_device(record, why, plan.device) for plan in record.plans),
        code=why["code"],
        explanation=why["explanation"],
        remedy=_REMEDIES.get(why["code"], "Correct the cause, then retry."),
        transient=why["transient"],
        details=why["details"],
    )


def succeeded(record: Record, details: Json) -> ChangeOutcome:
    """Return the outcome of a batch that was settled."""
    devices: tuple[DeviceOutcome, ...] = tuple(
        model.Applied(plan.device) if plan.edits else model.NoChange(plan.device)
        for plan in record.plans
    )
    return ChangeOutcome(record.request.id, record.id, devices, details=details)


def refused(request: ChangeRequest, error: TurnupError) -> ChangeOutcome:
    """Return the outcome of a request that never became a batch."""
    names = dict.fromkeys(c.device for c in request.contributions)
    return ChangeOutcome(
        change=request.id,
        batch=None,
        devices=tuple(NotAttempted(name, error.message) for name in names),
        code=error.code,
        explanation=error.message,
        remedy=_REMEDIES.get(error.code, "Correct the cause, then retry."),
        transient=error.transient,
        details=error.details,
    )


def to_json(outcome: ChangeOutcome) -> Json:
    """Return an outcome as JSON."""
    shown = {f.name: getattr(outcome, f.name) for f in fields(outcome)}
    devices = [{"type": type(d).__name__, **asdict(d)} for d in outcome.devices]
    return {**shown, "devices": devices, "details": dict(outcome.details)}


def from_json(data: Json) -> ChangeOutcome:
    """Read what `to_json` wrote."""
    return ChangeOutcome(**{**data, "devices": tuple(_device_of(d) for d in data["devices"])})


def _device_of(data: Json) -> DeviceOutcome:
    values = {name: value for name, value in data.items() if name != "type"}
    if "messages" in values:
        values["messages"] = tuple(values["messages"])
    found: DeviceOutcome = _TYPES[data["type"]](**values)
    return found


def _device(record: Record, why: Json, name: str) -> DeviceOutcome:
    match record.states[name]:
        case state if state == NO_CHANGE:
            return model.NoChange(name)
        case state if state == CONFIRMED:
            return model.Applied(name)
        case state if state == UNKNOWN:
            return model.Unknown(name, why["explanation"])
        case _ if why["devices"].get(name) == "rejected":
            return model.Rejected(name, tuple(why["details"]["all"][name]))
        case state if state in {REVERTED, *MAY_BE_ACTIVE}:
            return model.Reverted(name)
        case _:
            return NotAttempted(name, f"{why['code']}: {why['explanation']}")


def _unknown(record: Record, why: Json) -> Json:
    names = sorted(name for name, state in record.states.items() if state == UNKNOWN)
    return {
        "code": DeviceUnknown.code,
        "explanation": f"What {', '.join(names)} has is not known after: {why['explanation']}",
        "transient": False,
        "devices": why["devices"],
        "details": {**why["details"], "unknown": names, "cause": why["code"]},
    }


def _kind(error: DriverError) -> str:
    return "rejected" if isinstance(error, DeviceRejected) else "failed"
