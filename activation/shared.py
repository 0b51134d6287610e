"""Shared objects: what several fragments need; made by the first, kept while there is a user, swept after the last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, and_, exists, select

from activation import history
from activation.contributions import FragmentKey
from activation.platform import SharedKey
from activation.tables import shared_object, shared_user
from store import Rx, Tx


def users(rx: Rx, keys: Sequence[FragmentKey]) -> dict[FragmentKey, frozenset[SharedKey]]:
    """Return the shared objects that fragments use; all keys are in the answer."""
    found: dict[FragmentKey, set[SharedKey]] = {key: set() for key in keys}
    statement = select(shared_user).where(
        shared_user.c.valid_to.is_(None),
        shared_user.c.device.in_({key.device for key in keys}),
        shared_user.c.line.in_({key.line for key in keys}),
    )
    for row in rx.rows(statement):
        key = FragmentKey(row.device, row.feature, row.line)
        if key in found:
            found[key].add(SharedKey(row.kind, row.key))
    return {key: frozenset(objects) for key, objects in found.items()}


def texts(rx: Rx, device: str, objects: Iterable[SharedKey]) -> dict[SharedKey, str]:
    """Return the text of those shared objects that exist."""
    wanted = set(objects)
    if not wanted:
        return {}
    statement = select(shared_object).where(
        shared_object.c.valid_to.is_(None),
        shared_object.c.device == device,
        shared_object.c.kind.in_({which.kind for which in wanted}),
        shared_object.c.key.in_({which.key for which in wanted}),
    )
    found = {SharedKey(row.kind, row.key): row.text for row in rx.rows(statement)}
    return {which: text for which, text in found.items() if which in wanted}


def unused(
    rx: Rx, devices: Sequence[str], only: Iterable[SharedKey] | None = None
) -> list[tuple[str, SharedKey]]:
    """Return (device, object) of what orders made and nobody uses."""
    in_use = exists().where(
        and_(
            shared_user.c.valid_to.is_(None),
            shared_user.c.device == shared_object.c.device,
            shared_user.c.kind == shared_object.c.kind,
            shared_user.c.key == shared_object.c.key,
        )
    )
    statement = (
        select(shared_object)
        .where(
            shared_object.c.valid_to.is_(None),
            shared_object.c.device.in_(devices),
            shared_object.c.order_id.is_not(None),
            ~in_use,
        )
        .order_by(shared_object.c.device, shared_object.c.valid_from, shared_object.c.id)
    )
    found = [_which(row) for row in rx.rows(statement)]
    return found if only is None else [pair for pair in found if pair[1] in set(only)]


def use(
    tx: Tx,
    key: FragmentKey,
    before: frozenset[SharedKey],
    after: Iterable[SharedKey],
    order_id: str | None,
) -> None:
    """Keep which shared objects a fragment uses."""
    place = {"device": key.device, "feature": key.feature, "line": key.line}
    wanted = set(after)
    for gone in sorted(before - wanted):
        history.close(tx, shared_user, **place, kind=gone.kind, key=gone.key)
    for new in sorted(wanted - before):
        history.open_row(
            tx, shared_user, order_id, None, {**place, "kind": new.kind, "key": new.key}
        )


def make(tx: Tx, device: str, objects: Mapping[SharedKey, str], order_id: str | None) -> None:
    """Keep shared objects that do not exist yet."""
    for which in sorted(set(objects) - set(texts(tx, device, objects))):
        row = {"device": device, "kind": which.kind, "key": which.key, "text": objects[which]}
        history.open_row(tx, shared_object, order_id, None, row)


def drop(tx: Tx, device: str, which: SharedKey) -> None:
    """End a shared object."""
    history.close(tx, shared_object, device=device, kind=which.kind, key=which.key)


def _which(row: Row[Any]) -> tuple[str, SharedKey]:
    return row.device, SharedKey(row.kind, row.key)
