"""The shipped products, and what tests ask of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from catalog.characteristics import resolve
from catalog.data import CatalogData
from catalog.decompose import Desired, ItemDelta, Parent, Present, decompose, delta
from catalog.load import load
from catalog.repository import Catalog

SHIPPED = Path(__file__).parents[2] / "catalogs"


class Line:
    """One product instance: what it decomposes into, and what changes when it is ordered anew."""

    def __init__(self, catalog: Catalog, line: str = "line-1") -> None:
        self.catalog = catalog
        self.line = line

    def services(
        self, offering: str, values: Mapping[str, Any], place: str = "PL-1"
    ) -> tuple[Desired, ...]:
        """Return the customer-facing services."""
        found = self.catalog.offering(offering)
        spec = self.catalog.product_spec(found.product_spec)
        complete = resolve(
            spec.characteristics, {**found.fixed, **values}, owner=offering, offering=found
        )
        parent = Parent(self.line, spec, complete, place, self.line, "product")
        return decompose([parent], self.catalog.service_spec)

    def target(
        self, offering: str, values: Mapping[str, Any], place: str = "PL-1"
    ) -> tuple[Desired, ...]:
        """Return the resource-facing services."""
        parents = [
            Parent(
                f"{self.line}-{cfs.key}",
                self.catalog.service_spec(cfs.spec, cfs.version),
                cfs.inputs,
                place,
                self.line,
                "service",
            )
            for cfs in self.services(offering, values, place)
        ]
        return decompose(parents, self.catalog.service_spec)


def built(desired: Sequence[Desired]) -> list[Present]:
    """Return what the inventory holds once the desired is there."""
    return [
        Present(d.key, f"instance-{d.key}", d.spec, d.version, d.inputs, d.after) for d in desired
    ]


def waves(deltas: Sequence[ItemDelta]) -> list[set[str]]:
    """Return the keys that are executed side by side, wave after wave."""
    done: dict[tuple[str, str], int] = {}
    for item in deltas:
        if item.action != "noChange":
            done[item.key, item.action] = 1 + max((done[n] for n in item.needs), default=0)
    last = max(done.values(), default=0)
    return [{k for (k, _), wave in done.items() if wave == n} for n in range(1, last + 1)]


def actions(deltas: Sequence[ItemDelta]) -> dict[str, list[str]]:
    """Return action → keys, without what does not change."""
    found: dict[str, list[str]] = {}
    for item in deltas:
        if item.action != "noChange":
            found.setdefault(item.action, []).append(item.key)
    return {action: sorted(keys) for action, keys in found.items()}


@pytest.fixture(scope="session")
def shipped() -> CatalogData:
    """All shipped products."""
    return load([SHIPPED])


@pytest.fixture(scope="session")
def catalog(shipped: CatalogData) -> Catalog:
    """A view of all shipped products."""
    return Catalog(shipped)


@pytest.fixture
def line(catalog: Catalog) -> Line:
    """One line."""
    return Line(catalog)


Lines = Callable[[str], Line]


@pytest.fixture
def line_of(catalog: Catalog) -> Lines:
    """Several lines, by name."""
    return lambda name: Line(catalog, name)


Change = Callable[..., tuple[ItemDelta, ...]]


@pytest.fixture
def change(line: Line) -> Change:
    """From one order to the next: (offering, values[, place]) before and after; None is nothing."""

    def between(before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> Any:
        present = built(line.target(*before)) if before else []
        return delta(line.target(*after) if after else (), present)

    return between
