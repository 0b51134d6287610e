"""Fragments: the configuration of one feature for one line on one device, rendered whole from its contributions.

`evolve` is pure over the database: it says what fragments a request changes, and how. Planning, simulation and
the last phase of a batch all use it, so what is kept is what was planned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select

from activation import contributions, history, shared
from activation.contributions import Contributions, FragmentKey
from activation.leaves import Leaves, Path, path_text
from activation.model import ChangeRequest
from activation.platform import Platform, Rendered, SharedKey
from activation.tables import claim
from activation.tables import fragment as table
from inventory.temporal import valid_at
from store import Rx, Tx

BASE = "base"
"""The feature that holds what a device had when it was imported."""


@dataclass(frozen=True, slots=True)
class FragmentChange:
    """One fragment before and after a request."""

    key: FragmentKey
    speakers_before: Contributions
    speakers_after: Contributions
    before: Rendered
    after: Rendered
    objects_before: frozenset[SharedKey]
    objects_after: Mapping[SharedKey, Mapping[str, str]]

    @property
    def new_objects(self) -> dict[SharedKey, Mapping[str, str]]:
        """Return the shared objects that it did not use before."""
        return {
            which: values
            for which, values in self.objects_after.items()
            if which not in self.objects_before
        }


@dataclass(frozen=True, slots=True)
class Owner:
    """Who stands in a part of a device: a fragment or a shared object."""

    kind: str
    name: str
    key: str

    @classmethod
    def fragment(cls, key: FragmentKey) -> Owner:
        """Return a fragment as owner."""
        return cls("fragment", key.feature, key.line)

    @classmethod
    def shared(cls, which: SharedKey) -> Owner:
        """Return a shared object as owner."""
        return cls("shared", which.kind, which.key)


@dataclass(frozen=True, slots=True)
class Stored:
    """A fragment as it is kept."""

    key: FragmentKey
    text: str
    owners: Mapping[str, Sequence[str]]
    """Path → roles; "" → the roles of everything else."""


def evolve(
    rx: Rx, request: ChangeRequest, platforms: Mapping[str, Platform]
) -> tuple[FragmentChange, ...]:
    """Return the fragments that a request changes, in the order in which it names them."""
    keys = list(
        dict.fromkeys(FragmentKey(c.device, c.feature, c.line) for c in request.contributions)
    )
    said = contributions.current(rx, keys)
    stored = read(rx, keys)
    used = shared.users(rx, keys)
    return tuple(
        _evolved(key, request, platforms[key.device], said[key], stored.get(key), used[key])
        for key in keys
    )


def read(rx: Rx, keys: Sequence[FragmentKey]) -> dict[FragmentKey, Stored]:
    """Return those fragments that exist."""
    statement = select(table).where(
        table.c.valid_to.is_(None),
        table.c.device.in_({key.device for key in keys}),
        table.c.line.in_({key.line for key in keys}),
    )
    found = {row.key: row for row in map(_stored, rx.rows(statement))}
    return {key: found[key] for key in keys if key in found}


def of_device(rx: Rx, device: str, at: datetime | None = None) -> list[Stored]:
    """Return all fragments of a device, the base first."""
    statement = (
        select(table)
        .where(valid_at(table.c, at), table.c.device == device)
        .order_by(table.c.valid_from, table.c.id)
    )
    found = [_stored(row) for row in rx.rows(statement)]
    return sorted(found, key=lambda stored: stored.key.feature != BASE)


def settle(tx: Tx, change: FragmentChange, platform: Platform, order_id: str | None) -> None:
    """Keep a fragment's new text, its contributions and its part of the device, with history."""
    contributions.write(tx, change.key, change.speakers_before, change.speakers_after, order_id)
    if change.after.text == change.before.text and (
        change.speakers_before.keys() == change.speakers_after.keys()
    ):
        return
    write(tx, change.key, change.after, owners(platform, change), order_id)
    claim_roots(tx, platform, change.key.device, Owner.fragment(change.key), change.after.leaves)


