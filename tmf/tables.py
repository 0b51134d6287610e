"""Tables of events: what happened (outbox), who wants to know, and what has been told to whom."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, literal_column

from store import Instant, Json, metadata

event = Table(
    "tmf_event",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("api", String(3), nullable=False),
    Column("event_type", String(128), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("correlation", String(255)),
    Column("at", Instant, nullable=False, index=True),
    Column("body", Json, nullable=False),  # the notification as listeners get it
)
Index("ix_tmf_event_subject_at", event.c.subject, event.c.at)

subscription = Table(
    "tmf_subscription",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("api", String(3), nullable=False, index=True),
    Column("local_name", String(128)),  # of a subscriber in this process; then there is no callback
    Column("callback", Text),
    Column("query", Text),
    Column("created_at", Instant, nullable=False),
)

delivery = Table(
    "tmf_delivery",
    metadata,
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("event_id", String(64), nullable=False, index=True),
    Column("subscription_id", String(255), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("state", String(9), nullable=False),  # pending | delivered | dead
    Column("attempts", Integer, nullable=False),
    Column("queued_at", Instant, nullable=False),  # the time budget runs from here
    Column("next_at", Instant, nullable=False),
    Column("delivered_at", Instant),
    Column("error", Text),
)
# a literal, not a parameter: neither store uses a partial index for a value it does not see
PENDING = delivery.c.state == literal_column("'pending'")
Index(
    "ix_tmf_delivery_pending",
    delivery.c.subscription_id,
    delivery.c.subject,
    delivery.c.seq,
    sqlite_where=PENDING,
    postgresql_where=PENDING,
)
