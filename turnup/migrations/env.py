"""Alembic's environment: one MetaData, filled by each room's tables."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import create_engine

from inventory.types import Micros
from store import Instant, Json, metadata
from turnup.tables import ROOMS


def render(kind: str, item: Any, autogen: Any) -> str | Literal[False]:
    """Write our column types by their names."""
    if kind == "type" and (item is Json or isinstance(item, Instant)):
        autogen.imports.add("from store.types import Instant, Json")
        return "Json" if item is Json else "Instant()"
    if kind == "type" and isinstance(item, Micros):
        autogen.imports.add("from inventory.types import Micros")
        return "Micros()"
    return False


def run() -> None:
    """Migrate the database whose URL the caller gave (or the one given by -x url=…)."""
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True)["url"]
    assert ROOMS, "every room's tables are registered"
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            compare_type=True,
            render_item=render,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
