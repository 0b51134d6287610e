"""Alembic's environment: one MetaData, filled by each room's tables."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine

import turnup.tables  # noqa: F401
from store import metadata


def run() -> None:
    """Migrate the database whose URL the caller gave (or the one given by -x url=…)."""
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True)["url"]
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
