"""The migrations make exactly the tables that the rooms declare, on both stores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from store import metadata, new_id
from store.database import engine_url
from turnup.migrate import current, head, upgrade
from turnup.tables import ROOMS

POSTGRES = os.environ.get("TURNUP_TEST_POSTGRES")


def _differences(url: str) -> list[object]:
    assert ROOMS
    engine = create_engine(engine_url(url))
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return list(found)


def test_migrations_equal_the_tables_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.db"
    assert upgrade(url) == current(url) == head()
    assert _differences(url) == []
    assert upgrade(url) == current(url)


@pytest.mark.postgresql
def test_migrations_equal_the_tables_on_postgresql() -> None:
    if not POSTGRES:
        pytest.skip("TURNUP_TEST_POSTGRES is not set: no PostgreSQL to test on")
    name = f"turnup_migrated_{new_id()}"
    admin = create_engine(engine_url(POSTGRES), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = POSTGRES.rsplit("/", 1)[0] + "/" + name
    try:
        upgrade(url)
        assert _differences(url) == []
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        admin.dispose()
