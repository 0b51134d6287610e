"""Declared kinds in the table `pool_kind`: what a catalog or an engineer added to `kinds.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from inventory.errors import KindConflict, KindInvalid
from inventory.tables import pool
from inventory.tables import pool_kind as table
from inventory.values.kind import Document, Kind
from store import Rx, Tx


def check(kind: Kind) -> None:
    """Refuse what only Turnup's own kinds can say. Raises KindInvalid."""
    problems = list(_ours(kind))
    if problems:
        raise KindInvalid(
            f"Pool kind {kind.name!r} is not valid: {'; '.join(problems)}.",
            details={"kind": kind.name, "problems": problems},
        )


def document(rx: Rx, name: str) -> Document | None:
    """Return what was declared under a name, as this transaction sees it."""
    found: Document | None = rx.scalar(select(table.c.document).where(table.c.name == name))
    return found


def documents(rx: Rx) -> Mapping[str, Document]:
    """Return all declarations by name."""
    return {row.name: row.document for row in rx.rows(select(table.c.name, table.c.document))}


def store(tx: Tx, kind: Kind) -> None:
    """Keep a declaration. Raises KindConflict while pools of the kind exist that were made under another."""
    lock(tx, kind.name)
    known = document(tx, kind.name)
    if known == kind.document:
        return
    if known is None:
        tx.execute(_insert(tx, kind))
        return
    used = tx.scalar(
        select(func.count())
        .select_from(pool)
        .where(pool.c.kind == kind.name, pool.c.removed.is_(None))
    )
    if used:
        raise KindConflict(
            f"Pool kind {kind.name} has other content and {used} pools; declare yours under another name, "
            "or remove them first.",
            details={
                "kind": kind.name,
                "pools": used,
                "differs": _differences(known, kind.document),
            },
        )
    changed = {"document": dict(kind.document), "declared": tx.now}
    tx.execute(update(table).where(table.c.name == kind.name).values(**changed))


def lock(tx: Tx, name: str) -> None:
    """Let one at a time declare a kind, or make a pool of it (PostgreSQL; SQLite has one writer)."""
    if tx.dialect == "postgresql":
        tx.execute(
            text("SELECT pg_advisory_xact_lock(hashtext('pool_kind'), hashtext(:name))"),
            {"name": name},
        )


def _insert(tx: Tx, kind: Kind) -> Any:
    dialect = postgresql if tx.dialect == "postgresql" else sqlite
    row = {"name": kind.name, "document": dict(kind.document), "declared": tx.now}
    return dialect.insert(table).values(**row)


def _differences(known: Document, wanted: Document) -> list[str]:
    return sorted(
        word for word in known.keys() | wanted.keys() if known.get(word) != wanted.get(word)
    )


def _ours(kind: Kind) -> Iterator[str]:
    if kind.per_port:
        # a port without such a pool would look full to the placement
        yield "perPort: only Turnup's own kinds are made with every port"
