"""Intended against running, leaf by leaf, each with its owner. Reads only; never writes to a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from activation import contributions, fragments
from activation.contributions import Contributions
from activation.fragments import BASE, Stored
from activation.leaves import Leaves, Path, path_text
from activation.platform import Platform, is_secret
from activation.tables import shared_object, shared_user
from inventory.temporal import valid_at
from store import Rx

Json = dict[str, Any]
SHARED_FEATURE = "shared"


@dataclass(frozen=True, slots=True)
class Owned:
    """What one owner wants, and whom to name for each leaf."""

    label: Json
    leaves: Leaves
    speakers: Contributions
    owners: Mapping[str, Sequence[str]]

    def owner(self, path: Path) -> Json:
        """Return {feature, line, contributions: [{role, source, item}]} of one leaf."""
        roles = self.owners.get(path_text(path)) or self.owners.get("", ())
        return {**self.label, "contributions": _speakers(self.speakers, roles)}


def intended(rx: Rx, device: str, at: datetime | None) -> list[Json]:
    """Return [{feature, line, text, contributions: [{role, source, item}]}]: base, fragments, shared objects."""
    stored = fragments.of_device(rx, device, at)
    said = contributions.current(rx, [one.key for one in stored], at) if stored else {}
    found = [
        {
            "feature": one.key.feature,
            "line": one.key.line,
            "text": one.text,
            "contributions": _speakers(said[one.key], sorted(said[one.key])),
        }
        for one in stored
    ]
    return found + _shared(rx, device, at)


def owned(rx: Rx, platform: Platform, device: str) -> list[Owned]:
    """Return everything that is intended on a device, by owner; the base first."""
    stored = fragments.of_device(rx, device)
    said = contributions.current(rx, [one.key for one in stored]) if stored else {}
    found = [_owned(platform, one, said[one.key]) for one in stored]
    return found + [
        Owned({"feature": s["feature"], "line": s["line"]}, platform.codec.parse(s["text"]), {}, {})
        for s in _shared(rx, device, None)
    ]


def compare(platform: Platform, everything: Sequence[Owned], running: Leaves) -> Json:
    """Return {verdict, missing, extra, changed, unowned}.

    missing and changed: what an owner wants and the device has not, or otherwise; extra: what the device has
    inside things that an owner made; unowned: what the device has elsewhere, by other hands (no failure).
    """
    missing: list[Json] = []
    changed: list[Json] = []
    wanted: set[Path] = set()
    mine: dict[Path, Owned] = {}
    for one in everything:
        for path, value in one.leaves.items():
            wanted.add(path)
            if one.label["feature"] != BASE:
                mine.setdefault(platform.codec.root(path), one)
            _check(platform, one, path, value, running, missing, changed)
    extra, unowned = _others(platform, wanted, mine, running)
    verdict = "fail" if missing or changed or extra else "pass"
    return {
        "verdict": verdict,
        "missing": missing,
        "extra": extra,
        "changed": changed,
        "unowned": unowned,
    }


def _check(
    platform: Platform,
    one: Owned,
    path: Path,
    value: str | None,
    running: Leaves,
    missing: list[Json],
    changed: list[Json],
) -> None:
    if path not in running:
        missing.append(_leaf(platform, path, value) | {"owner": one.owner(path)})
    elif running[path] != value:
        shown = _leaf(platform, path, running[path])["value"]
        changed.append(_leaf(platform, path, value) | {"found": shown, "owner": one.owner(path)})


def _others(
    platform: Platform, wanted: set[Path], mine: Mapping[Path, Owned], running: Leaves
) -> tuple[list[Json], list[Json]]:
    extra: list[Json] = []
    unowned: list[Json] = []
    for path, value in running.items():
        if path in wanted:
            continue
        owner = mine.get(platform.codec.root(path))
        if owner is None:
            unowned.append(_leaf(platform, path, value))
        else:
            extra.append(_leaf(platform, path, value) | {"owner": {**owner.label}})
    return extra, unowned


def _owned(platform: Platform, stored: Stored, said: Contributions) -> Owned:
    label = {"feature": stored.key.feature, "line": stored.key.line}
    return Owned(label, platform.codec.parse(stored.text), said, stored.owners)


def _shared(rx: Rx, device: str, at: datetime | None) -> list[Json]:
    objects = (
        select(shared_object)
        .where(valid_at(shared_object.c, at), shared_object.c.device == device)
        .order_by(shared_object.c.valid_from, shared_object.c.id)
    )
    used = select(shared_user).where(valid_at(shared_user.c, at), shared_user.c.device == device)
    users: dict[tuple[str, str], list[Json]] = {}
    for row in rx.rows(used):
        user = {"role": row.feature, "source": row.line, "item": row.order_id}
        users.setdefault((row.kind, row.key), []).append(user)
    return [
        {
            "feature": f"{SHARED_FEATURE}:{row.kind}",
            "line": row.key,
            "text": row.text,
            "contributions": users.get((row.kind, row.key), []),
        }
        for row in rx.rows(objects)
    ]


def _speakers(said: Contributions, roles: Sequence[str]) -> list[Json]:
    return [
        {"role": role, "source": said[role].source, "item": said[role].item}
        for role in roles
        if role in said
    ]


def _leaf(platform: Platform, path: Path, value: str | None) -> Json:
    if value is not None and is_secret(path, platform.secrets):
        value = "***"
    return {"path": path_text(path), "value": value}
