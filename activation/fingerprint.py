"""Hashes: of what a device has in the touched paths, of one change, of a whole plan. Never over ids or times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from activation.leaves import Path
from activation.model import ChangePlan, DevicePlan

LENGTH = 32


def digest(value: Any) -> str:
    """Return the hash of a JSON value: 32 hex digits of SHA-256 over its canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def fingerprint(plan: DevicePlan, read: Mapping[Path, str | None]) -> str:
    """Return the hash of what the device has in the touched paths.

    Shared objects are left out: present or absent, both are right, and the plan is the same.
    """
    touched = {leaf.path for leaf in (*plan.before, *plan.after)} - plan.ensured
    return digest(sorted([list(path), read[path]] for path in touched if path in read))


def change_hash(plan: ChangePlan) -> str:
    """Return the hash of one change: device, edits, inverse and fingerprint of every device, in order."""
    return digest(
        [
            [device.device, list(device.edits), list(device.inverse), device.fingerprint]
            for device in plan.devices
        ]
    )


def plan_hash(allocations: Sequence[Mapping[str, Any]], plans: Sequence[ChangePlan]) -> str | None:
    """Return the hash of allocations and changes, None when a device with edits was not read.

    Of an allocation kind, scope and value count.
    """
    devices = [device for plan in plans for device in plan.devices]
    if any(device.edits and device.fingerprint is None for device in devices):
        return None
    values = [[a.get("kind"), a.get("scope"), a.get("value")] for a in allocations]
    return digest([values, [change_hash(plan) for plan in plans]])
