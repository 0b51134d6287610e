"""Tables of the order engine. Partial indexes keep the claim flat however much history there is."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from store import Instant, Json, metadata

_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")


def _live(name: str, where: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


orders = Table(
    "orders",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("layer", String(8), nullable=False),
    Column("state", String(24), nullable=False),
    Column("key", String(255)),
    Column("body", Json, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("correlation", String(255)),
    Column("plan", Json),
    Column("plan_hash", String(128)),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("completed", Instant),
    Column("expected", Instant),
    UniqueConstraint("layer", "key"),
    Index("ix_orders_layer_state_seq", "layer", "state", "seq"),
    Index("ix_orders_layer_seq", "layer", "seq"),
)

order_item = Table(
    "order_item",
    metadata,
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("state", String(24), nullable=False),
    Column("instance", String(255)),
    Column("spec", String(255)),
    Column("body", Json, nullable=False),
    Column("before", Json),
    Column("after", Json),
    Column("result", Json, nullable=False),
    Column("error", Json),
    _live("ix_order_item_instance", "instance IS NOT NULL", "instance"),
)

task = Table(
    "task",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("layer", String(8), nullable=False),
    Column("key", String(255), nullable=False),
    Column("kind", String(128), nullable=False),
    Column("args", Json, nullable=False),
    Column("items", Json, nullable=False),
    Column("state", String(8), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("run_at", Instant, nullable=False),
    Column("rank", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("needs_left", Integer, nullable=False),
    Column("stopping", Boolean, nullable=False),
    Column("overdue", Boolean, nullable=False),
    Column("owner", String(64)),
    Column("lease_until", Instant),
    Column("wake", Json),
    Column("result", Json),
    Column("created", Instant, nullable=False),
    Column("started", Instant),
    Column("ended", Instant),
    UniqueConstraint("order_id", "key"),
    _live("ix_task_ready_rank", "state = 'ready'", "rank", "seq"),
    _live("ix_task_ready_run_at", "state = 'ready'", "run_at"),
    _live("ix_task_leased", "state = 'leased'", "lease_until"),
)

task_need = Table(
    "task_need",
    metadata,
    Column("needed", ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Column("task", ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_task_need_task", "task"),
)

task_wait = Table(
    "task_wait",
    metadata,
    Column("task", ForeignKey("task.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("key", String(255), nullable=False),
    Column("due", Instant),
    Column("external", Json),
    Column("since", Instant, nullable=False),
    Index("ix_task_wait_key", "key"),
    _live("ix_task_wait_due", "due IS NOT NULL", "due"),
)

task_wake = Table(
    "task_wake",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False),
    Column("payload", Json, nullable=False),
    Column("created", Instant, nullable=False),
    Index("ix_task_wake_key", "key"),
)

fallout = Table(
    "fallout",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("task", ForeignKey("task.id", ondelete="CASCADE"), nullable=False),
    Column("layer", String(8), nullable=False),
    Column("items", Json, nullable=False),
    Column("code", String(64), nullable=False),
    Column("explanation", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("details", Json, nullable=False),
    Column("state", String(8), nullable=False),
    Column("created", Instant, nullable=False),
    Column("closed", Instant),
    Column("resolution", String(16)),
    Column("evidence", Text),
    Index("ix_fallout_order_id", "order_id"),
    Index("ix_fallout_task", "task"),
    _live("ix_fallout_open", "state = 'open'", "created"),
)

task_journal = Table(
    "task_journal",
    metadata,
    Column("seq", _SEQUENCE, primary_key=True, autoincrement=True),
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("task", String(32)),
    Column("time", Instant, nullable=False),
    Column("event", String(24), nullable=False),
    Column("data", Json),
    Index("ix_task_journal_order_id_seq", "order_id", "seq"),
)
