"""Pool kinds by name: those of `kinds.yaml`, and those that a catalog or an engineer declared (table `pool_kind`).

Every order passes here, so a known kind costs one look into a mapping; the files and the table are read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from inventory.errors import KindConflict, KindUnknown, ValueInvalid
from inventory.values import declared
from inventory.values.kind import Document, Kind, Reuse, read
from inventory.values.renderings import fits
from store import Rx, Tx

__all__ = [
    "Kind",
    "Reuse",
    "check",
    "declare",
    "kind",
    "kinds",
    "load",
    "number",
    "own_kinds",
    "parse",
    "plain",
    "read",
    "render",
    "technology",
]

_declared: dict[str, Kind] = {}
_met: dict[str, Kind] = {}
"""Kinds met in writing transactions: to render the values of pools made there; a rollback may undo them."""


def kind(name: str, rx: Rx | None = None) -> Kind:
    """Return a kind.

    Args:
        name: the kind's name.
        rx: with a transaction the table decides about declared kinds: what another process or this very
            transaction declared is found, what is not there is unknown.

    Raises:
        KindUnknown: KIND_UNKNOWN.

    """
    own = own_kinds().get(name)
    if own is not None:
        return own
    found = _declared.get(name) if rx is None else _stored(rx, name)
    if found is None:
        names = ", ".join(sorted(kinds() if rx is None else load(rx)))
        raise KindUnknown(
            f"No pool kind {name!r}; use one of {names}, or declare it.", details={"kind": name}
        )
    return found


def kinds() -> Mapping[str, Kind]:
    """Return all kinds that this process knows, by name."""
    return {**own_kinds(), **_declared}


@cache
def own_kinds() -> Mapping[str, Kind]:
    """Return the kinds of `kinds.yaml`, by name."""
    return {name: read(name, entry) for name, entry in _file()["kinds"].items()}


def check(document: Mapping[str, Any]) -> Kind:
    """Return the kind that a declaration `{name, render, scope, …}` describes. Raises KindInvalid, KindConflict."""
    name, words = _words(document)
    found = read(name, words)
    own = own_kinds().get(name)
    if own is not None and own.document != words:
        raise KindConflict(
            f"Pool kind {name} is one of Turnup's own; declare yours under another name.",
            details={"kind": name},
        )
    declared.check(found)
    return found


def declare(tx: Tx, document: Mapping[str, Any]) -> Kind:
    """Declare a kind; the same again changes nothing, other content replaces it while there are no pools of it.

    Args:
        tx: the transaction; this process knows the kind once it is committed.
        document: `{name, render, scope, …}` in the words of `kinds.yaml`.

    Raises:
        KindInvalid: KIND_INVALID, with everything that is wrong.
        KindConflict: KIND_CONFLICT, other content while there are pools of it, or a name of Turnup's own.

    """
    found = check(document)
    if found.name not in own_kinds():
        declared.store(tx, found)
        _keep(tx, {found.name: found})
    return found


def load(rx: Rx) -> Mapping[str, Kind]:
    """Read all declared kinds from the table (at start); return all kinds by name."""
    found = {name: read(name, words) for name, words in declared.documents(rx).items()}
    _keep(rx, found)
    return {**own_kinds(), **found}


def technology(name: str) -> str:
    """Return an access technology as orders spell it (`xgs-pon` → `XGS-PON`)."""
    return str(_file()["technologies"].get(name.lower(), name))


def render(kind_name: str, params: Mapping[str, Any], value: int) -> str:
    """Return a value as people and devices write it.

    Args:
        kind_name: the pool's kind.
        params: the pool's parameters (`prefix` and `prefixLength` for pools of prefixes, `names` of ports …).
        value: integer of 64 bits, see `renderings`.

    """
    return _known(kind_name).form.render(params, value)


def parse(kind_name: str, params: Mapping[str, Any], text: str) -> int:
    """Return the integer of a value as people write it. Raises ValueInvalid (VALUE_INVALID).

    What is well written but lies outside the pool's prefix, administrator or names gives a value that no pool has.
    """
    try:
        return _known(kind_name).form.parse(params, text)
    except ValueError as error:
        raise ValueInvalid(
            f"{text!r} is no value of kind {kind_name}: {error}.",
            details={"kind": kind_name, "value": text},
        ) from None


def number(kind_name: str, params: Mapping[str, Any], value: int | str) -> int:
    """Return the integer of a value given as one or as text. Raises ValueInvalid (VALUE_INVALID)."""
    if isinstance(value, str):
        return parse(kind_name, params, value)
    try:
        return fits(value)
    except ValueError as error:
        raise ValueInvalid(
            f"{value} is no value of kind {kind_name}: {error}.",
            details={"kind": kind_name, "value": str(value)},
        ) from None


def plain(kind_name: str, params: Mapping[str, Any], value: int) -> int | str:
    """Return a value as characteristics of resources carry it: VLANs and ids as numbers, the rest as text."""
    return value if _known(kind_name).is_number else render(kind_name, params, value)


def _known(name: str) -> Kind:
    found = own_kinds().get(name) or _met.get(name) or _declared.get(name)
    return kind(name) if found is None else found


def _stored(rx: Rx, name: str) -> Kind | None:
    words = declared.document(rx, name)
    if words is None:
        return None
    known = _declared.get(name)
    if known is not None and known.document == words:
        # another declaration may have been met in a transaction that was rolled back
        _met.pop(name, None)
        return known
    found = read(name, words)
    _keep(rx, {name: found})
    return found


def _keep(rx: Rx, found: Mapping[str, Kind]) -> None:
    if isinstance(rx, Tx):
        _met.update(found)
        rx.after_commit(lambda: _declared.update(found))
    else:
        _declared.update(found)


def _words(document: Mapping[str, Any]) -> tuple[str, Document]:
    words = dict(document) if isinstance(document, Mapping) else {}
    return str(words.pop("name", "")), words


@cache
def _file() -> Mapping[str, Any]:
    path = Path(__file__).with_name("kinds.yaml")
    document: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document
