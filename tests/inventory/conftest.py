"""Inventory fixtures: a clock that stands still, a database on it, and the small metro network."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from inventory.devices import TopologyImport, import_topology
from store import Database, ManualClock


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def metro() -> TopologyImport:
    found: TopologyImport = _load("metro").METRO
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def base(store_url: str, clock: ManualClock) -> Iterator[Database]:
    database = Database(store_url, clock=clock)
    yield database
    database.close()


@pytest.fixture
def network(base: Database, metro: TopologyImport) -> Database:
    with base.write() as tx:
        import_topology(tx, metro)
    return base
