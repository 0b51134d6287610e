"""From a request to native edits and their inverse, per device. Pure over the intended state; no device contact."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from activation import fragments, shared
from activation.drivers.base import Mode
from activation.errors import DeviceNotManaged, FragmentConflict
from activation.fragments import FragmentChange, Owner
from activation.journal import Record
from activation.leaves import Leaves, leaf_tuple, missing_or_changed, path_text
from activation.model import ChangePlan, ChangeRequest, DevicePlan
from activation.platform import Platform, Platforms, Rendered, SharedKey
from store import Rx, Tx

if TYPE_CHECKING:
    from inventory.devices import Device

MANAGED = "managed"
Lookup = Callable[[Rx, str], "Device"]


@dataclass(frozen=True, slots=True)
class Gear:
    """A device, and what its platform says."""

    device: Device
    platform: Platform
    mode: Mode


@dataclass(frozen=True, slots=True)
class Evolution:
    """All that a request changes in the intended state."""

    gear: Mapping[str, Gear]
    fragments: tuple[FragmentChange, ...] = ()
    made: Mapping[str, Mapping[SharedKey, Rendered]] = field(default_factory=dict)
    """Shared objects that users newly need, by device."""
    swept: Mapping[str, Mapping[SharedKey, Rendered]] = field(default_factory=dict)


class Planner:
    """Plans changes."""

    def __init__(
        self, platforms: Platforms, lookup: Lookup, mode: Callable[[Device], Mode]
    ) -> None:
        self._platforms = platforms
        self._lookup = lookup
        self._mode = mode

    def plan(self, rx: Rx, request: ChangeRequest) -> ChangePlan:
        """Return what a request means.

        Raises:
            DeviceNotManaged, FeatureUnknown, FragmentConflict, RenderFailed: as their classes say.
        """
        evolution = self.evolve(rx, request)
        devices = (_plan_device(rx, evolution, name) for name in evolution.gear)
        return ChangePlan(request, tuple(devices))

    def evolve(self, rx: Rx, request: ChangeRequest, *, to_change: bool = True) -> Evolution:
        """Return what a request changes in the intended state; `to_change`: the devices are still to be changed."""
        gear = {
            name: self.gear(rx, name, to_change=to_change)
            for name in dict.fromkeys(c.device for c in request.contributions)
        }
        if request.kind == "sweep":
            return Evolution(gear, swept=_sweepable(rx, request, gear))
        platforms = {name: one.platform for name, one in gear.items()}
        changes = fragments.evolve(rx, request, platforms)
        return Evolution(gear, changes, made=_needed(changes, platforms))

    def gear(self, rx: Rx, name: str, *, to_change: bool = True) -> Gear:
        """Return a device with its platform.

        Raises:
            DeviceNotManaged: it is to be changed and may not. FeatureUnknown: there is no such platform.
        """
        device = self._lookup(rx, name)
        if to_change and device.admin_state != MANAGED:
            raise DeviceNotManaged(
                f"{name} is {device.admin_state}; set its adminState to managed, then retry.",
                details={"device": name, "adminState": device.admin_state},
            )
        return Gear(device, self._platforms.get(device.platform), self._mode(device))


class IntendedState:
    """Keeps what batches made of the intended state (`recovery.Keeper`)."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner

    def keep(self, tx: Tx, record: Record) -> None:
        """Keep what a batch made of the intended state."""
        # A device put into maintenance meanwhile has the change all the same.
        evolution = self._planner.evolve(tx, record.request, to_change=False)
        settle(tx, evolution, record.request.order_id)

    def keep_shared(self, tx: Tx, record: Record, devices: Collection[str]) -> None:
        """Keep the shared objects that an undone batch left on devices, without users: they are swept."""
        evolution = self._planner.evolve(tx, record.request, to_change=False)
        for device in devices:
            made = evolution.made.get(device, {})
            _make(tx, evolution.gear[device].platform, device, made, record.request.order_id)


def settle(tx: Tx, evolution: Evolution, order_id: str | None) -> None:
    """Keep what a request changed: fragments, contributions, shared objects and their users."""
    for change in evolution.fragments:
        device = change.key.device
        fragments.settle(tx, change, evolution.gear[device].platform, order_id)
        shared.use(tx, change.key, change.objects_before, change.objects_after, order_id)
    for device, made in evolution.made.items():
        _make(tx, evolution.gear[device].platform, device, made, order_id)
    for device, swept in evolution.swept.items():
        for which in swept:
            shared.drop(tx, device, which)
            fragments.claim_roots(
                tx, evolution.gear[device].platform, device, Owner.shared(which), {}
            )


