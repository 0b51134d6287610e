"""Fixtures that every room shares: a fresh database on each store."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from store import Database, metadata, new_id
from store import database as store_database

# what is tested is our code, not the disk: a power cut may cost a test its data
os.environ.setdefault("TURNUP_SQLITE_SYNCHRONOUS", "normal")
store_database.SYNCHRONOUS = "NORMAL"
ROOMS = ("tmf", "orders", "inventory", "catalog", "activation")
POSTGRES = os.environ.get("TURNUP_TEST_POSTGRES")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --crash-all: every kill point instead of a handful (make crash)."""
    parser.addoption("--crash-all", action="store_true", help="kill at every commit (make crash)")


def _load_tables() -> None:
    for room in ROOMS:
        package = importlib.import_module(room)
        if any(module.name == "tables" for module in pkgutil.iter_modules(package.__path__)):
            importlib.import_module(f"{room}.tables")
    importlib.import_module("turnup.tables")


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database file with all tables, copied by each test."""
    _load_tables()
    path = tmp_path_factory.mktemp("template") / "template.db"
    _create_all(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """One PostgreSQL database with all tables, used as TEMPLATE by each test."""
    if not POSTGRES:
        pytest.skip("TURNUP_TEST_POSTGRES is not set: no PostgreSQL to test on")
    _load_tables()
    name = f"turnup_template_{new_id()}"
    admin = create_engine(_driver(POSTGRES), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    _create_all(_replace(POSTGRES, name))
    yield name
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a fresh database with all tables."""
    if request.param == "sqlite":
        path = tmp_path / "turnup.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        yield from _postgres_database(request.getfixturevalue("postgres_template"))


@pytest.fixture
def store(store_url: str) -> Iterator[Database]:
    """A fresh database with all tables, on each store."""
    database = Database(store_url)
    yield database
    database.close()


def _postgres_database(template: str) -> Iterator[str]:
    assert POSTGRES
    name = f"turnup_test_{new_id()}"
    admin = create_engine(_driver(POSTGRES), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield _replace(POSTGRES, name)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def _create_all(url: str) -> None:
    engine = create_engine(_driver(url))
    metadata.create_all(engine)
    engine.dispose()
    if "turnup.tables" in sys.modules:
        from turnup.migrate import stamp

        stamp(url)


def _replace(url: str, database: str) -> str:
    return url.rsplit("/", 1)[0] + "/" + database


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)
