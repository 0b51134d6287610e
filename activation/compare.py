"""What a device shows against what a plan says of it: drift before, read-back after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from activation.leaves import Path, below, leaves_of, path_text
from activation.model import DevicePlan

Shown = Mapping[Path, str | None]
_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not as expected; None is "absent" where `present` says so."""

    path: Path
    expected: str | None
    found: str | None
    expected_present: bool
    found_present: bool

    def json(self) -> dict[str, Any]:
        """Return it for people and programs."""
        return {
            "path": path_text(self.path),
            "expected": _shown(self.expected, present=self.expected_present),
            "found": _shown(self.found, present=self.found_present),
        }


def drift(plan: DevicePlan, shown: Shown) -> list[Difference]:
    """Return where a device is not as the plan takes it to be before the change.

    New paths must be absent, paths of shared objects absent or equal, and below what is to be removed there
    may be nothing that is not ours: it would be lost.
    """
    before = leaves_of(plan.before)
    found: list[Difference] = []
    for leaf in plan.before:
        found += _differences(leaf.path, leaf.value, shown)
    for leaf in plan.after:
        if leaf.path in shown and leaf.path not in before:
            same = leaf.path in plan.ensured and shown[leaf.path] == leaf.value
            found += [] if same else [_unexpected(leaf.path, shown)]
    return found + _strangers(plan, shown)


def not_read_back(plan: DevicePlan, shown: Shown) -> list[Difference]:
    """Return where a device is not as it should be after the change."""
    after = leaves_of(plan.after)
    found: list[Difference] = []
    for leaf in plan.after:
        found += _differences(leaf.path, leaf.value, shown)
    gone = (leaf.path for leaf in plan.before if leaf.path not in after)
    return found + [_unexpected(path, shown) for path in gone if path in shown]


def not_reverted(plan: DevicePlan, shown: Shown) -> list[Difference]:
    """Return where a device is not as it was before the change; shared objects may stay."""
    before = leaves_of(plan.before)
    found: list[Difference] = []
    for leaf in plan.before:
        found += _differences(leaf.path, leaf.value, shown)
    new = (leaf.path for leaf in plan.after if leaf.path not in before)
    return found + [
        _unexpected(path, shown) for path in new if path in shown and path not in plan.ensured
    ]


def touched(plan: DevicePlan) -> list[Path]:
    """Return the paths that a plan reads and writes, in order."""
    return list(dict.fromkeys(leaf.path for leaf in (*plan.before, *plan.after)))


def _strangers(plan: DevicePlan, shown: Shown) -> list[Difference]:
    before, after = leaves_of(plan.before), leaves_of(plan.after)
    gone = [path for path in before if path not in after]
    return [
        _unexpected(path, shown)
        for path in shown
        if path not in before and path not in after and any(below(path, top) for top in gone)
    ]


def _differences(path: Path, expected: str | None, shown: Shown) -> Iterable[Difference]:
    found = shown.get(path, _ABSENT)
    if found is _ABSENT:
        return [Difference(path, expected, None, expected_present=True, found_present=False)]
    if found != expected:
        return [Difference(path, expected, found, expected_present=True, found_present=True)]
    return []


def _unexpected(path: Path, shown: Shown) -> Difference:
    return Difference(path, None, shown[path], expected_present=False, found_present=True)


def _shown(value: str | None, *, present: bool) -> str:
    if not present:
        return "absent"
    return "present" if value is None else value