def _make(
    tx: Tx,
    platform: Platform,
    device: str,
    made: Mapping[SharedKey, Rendered],
    order_id: str | None,
) -> None:
    present = shared.texts(tx, device, made)
    shared.make(tx, device, {which: r.text for which, r in made.items()}, order_id)
    for which, rendered in made.items():
        if which not in present:
            fragments.claim_roots(tx, platform, device, Owner.shared(which), rendered.leaves)


def _sweepable(
    rx: Rx, request: ChangeRequest, gear: Mapping[str, Gear]
) -> dict[str, dict[SharedKey, Rendered]]:
    """Return the objects named that (still) nobody uses."""
    named = {(c.device, SharedKey(c.feature, c.line)) for c in request.contributions}
    found: dict[str, dict[SharedKey, Rendered]] = {}
    for device, which in shared.unused(rx, list(gear)):
        if (device, which) in named:
            text = shared.texts(rx, device, [which])[which]
            rendered = Rendered(text, gear[device].platform.codec.parse(text))
            found.setdefault(device, {})[which] = rendered
    return found


def _needed(
    changes: Iterable[FragmentChange], platforms: Mapping[str, Platform]
) -> dict[str, dict[SharedKey, Rendered]]:
    found: dict[str, dict[SharedKey, Rendered]] = {}
    for change in changes:
        device = change.key.device
        of_device = found.setdefault(device, {})
        for which, values in change.new_objects.items():
            rendered = platforms[device].shared(which, values)
            _same(device, of_device.setdefault(which, rendered), rendered, which)
    return found


def _same(device: str, one: Rendered, other: Rendered, which: SharedKey) -> None:
    if one.leaves != other.leaves:
        raise FragmentConflict(
            f"{device}: two users want different content for the shared {which.kind} {which.key}; "
            f"correct the values that make its key.",
            details={"device": device, "kind": which.kind, "key": which.key},
        )


def _plan_device(rx: Rx, evolution: Evolution, name: str) -> DevicePlan:
    gear = evolution.gear[name]
    before, after, owners = _union(evolution, name)
    ensured = _ensured(rx, evolution, name)
    swept = evolution.swept.get(name, {})
    for rendered in swept.values():
        before |= rendered.leaves
    owners |= {Owner.shared(which) for which in (*evolution.made.get(name, {}), *swept)}
    kept = _kept(rx, gear, owners, {**before, **ensured, **after})
    _agree(name, kept, {**ensured, **after})
    stays = {path: value for path, value in kept.items() if path not in ensured}
    old, new = stays | before, stays | ensured | after
    codec = gear.platform.codec
    return DevicePlan(
        device=name,
        platform=gear.platform.name,
        mode=gear.mode.value,
        edits=codec.edits(old, new),
        inverse=codec.edits(new, stays | ensured | before),
        before=leaf_tuple(missing_or_changed(new, old)),
        after=leaf_tuple(missing_or_changed(old, new)),
        ensured=frozenset(path for path in ensured if path not in after),
    )


def _union(evolution: Evolution, name: str) -> tuple[Leaves, Leaves, set[Owner]]:
    before: Leaves = {}
    after: Leaves = {}
    owners: set[Owner] = set()
    for change in evolution.fragments:
        if change.key.device == name:
            _agree(name, after, change.after.leaves)
            before |= change.before.leaves
            after |= change.after.leaves
            owners.add(Owner.fragment(change.key))
    return before, after, owners


def _ensured(rx: Rx, evolution: Evolution, name: str) -> Leaves:
    leaves: Leaves = {}
    made = evolution.made.get(name, {})
    platform = evolution.gear[name].platform
    for which, text in shared.texts(rx, name, made).items():
        _same(name, made[which], Rendered(text, platform.codec.parse(text)), which)
    for rendered in made.values():
        _agree(name, leaves, rendered.leaves)
        leaves |= rendered.leaves
    return leaves


def _kept(rx: Rx, gear: Gear, owners: set[Owner], touched: Leaves) -> Leaves:
    kept: Leaves = {}
    name = gear.device.name
    for _, leaves in fragments.neighbours(rx, gear.platform, name, list(touched), owners):
        kept |= leaves
    return kept


def _agree(device: str, one: Leaves, other: Leaves) -> None:
    for path, value in other.items():
        if path in one and one[path] != value:
            raise FragmentConflict(
                f"{device}: {path_text(path)} is to be {value!r}, but another part of the intended "
                f"configuration says {one[path]!r}; remove one of them.",
                details={"device": device, "path": path_text(path), "values": [one[path], value]},
            )
