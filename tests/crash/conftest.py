"""Options of the crash tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --crash-all: every commit instead of a handful."""
    parser.addoption("--crash-all", action="store_true", help="kill at every commit (make crash)")
