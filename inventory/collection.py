"""Instances as a TMF inventory collection: read only, because orders are the way to change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from inventory.instances import Instance, find, get
from store import Database, NotFound, Rx
from tmf.patch import Patch
from tmf.query import Page, Query

Json = dict[str, Any]
Kind = Literal["product", "service", "resource"]


class InstanceCollection:
    """The products, services or resources of the inventory."""

    def __init__(
        self, database: Database, kind: Kind, show: Callable[[Rx, Instance], Json]
    ) -> None:
        self._database = database
        self._kind: Kind = kind
        self._show = show

    def list(self, query: Query, /) -> Page:
        """Return the instances that match; `id`, `category` and `line` are looked up by index."""
        with self._database.read() as rx:
            found = find(
                rx,
                kind=self._kind,
                ids=query.pinned("id"),
                line=_one(query, "line"),
                category=_one(query, "category"),
            )
            return query.apply(self._show(rx, instance) for instance in found)

    def get(self, key: str, /) -> Json:
        """Return one instance."""
        with self._database.read() as rx:
            instance = get(rx, key)
            if instance.kind != self._kind:
                raise NotFound(f"{key} is not a {self._kind}.")
            return self._show(rx, instance)

    def create(self, body: Json, /) -> Json:  # noqa: ARG002
        """Refuse: instances are made by orders."""
        raise NotFound(f"A {self._kind} is made by an order.")

    def patch(self, key: str, patch: Patch, /) -> Json:  # noqa: ARG002
        """Refuse: instances are changed by orders."""
        raise NotFound(f"{key} is changed by an order.")

    def delete(self, key: str, /) -> None:
        """Refuse: instances end by orders."""
        raise NotFound(f"{key} ends by an order.")


def _one(query: Query, path: str) -> str | None:
    values = query.pinned(path)
    return values[0] if values and len(values) == 1 else None
