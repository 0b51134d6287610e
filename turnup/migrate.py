"""Bring a database to this version's schema with Alembic."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from store.database import engine_url

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def config(url: str) -> Config:
    """Return the Alembic configuration for a database."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["url"] = engine_url(url)
    return alembic


def upgrade(url: str) -> str:
    """Apply what is missing and return the revision."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(config(url), "head")
    return current(url) or "empty"


def stamp(url: str) -> None:
    """Mark a database whose tables were made in another way as being up to date."""
    command.stamp(config(url), "head")


def current(url: str) -> str | None:
    """Return the database's revision, or None for an empty one."""
    engine = create_engine(engine_url(url))
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
