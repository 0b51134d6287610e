"""Check and import folders of product data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from activation.platform import Platforms
from catalog.check import Finding, check
from catalog.data import CatalogData
from catalog.errors import CatalogInvalid
from catalog.load import load
from catalog.repository import ImportResult, import_data
from inventory.errors import KindConflict, KindInvalid
from inventory.values import kinds
from store import Database


def check_folders(folders: Sequence[Path]) -> list[Finding]:
    """Return what is wrong with the catalogs, platform features and kinds of pools included."""
    data = load(folders)
    found = check(data, platform_features(), kinds.own_kinds().keys())
    return sorted([*found, *_wrong_kinds(data)], key=lambda f: (f.where, f.code, f.message))


def _wrong_kinds(data: CatalogData) -> Iterator[Finding]:
    for declared in data.pool_kinds:
        try:
            kinds.check(declared.document)
        except (KindInvalid, KindConflict) as error:
            yield Finding(error.code, declared.where, error.message)


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
    """Import what is absent. Raises CATALOG_INVALID, CATALOG_CONFLICT, KIND_INVALID, KIND_CONFLICT."""
    data = load(folders)
    with database.write() as tx:
        for declared in data.pool_kinds:
            kinds.declare(tx, declared.document)
        return import_data(tx, data)


def platform_features() -> Mapping[str, set[str]]:
    """Return the features that each platform can configure."""
    return {name: set(found) for name, found in Platforms().features().items()}
