"""What changed from version to version, when, and by which order item: instances, their relations, devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from inventory import instances
from inventory.instances import Instance, Version
from inventory.plant import registry
from inventory.plant.registry import Device, DeviceVersion
from store import Rx

_DOCUMENTS = ("characteristics", "inputs", "body")
_DATES = ("created", "changed")


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that differs from the version before; `attribute` is dotted, `characteristics.ponPort`."""

    attribute: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """A version of an instance, and what it changed (nothing: it is the first)."""

    version: Version
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class DeviceStep:
    """A version of a device, and what it changed; a device that was removed and came back begins anew."""

    version: DeviceVersion
    changes: tuple[Change, ...]


def of_instance(rx: Rx, id: str, offset: int = 0, limit: int | None = None) -> list[Step]:  # noqa: A002
    """Return the versions of an instance with what each changed, oldest first. Raises InstanceNotFound."""
    before = max(offset - 1, 0)
    most = None if limit is None else limit + offset - before
    found = instances.history(rx, id, before, most)
    steps = [Step(new, _changes(old.instance, new.instance)) for old, new in pairwise(found)]
    first = [Step(one, ()) for one in found[:1]] if offset == 0 else []
    return [*first, *steps]


def of_device(rx: Rx, name: str) -> list[DeviceStep]:
    """Return the versions of a device with what each changed, oldest first. Raises DeviceNotFound."""
    found = registry.history(rx, name)
    steps = [DeviceStep(found[0], ())]
    for old, new in pairwise(found):
        again = old.valid_to == new.valid_from
        changes = _differing(_fields(old.device), _fields(new.device)) if again else ()
        steps.append(DeviceStep(new, changes))
    return steps


def _changes(old: Instance, new: Instance) -> tuple[Change, ...]:
    return _differing(_flat(old), _flat(new))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    names = sorted(old.keys() | new.keys())
    pairs = ((name, old.get(name), new.get(name)) for name in names)
    return tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])


def _flat(one: Instance) -> dict[str, Any]:
    """Return an instance's attributes, those of its documents each under their own name."""
    values = {name: value for name, value in _fields(one).items() if name not in _DATES}
    for document in _DOCUMENTS:
        inside = values.pop(document)
        values |= {f"{document}.{name}": value for name, value in inside.items()}
    return values


def _fields(one: Instance | Device) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}
