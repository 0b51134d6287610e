"""The inventory's tables. Rows with `valid_to` are history; a partial unique index keeps the present one.

History and present share a table, so a change costs one row, not two, and a question about the past
has the same shape as one about now.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from inventory.types import Micros, RowNumber
from store.types import Instant, Json, metadata

_CURRENT = text("valid_to IS NULL")
_CLOSED = text("valid_to IS NOT NULL")
# the same as _CURRENT, in words of its own: PostgreSQL thinks, until told, that next to no valid_to is NULL, and then
# reads all of any index of that condition rather than look up the one that fits
HELD = "coalesce(valid_to, 0) = 0"
_HELD = text(HELD)
_PREFIX_SEARCH = "text_pattern_ops"


def _causes() -> list[Column[str]]:
    return [
        Column(name, String)
        for name in ("order_id", "item_id", "layer", "end_order_id", "end_item_id", "end_layer")
    ]


def _current(name: str, *columns: Column[str] | Column[int], unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, sqlite_where=_CURRENT, postgresql_where=_CURRENT)


def _closed(name: str, *columns: Column[str]) -> Index:
    return Index(name, *columns, sqlite_where=_CLOSED, postgresql_where=_CLOSED)


# -- instances --------------------------------------------------------------------------------------

instance = Table(
    "instance",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("category", String),
    Column("spec", String, nullable=False),
    Column("version", String, nullable=False),
    Column("name", String, nullable=False),
    Column("state", String, nullable=False),
    Column("characteristics", Json, nullable=False),
    Column("place", String),
    Column("line", String),
    Column("key", String),
    Column("inputs", Json, nullable=False),
    Column("after", Json, nullable=False),
    Column("body", Json, nullable=False),
    Column("created", Instant, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    *_causes(),
)
_current("uq_instance_id_current", instance.c.id, unique=True)
_current("ix_instance_line_current", instance.c.line, instance.c.key)
_current("ix_instance_place_current", instance.c.place)
_current("ix_instance_kind_current", instance.c.kind, instance.c.created, instance.c.id)
Index("ix_instance_id_valid_from", instance.c.id, instance.c.valid_from)

relation = Table(
    "relation",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("target", String, nullable=False),
    Column("type", String, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    *_causes(),
)
_current("uq_relation_current", relation.c.source, relation.c.target, relation.c.type, unique=True)
_current("ix_relation_target_current", relation.c.target)
_closed("ix_relation_source_closed", relation.c.source, relation.c.valid_to)
_closed("ix_relation_target_closed", relation.c.target, relation.c.valid_to)

# which nodes of the graph a resource's values name: what a broken node takes with it, and whose line that is
footprint = Table(
    "footprint",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("instance", String, nullable=False),
    Column("node", String, nullable=False),
    Column("line", String),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
)
_current("uq_footprint_current", footprint.c.instance, footprint.c.node, unique=True)
_current("ix_footprint_node_current", footprint.c.node, footprint.c.line, footprint.c.instance)
_closed("ix_footprint_node_closed", footprint.c.node, footprint.c.valid_to)
_closed("ix_footprint_instance_closed", footprint.c.instance, footprint.c.valid_to)

# the customers and others that a product or service names: the way from a party to what it has
stake = Table(
    "stake",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("instance", String, nullable=False),
    Column("party", String, nullable=False),
    Column("role", String, nullable=False),
    Column("name", String),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
)
_current("uq_stake_current", stake.c.instance, stake.c.party, stake.c.role, unique=True)
_current("ix_stake_party_current", stake.c.party)
_closed("ix_stake_party_closed", stake.c.party, stake.c.valid_to)
_closed("ix_stake_instance_closed", stake.c.instance, stake.c.valid_to)

# -- pools ------------------------------------------------------------------------------------------

_KEPT = text("removed IS NULL")

# kinds that a catalog or an engineer declared, beside those of kinds.yaml
pool_kind = Table(
    "pool_kind",
    metadata,
    Column("name", String, primary_key=True),
    Column("document", Json, nullable=False),
    Column("declared", Micros, nullable=False),
)

pool = Table(
    "pool",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("domain", String),
    Column("parent", Integer),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("quarantine_seconds", Integer, nullable=False),
    Column("reuse", String, nullable=False),
    Column("stripes", Integer, nullable=False, server_default="1"),
    Column("draining", Integer, nullable=False, server_default="0"),
    Column("pressure_until", Micros),
    Column("pressure_reason", String),
    Column("params", Json, nullable=False),
    Column("created", Micros, nullable=False),
    Column("removed", Micros),
    Index("ix_pool_id", "id"),
    Index("ix_pool_domain", "domain", "first"),
    Index("ix_pool_parent", "parent"),
)
Index("uq_pool_id", pool.c.id, unique=True, sqlite_where=_KEPT, postgresql_where=_KEPT)
Index(
    "uq_pool_kind_scope",
    pool.c.kind,
    pool.c.scope,
    unique=True,
    sqlite_where=_KEPT,
    postgresql_where=_KEPT,
)

# what a pool contains; what is between its spans is excluded. Stock is one span per value. A span of a band
# (reserved for callers that name it) keeps its free ranges apart from the pool's
pool_span = Table(
    "pool_span",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("band", Integer),
    Column("valid_from", Micros, nullable=False),
    Column("valid_to", Micros),
)
_current("uq_pool_span_first_current", pool_span.c.pool, pool_span.c.first, unique=True)
Index(
    "ix_pool_span_closed",
    pool_span.c.pool,
    pool_span.c.first,
    sqlite_where=_CLOSED,
    postgresql_where=_CLOSED,
)

# free ranges of a band are kept under the negative of its number
pool_band = Table(
    "pool_band",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("name", String, nullable=False),
    UniqueConstraint("pool", "name"),
)

# which places of a domain (VRF, numbering plan) the pools hold that were carved from no other: disjoint, so one look
# finds an overlap. A place is a number of 128 bits in hexadecimal digits, which sort as it does
pool_extent = Table(
    "pool_extent",
    metadata,
    Column("domain", String, primary_key=True),
    Column("low", String(32), primary_key=True),
    Column("high", String(32), nullable=False),
    Column("pool", Integer, nullable=False),
    Index("ix_pool_extent_pool", "pool"),
)

# what was done to a pool, and why: shape, policy, declared pressure
pool_event = Table(
    "pool_event",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("at", Micros, nullable=False),
    Column("what", String, nullable=False),
    Column("details", Json, nullable=False),
    Index("ix_pool_event_pool", "pool", "row"),
)

# lo is in no index: moving it forward stays a heap-only update on PostgreSQL
free_range = Table(
    "free_range",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("lo", BigInteger, nullable=False),
    Column("hi", BigInteger, nullable=False),
    Column("free_at", BigInteger, nullable=False, server_default="0"),
    Column("subject", String),
    Index("ix_free_range_next", "pool", "free_at", "hi"),
    Index("uq_free_range_hi", "pool", "hi", unique=True),
)
Index(
    "ix_free_range_subject",
    free_range.c.pool,
    free_range.c.subject,
    sqlite_where=text("subject IS NOT NULL"),
    postgresql_where=text("subject IS NOT NULL"),
)

allocation = Table(
    "allocation",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("owner", String, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("subject", String),
    Column("valid_from", Micros, nullable=False),
    Column("confirmed_at", Micros),
    Column("expires_at", Micros),
    Column("valid_to", Micros),
    Column("quarantine_until", Micros),
    Column("reason", Json),
    *_causes(),
)
_current("uq_allocation_value_current", allocation.c.pool, allocation.c.value, unique=True)
Index(
    "uq_allocation_owner_current",
    allocation.c.owner,
    allocation.c.pool,
    allocation.c.ordinal,
    unique=True,
    sqlite_where=_HELD,
    postgresql_where=_HELD,
    postgresql_ops={"owner": _PREFIX_SEARCH},
)
Index(
    "ix_allocation_expires",
    allocation.c.expires_at,
    sqlite_where=text("expires_at IS NOT NULL AND valid_to IS NULL"),
    postgresql_where=text("expires_at IS NOT NULL AND valid_to IS NULL"),
)
# reservations are counted one by one, what is allocated is the rest: a pool of millions is counted at once
_OPEN = text(f"confirmed_at IS NULL AND {HELD}")
Index(
    "ix_allocation_open",
    allocation.c.pool,
    allocation.c.expires_at,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index(
    "ix_allocation_closed",
    allocation.c.pool,
    allocation.c.value,
    allocation.c.valid_to,
    sqlite_where=_CLOSED,
    postgresql_where=_CLOSED,
)

# who uses a shared value; the value goes with its last user
pool_user = Table(
    "pool_user",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("pool", Integer, nullable=False),
    Column("shared_by", String, nullable=False),
    Column("user", String, nullable=False, quote=True),
    Column("valid_from", Micros, nullable=False),
    Column("valid_to", Micros),
    *_causes(),
)
_current(
    "uq_pool_user_current",
    pool_user.c.pool,
    pool_user.c.shared_by,
    pool_user.c.user,
    unique=True,
)

# -- graph and devices ------------------------------------------------------------------------------


def _makers() -> list[Column[str]]:
    """Return the columns for what changed the plant: an imported file, an API call; no order does."""
    return [Column("made_by", String), Column("ended_by", String)]


node = Table(
    "node",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("parent", String),
    Column("role", String),
    Column("technology", String),
    Column("labels", Json, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    *_makers(),
)
_current("uq_node_id_current", node.c.id, unique=True)
Index("ix_node_id", node.c.id, node.c.valid_from)
Index("ix_node_name", node.c.name)
Index("ix_node_parent", node.c.parent)
Index("ix_node_kind", node.c.kind, node.c.role)

edge = Table(
    "edge",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("a", String, nullable=False),
    Column("b", String, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    *_makers(),
)
_current("uq_edge_current", edge.c.a, edge.c.b, unique=True)
Index("ix_edge_a", edge.c.a)
Index("ix_edge_b", edge.c.b)

device = Table(
    "device",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("platform", String, nullable=False),
    Column("role", String, nullable=False),
    Column("site", String),
    Column("host", String, nullable=False),
    Column("endpoints", Json, nullable=False),
    Column("credential_ref", String),
    Column("host_key", String),
    Column("ca_path", String),
    Column("admin_state", String, nullable=False),
    Column("labels", Json, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_to", Instant),
    *_makers(),
)
_current("uq_device_name_current", device.c.name, unique=True)
Index("ix_device_name", device.c.name, device.c.valid_from)
Index("ix_device_role", device.c.role)

# -- sources of truth -------------------------------------------------------------------------------

# where records come from and allocations are written back to; the token is only named
source = Table(
    "source",
    metadata,
    Column("name", String, primary_key=True),
    Column("type", String, nullable=False),
    Column("url", String, nullable=False),
    Column("token_ref", String, nullable=False),
    Column("ca_path", String),
    Column("insecure", Integer, nullable=False, server_default="0"),
    Column("rules", Json, nullable=False),
    Column("mark", String, nullable=False),
    Column("run", Integer, nullable=False, server_default="0"),
    Column("report", Json),
    Column("created", Micros, nullable=False),
)

# what an object of theirs is to us: a pool, a value it holds, a part it keeps from a pool, a device
source_object = Table(
    "source_object",
    metadata,
    Column("source", String, primary_key=True),
    Column("collection", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("pool", Integer),
    Column("value", BigInteger),
    Column("details", Json, nullable=False),
    Column("seen", Integer, nullable=False),
    Index("ix_source_object_pool", "pool", "value"),
    Index("ix_source_object_seen", "source", "seen"),
)

# what should be written about a value (wanted) and what has been (written); one row per value keeps the order
source_change = Table(
    "source_change",
    metadata,
    Column("id", RowNumber, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("pool", Integer, nullable=False),
    Column("value", BigInteger, nullable=False),
    Column("owner", String, nullable=False),
    Column("wanted", String, nullable=False),
    Column("until", Micros),
    Column("written", String),
    Column("object", String),
    Column("state", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Micros, nullable=False),
    Column("code", String),
    Column("message", String),
    Column("changed", Micros, nullable=False),
    UniqueConstraint("source", "pool", "value"),
    Index("ix_source_change_state", "source", "state", "due"),
)

TABLES: tuple[Table, ...] = (
    instance,
    relation,
    footprint,
    stake,
    pool_kind,
    pool,
    pool_span,
    pool_band,
    pool_extent,
    pool_event,
    free_range,
    allocation,
    pool_user,
    node,
    edge,
    device,
    source,
    source_object,
    source_change,
)