def write(
    tx: Tx,
    key: FragmentKey,
    rendered: Rendered,
    owned: Mapping[str, Sequence[str]],
    order_id: str | None,
) -> None:
    """Keep a fragment's text; an empty one ends it."""
    place = {"device": key.device, "feature": key.feature, "line": key.line}
    history.close(tx, table, **place)
    if rendered.text:
        kept = {"text": rendered.text, "owners": {path: list(r) for path, r in owned.items()}}
        history.open_row(tx, table, order_id, None, {**place, **kept})


def owners(platform: Platform, change: FragmentChange) -> dict[str, tuple[str, ...]]:
    """Return which roles each leaf is due to: those without which it would not be so.

    A leaf that needs no optional role is due to the roles that the whole fragment needs.
    """
    said = contributions.values(change.speakers_after)
    required = platform.feature(change.key.feature).requires
    found: dict[str, tuple[str, ...]] = {"": tuple(required) or tuple(sorted(said))}
    for role in sorted(set(said) - set(required)):
        without = platform.render(
            change.key.feature, {name: v for name, v in said.items() if name != role}
        ).leaves
        for path, value in change.after.leaves.items():
            if path not in without or without[path] != value:
                text = path_text(path)
                found[text] = (*found.get(text, ()), role)
    return found


def claim_roots(tx: Tx, platform: Platform, device: str, owner: Owner, leaves: Leaves) -> None:
    """Keep in which parts of the device an owner stands."""
    tx.execute(delete(claim).where(claim.c.device == device, *_is_owner(owner)))
    roots = sorted({root_text(platform, path) for path in leaves})
    if roots:
        row = {
            "device": device,
            "owner_kind": owner.kind,
            "owner_name": owner.name,
            "owner_key": owner.key,
        }
        tx.execute(insert(claim), [{**row, "root": root} for root in roots])


def neighbours(
    rx: Rx, platform: Platform, device: str, paths: Sequence[Path], but: set[Owner]
) -> list[tuple[Owner, Leaves]]:
    """Return what other owners have in the same parts of the device as `paths`."""
    roots = sorted({root_text(platform, path) for path in paths})
    if not roots:
        return []
    statement = (
        select(claim.c.owner_kind, claim.c.owner_name, claim.c.owner_key)
        .where(claim.c.device == device, claim.c.root.in_(roots))
        .distinct()
    )
    rows = rx.execute(statement).mappings()
    found = sorted(
        {Owner(r["owner_kind"], r["owner_name"], r["owner_key"]) for r in rows} - but,
        key=lambda o: (o.kind, o.name, o.key),
    )
    return [(owner, _leaves(rx, platform, device, owner)) for owner in found]


def root_text(platform: Platform, path: Path) -> str:
    """Return the part of a device that a path belongs to, as it is kept."""
    return path_text(platform.codec.root(path))


def _leaves(rx: Rx, platform: Platform, device: str, owner: Owner) -> Leaves:
    if owner.kind == "fragment":
        key = FragmentKey(device, owner.name, owner.key)
        return platform.codec.parse(read(rx, [key])[key].text)
    which = SharedKey(owner.name, owner.key)
    return platform.codec.parse(shared.texts(rx, device, [which])[which])


def _evolved(
    key: FragmentKey,
    request: ChangeRequest,
    platform: Platform,
    said: Contributions,
    stored: Stored | None,
    used: frozenset[SharedKey],
) -> FragmentChange:
    changes = [
        c
        for c in request.contributions
        if (c.device, c.feature, c.line) == (key.device, key.feature, key.line)
    ]
    after = contributions.changed(said, changes)
    values = contributions.values(after)
    before = (
        Rendered(stored.text, platform.codec.parse(stored.text)) if stored else Rendered("", {})
    )
    return FragmentChange(
        key,
        said,
        after,
        before,
        platform.render(key.feature, values),
        used,
        platform.ensures(key.feature, values),
    )


def _stored(row: Row[Any]) -> Stored:
    return Stored(FragmentKey(row.device, row.feature, row.line), row.text, row.owners)


def _is_owner(owner: Owner) -> tuple[Any, ...]:
    return (
        claim.c.owner_kind == owner.kind,
        claim.c.owner_name == owner.name,
        claim.c.owner_key == owner.key,
    )
