"""Catalog entities as a TMF collection: read only, because catalogs are loaded from folders."""

from __future__ import annotations

from typing import Any

from catalog.data import Kind
from catalog.errors import CatalogReadOnly
from catalog.repository import Catalogs
from store import Database
from tmf.patch import Patch
from tmf.query import Page, Query

Json = dict[str, Any]
_REMEDY = "put it into a folder with a new version and run `turnup catalog load`."


class EntityCollection:
    """The entities of one kind, all versions; by id the newest launched one."""

    def __init__(self, database: Database, catalogs: Catalogs, kind: Kind) -> None:
        self._database = database
        self._catalogs = catalogs
        self._kind: Kind = kind

    def list(self, query: Query, /) -> Page:
        """Return the page asked for."""
        with self._database.read() as rx:
            return query.apply(self._catalogs.view(rx).entities(self._kind))

    def get(self, key: str, /) -> Json:
        """Return one entity."""
        with self._database.read() as rx:
            return self._catalogs.view(rx).entity(self._kind, key)

    def create(self, body: Json, /) -> Json:  # noqa: ARG002
        """Refuse: a catalog is loaded."""
        raise CatalogReadOnly(f"A {self._kind} is not created here; {_REMEDY}")

    def patch(self, key: str, patch: Patch, /) -> Json:  # noqa: ARG002
        """Refuse: a launched version is immutable."""
        raise CatalogReadOnly(f"{key} is not changed here; {_REMEDY}")

    def delete(self, key: str, /) -> None:
        """Refuse: orders and instances pin versions."""
        raise CatalogReadOnly(f"{key} cannot be deleted: orders and instances name its versions.")
