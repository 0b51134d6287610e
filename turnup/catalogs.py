"""Check and import folders of product data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from activation.platform import Platforms
from catalog.check import Finding, check
from catalog.errors import CatalogInvalid
from catalog.load import load
from catalog.repository import ImportResult, import_data
from store import Database


def check_folders(folders: Sequence[Path]) -> list[Finding]:
    """Return what is wrong with the catalogs, platform features included."""
    return list(check(load(folders), platform_features()))


def findings_of(folders: Sequence[Path]) -> list[Finding]:
    """Return what is wrong with the catalogs, files that cannot be read included."""
    try:
        return check_folders(folders)
    except CatalogInvalid as error:
        return [_unreadable(str(problem)) for problem in error.details["problems"]]


def _unreadable(problem: str) -> Finding:
    where, _, message = problem.partition(": ")
    return Finding(CatalogInvalid.code, where, message)


def import_folders(database: Database, folders: Sequence[Path]) -> ImportResult:
    """Import what is absent. Raises CATALOG_INVALID, CATALOG_CONFLICT."""
    data = load(folders)
    with database.write() as tx:
        return import_data(tx, data)


def platform_features() -> Mapping[str, set[str]]:
    """Return the features that each platform can configure."""
    return {name: set(found) for name, found in Platforms().features().items()}
