"""Activation's tables. Fragments, contributions, shared objects and their users keep their history.

A row is current while `valid_to` is null; at most one current row per key.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, String, Table, Text

from store import Instant, Json, metadata


def _history() -> list[Column[object]]:
    return [
        Column("id", String(40), primary_key=True),
        Column("valid_from", Instant, nullable=False),
        Column("valid_to", Instant),
        Column("order_id", String(120)),
        Column("item", String(120)),
    ]


def _current(table: Table, *columns: str) -> None:
    current = table.c.valid_to.is_(None)
    Index(
        f"ux_{table.name}_current",
        *(table.c[name] for name in columns),
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )


fragment = Table(
    "fragment",
    metadata,
    *_history(),
    Column("device", String(120), nullable=False),
    Column("feature", String(120), nullable=False),
    Column("line", String(120), nullable=False),
    Column("text", Text, nullable=False),
    Column("owners", Json, nullable=False),
)
_current(fragment, "device", "feature", "line")

contribution = Table(
    "contribution",
    metadata,
    *_history(),
    Column("device", String(120), nullable=False),
    Column("feature", String(120), nullable=False),
    Column("line", String(120), nullable=False),
    Column("role", String(120), nullable=False),
    Column("source", String(120), nullable=False),
    Column("values", Json, nullable=False),
)
_current(contribution, "device", "feature", "line", "role")

shared_object = Table(
    "shared_object",
    metadata,
    *_history(),
    Column("device", String(120), nullable=False),
    Column("kind", String(120), nullable=False),
    Column("key", String(120), nullable=False),
    Column("text", Text, nullable=False),
)
_current(shared_object, "device", "kind", "key")

shared_user = Table(
    "shared_user",
    metadata,
    *_history(),
    Column("device", String(120), nullable=False),
    Column("kind", String(120), nullable=False),
    Column("key", String(120), nullable=False),
    Column("feature", String(120), nullable=False),
    Column("line", String(120), nullable=False),
)
_current(shared_user, "device", "feature", "line", "kind", "key")
Index("ix_shared_user_object", shared_user.c.device, shared_user.c.kind, shared_user.c.key)

claim = Table(
    "fragment_claim",
    metadata,
    Column("device", String(120), primary_key=True),
    Column("root", String(400), primary_key=True),
    Column("owner_kind", String(12), primary_key=True),
    Column("owner_name", String(120), primary_key=True),
    Column("owner_key", String(120), primary_key=True),
)
"""Which current fragment (feature, line) or shared object (kind, key) stands in which part of a device."""

batch = Table(
    "batch",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("change_id", String(240), nullable=False, index=True),
    Column("order_id", String(120), nullable=False, index=True),
    Column("kind", String(12), nullable=False),
    Column("state", String(20), nullable=False, index=True),
    Column("request", Json, nullable=False),
    Column("cause", Json),
    Column("outcome", Json),
    Column("deadline", Instant),
    Column("created", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
)

batch_device = Table(
    "batch_device",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("device", String(120), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("platform", String(120), nullable=False),
    Column("mode", String(1), nullable=False),
    Column("state", String(20), nullable=False),
    Column("edits", Json, nullable=False),
    Column("inverse", Json, nullable=False),
    Column("before", Json, nullable=False),
    Column("after", Json, nullable=False),
    Column("ensured", Json, nullable=False),
    Column("fingerprint", String(64)),
)
Index("ix_batch_device_device", batch_device.c.device)

batch_journal = Table(
    "batch_journal",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("devices", Json, nullable=False),
    Column("detail", Json),
)

device_lease = Table(
    "device_lease",
    metadata,
    Column("device", String(120), primary_key=True),
    Column("batch_id", String(40), nullable=False, index=True),
    Column("since", Instant, nullable=False),
)
