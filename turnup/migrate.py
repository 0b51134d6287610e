"""Bring a database to this version's schema with Alembic."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import OperationalError as PostgresError
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from store.database import engine_url
from turnup.errors import DatabaseUnreachable

if TYPE_CHECKING:
    from alembic.config import Config

STORES = ("sqlite", "postgresql")
MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def config(url: str) -> Config:
    """Return the Alembic configuration for a database."""
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    alembic.attributes["url"] = engine_url(url)
    return alembic


def upgrade(url: str) -> str:
    """Apply what is missing and return the revision."""
    with reaching(url):
        if (
            current(url) != head()
        ):  # Alembic is half a second of a start that mostly has nothing to do
            from alembic import command

            logging.getLogger("alembic").setLevel(logging.WARNING)
            command.upgrade(config(url), "head")
        return current(url) or "empty"


def head() -> str:
    """Return this version's revision: the newest migration, by its number."""
    newest = max(file.name for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return newest.partition("_")[0]


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say DATABASE_UNREACHABLE, without the password, when a database cannot be opened."""
    shown = _checked(url).render_as_string(hide_password=True)
    try:
        yield
    except (OperationalError, PostgresError, OSError) as error:
        cause = error.orig if isinstance(error, OperationalError) else error
        raise DatabaseUnreachable(
            f"{shown} cannot be opened ({cause}); check the URL, the folder, or that the server runs."
        ) from error


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in STORES:
        raise DatabaseUnreachable(
            "The database URL is none of ours; write sqlite:///FILE or postgresql://USER@HOST:PORT/NAME."
        )
    return parsed


def stamp(url: str) -> None:
    """Mark a database whose tables were made in another way as being up to date."""
    from alembic import command

    command.stamp(config(url), "head")


def current(url: str) -> str | None:
    """Return the database's revision, or None for an empty one."""
    engine = create_engine(engine_url(url))
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found = connection.scalar(text("SELECT version_num FROM alembic_version"))
            return None if found is None else str(found)
    finally:
        engine.dispose()
