"""Activation on a fresh store, over devices in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store import Database
from tests.activation.bench import World, build_world


@pytest.fixture
def world(store: Database) -> Iterator[World]:
    """Activation on a fresh store, over devices in memory."""
    yield from build_world(store)
