"""What a check finds, and quick access to what it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

from catalog.data import CatalogData, Kind
from catalog.model import AnyEntity, Offering, ProductSpec, ResourceSpec, ServiceSpec

T = TypeVar("T", bound=AnyEntity)
Found = Iterator[tuple[str, T]]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong: a stable code, the file and entity, what it is and what to do."""

    code: str
    where: str
    message: str


class Known:
    """The entities by kind, each with the place to show."""

    def __init__(self, data: CatalogData) -> None:
        self.data = data

    def offerings(self) -> Found[Offering]:
        """Yield all offerings."""
        return self._all("productOffering")

    def products(self) -> Found[ProductSpec]:
        """Yield all product specifications."""
        return self._all("productSpecification")

    def services(self) -> Found[ServiceSpec]:
        """Yield all service specifications."""
        return self._all("serviceSpecification")

    def resources(self) -> Found[ResourceSpec]:
        """Yield all resource specifications."""
        return self._all("resourceSpecification")

    def parents(self) -> Iterator[tuple[str, ProductSpec | ServiceSpec]]:
        """Yield all that decomposes."""
        yield from self.products()
        yield from self.services()

    def specs(self) -> Iterator[tuple[str, ProductSpec | ServiceSpec | ResourceSpec]]:
        """Yield all that declares characteristics."""
        yield from self.parents()
        yield from self.resources()

    def find(self, wanted: type[T], kind: Kind, id_: str, version: str | None = None) -> T | None:
        """Return an entity, or None."""
        entry = self.data.find(kind, id_, version)
        return entry.entity if entry and isinstance(entry.entity, wanted) else None

    def service(self, id_: str, version: str | None = None) -> ServiceSpec | None:
        """Return a service specification, or None."""
        return self.find(ServiceSpec, "serviceSpecification", id_, version)

    def resource(self, id_: str) -> ResourceSpec | None:
        """Return a resource specification, or None."""
        return self.find(ResourceSpec, "resourceSpecification", id_)

    def _all(self, kind: Kind) -> Found[T]:
        return ((e.where, cast("T", e.entity)) for e in self.data.of_kind(kind))
