"""Check and import folders of product data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from activation.platform import Platforms
from catalog.check import Finding, check
from catalog.load import load
from catalog.repository import ImportResult, import_data
from store import Database


def check_folders(folders: Sequence[Path]) -> list[Finding]:
    """Return what is wrong with the catalogs, platform features included."""
    return list(check(load(folders), platform_features()))


def import_folders(database: Database, folders: Sequence[Path]) -> ImportResult:
    """Import what is absent. Raises CATALOG_INVALID, CATALOG_CONFLICT."""
    data = load(folders)
    with database.write() as tx:
        return import_data(tx, data)


def platform_features() -> Mapping[str, set[str]]:
    """Return the features that each platform can configure."""
    return {name: set(found) for name, found in Platforms().features().items()}
