"""The catalog's table: one row per version of an entity, never changed once it is there."""

from __future__ import annotations

from sqlalchemy import Column, String, Table

from store.types import Instant, Json, metadata

catalog_entity = Table(
    "catalog_entity",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("body", Json, nullable=False),
    Column("imported", Instant, nullable=False),
)
