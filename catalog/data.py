"""The catalog as plain entries, whether read from files or from the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from catalog.model import AnyEntity, Offering, Price, ProductSpec, ResourceSpec, ServiceSpec

Kind = Literal[
    "productOffering",
    "productOfferingPrice",
    "productSpecification",
    "serviceSpecification",
    "resourceSpecification",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
POOL_KIND = "poolKind"
"""Top-level key of declared kinds of pools, beside those of TM Forum's entities."""
_MODELS: Mapping[Kind, type[Offering | Price | ProductSpec | ServiceSpec | ResourceSpec]] = {
    "productOffering": Offering,
    "productOfferingPrice": Price,
    "productSpecification": ProductSpec,
    "serviceSpecification": ServiceSpec,
    "resourceSpecification": ResourceSpec,
}


def model_of(kind: Kind, body: Mapping[str, Any]) -> AnyEntity:
    """Read a TMF entity (raises pydantic.ValidationError or ValueError)."""
    return _MODELS[kind].from_tmf(body)


@dataclass(frozen=True)
class Entry:
    """One version of one entity, and the file it was read from."""

    kind: Kind
    id: str
    version: str
    body: Mapping[str, Any]
    source: str = ""

    @cached_property
    def entity(self) -> AnyEntity:
        """Return the entity in the words of the language."""
        return model_of(self.kind, self.body)

    @property
    def where(self) -> str:
        """Return where a person finds it."""
        return f"{self.source}: {self.kind} {self.id}" if self.source else f"{self.kind} {self.id}"


@dataclass(frozen=True)
class PoolKind:
    """A kind of pool that the catalog declares, and the file it was read from; the inventory knows its words."""

    name: str
    document: Mapping[str, Any]
    source: str = ""

    @property
    def where(self) -> str:
        """Return where a person finds it."""
        return (
            f"{self.source}: {POOL_KIND} {self.name}" if self.source else f"{POOL_KIND} {self.name}"
        )


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions sort by: 1.10 is newer than 1.9."""
    return tuple(int(part) for part in version.split("."))


class CatalogData:
    """All versions of all entities, and the kinds of pools that files declare."""

    def __init__(self, entries: Iterable[Entry] = (), pool_kinds: Iterable[PoolKind] = ()) -> None:
        self.entries: tuple[Entry, ...] = tuple(entries)
        self.pool_kinds: tuple[PoolKind, ...] = tuple(pool_kinds)

    def of_kind(self, kind: Kind) -> Iterator[Entry]:
        """Yield the entries of a kind by id, older versions first."""
        found = (entry for entry in self.entries if entry.kind == kind)
        return iter(sorted(found, key=lambda entry: (entry.id, version_key(entry.version))))

    def find(self, kind: Kind, id: str, version: str | None = None) -> Entry | None:  # noqa: A002
        """Return a version, or the newest launched one; None when there is none."""
        versions = self._index.get((kind, id), ())
        wanted = (
            entry
            for entry in reversed(versions)
            if entry.version == version or (version is None and entry.entity.launched)
        )
        return next(wanted, None)

    @cached_property
    def _index(self) -> dict[tuple[Kind, str], list[Entry]]:
        index: dict[tuple[Kind, str], list[Entry]] = {}
        for kind in KINDS:
            for entry in self.of_kind(kind):
                index.setdefault((kind, entry.id), []).append(entry)
        return index
