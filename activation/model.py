"""What goes into activation and what comes out: requests, plans, outcomes. All frozen, all JSON-able."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ContributionChange:
    """One resource's say in one fragment (device, feature, line); `values` None withdraws it."""

    device: str
    feature: str
    line: str
    role: str
    source: str
    item: str
    values: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """The contributions of those items of one order that share a transaction; `id` is stable over restarts."""

    id: str
    order_id: str
    kind: Literal["change", "sweep"]
    contributions: tuple[ContributionChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One configured value: its path in the device's own terms and the value as text (None: presence)."""

    path: tuple[str, ...]
    value: str | None


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What one device is going to be sent, and how to undo it. Texts are native, byte for byte."""

    device: str
    platform: str
    mode: Literal["A", "B", "C"]
    edits: tuple[str, ...]
    inverse: tuple[str, ...]
    before: tuple[Leaf, ...]
    """The touched paths as they are intended to stand now (empty for what is new)."""
    after: tuple[Leaf, ...]
    """The touched paths as they will stand; what is in `before` only is removed."""
    ensured: frozenset[tuple[str, ...]] = frozenset()
    """Paths of shared objects: present or absent beforehand, both are right."""
    fingerprint: str | None = None
    """Hash of the touched paths as read from the device; None when it was not read."""


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """One change over 1..n devices, in the order in which they are staged."""

    request: ChangeRequest
    devices: tuple[DevicePlan, ...]
    warnings: tuple[str, ...] = ()

    @property
    def weakest_mode(self) -> str:
        """Return the weakest mode of all devices ("A" when there are none)."""
        return max((plan.mode for plan in self.devices), default="A")


@dataclass(frozen=True, slots=True)
class Applied:
    """Confirmed on the device and read back."""

    device: str


@dataclass(frozen=True, slots=True)
class NoChange:
    """There was nothing to send."""

    device: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The device refused; nothing of the change is active on it."""

    device: str
    messages: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Reverted:
    """It had been active (provisionally or not) and was undone."""

    device: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What the device has is not known; it stays leased to recovery."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotAttempted:
    """Nothing was sent to the device."""

    device: str
    reason: str


DeviceOutcome = Applied | NoChange | Rejected | Reverted | Unknown | NotAttempted


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """How a change ended: `code` None when every device is Applied or NoChange, else the stable error code."""

    change: str
    batch: str | None
    devices: tuple[DeviceOutcome, ...]
    code: str | None = None
    explanation: str = ""
    remedy: str = ""
    transient: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Return whether the network now is as planned."""
        return self.code is None
