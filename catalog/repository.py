"""The catalog in the database, which is the truth: what is there is never changed, orders and instances pin versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import func, select

from catalog.data import CatalogData, Entry, Kind
from catalog.errors import CatalogConflict, OfferingNotFound, SpecificationNotFound
from catalog.model import AnyEntity, Offering, Price, ProductSpec, ResourceSpec, ServiceSpec
from catalog.tables import catalog_entity as table
from store import Database, Rx, Tx
from tmf.paths import BASE_PATHS, href

Json = dict[str, Any]
E = TypeVar("E", bound=AnyEntity)

_APIS: Mapping[Kind, str] = {
    "productOffering": "620",
    "productOfferingPrice": "620",
    "productSpecification": "620",
    "serviceSpecification": "633",
    "resourceSpecification": "634",
}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How many versions of entities were new, and how many were there already."""

    inserted: int
    unchanged: int


def import_data(tx: Tx, data: CatalogData) -> ImportResult:
    """Insert what is absent.

    Raises:
        CatalogConflict: an id and version are there with other content; nothing of the data is then kept.

    """
    known = {(row.kind, row.id, row.version): row.digest for row in tx.rows(_digests())}
    new = [entry for entry in data.entries if _key(entry) not in known]
    changed = [e for e in data.entries if known.get(_key(e), _digest(e)) != _digest(e)]
    if changed:
        names = ", ".join(f"{e.where} {e.version}" for e in changed)
        raise CatalogConflict(
            f"Already in the catalog with other content: {names}. Give what you changed a new version.",
            details={"entities": [{"id": e.id, "version": e.version} for e in changed]},
        )
    if new:
        tx.execute(table.insert(), [_row(tx, entry) for entry in new])
    return ImportResult(len(new), len(data.entries) - len(new))


class Catalog:
    """Reads entities in the words of the language, and as TM Forum shows them."""

    def __init__(self, data: CatalogData) -> None:
        self._data = data

    def offering(self, id: str, version: str | None = None) -> Offering:  # noqa: A002
        """Return an offering with its prices: a version, or the newest launched one. Raises OfferingNotFound."""
        entry = self._data.find("productOffering", id, version)
        if entry is None:
            raise OfferingNotFound(
                f"There is no {_named('product offering', id, version)}; "
                f"these are launched: {', '.join(self._launched('productOffering')) or 'none'}.",
            )
        offering = _as(Offering, entry)
        prices = (self._data.find("productOfferingPrice", price) for price in offering.prices)
        shown = tuple(_as(Price, price).product_price for price in prices if price)
        return offering.model_copy(update={"price_body": shown})

    def product_spec(self, id: str, version: str | None = None) -> ProductSpec:  # noqa: A002
        """Return a product specification. Raises SpecificationNotFound."""
        return _as(ProductSpec, self._spec("productSpecification", id, version))

    def service_spec(self, id: str, version: str | None = None) -> ServiceSpec:  # noqa: A002
        """Return a service specification. Raises SpecificationNotFound."""
        return _as(ServiceSpec, self._spec("serviceSpecification", id, version))

    def resource_spec(self, id: str, version: str | None = None) -> ResourceSpec:  # noqa: A002
        """Return a resource specification. Raises SpecificationNotFound."""
        return _as(ResourceSpec, self._spec("resourceSpecification", id, version))

    def entities(self, kind: Kind) -> list[Json]:
        """Return all versions of a kind as TMF620, 633 and 634 show them."""
        return [_shown(entry) for entry in self._data.of_kind(kind)]

    def entity(self, kind: Kind, id: str) -> Json:  # noqa: A002
        """Return the newest launched version (or, where none is launched, the newest) as TM Forum shows it.

        Raises OfferingNotFound, SpecificationNotFound.
        """
        entry = self._data.find(kind, id)
        versions = [e for e in self._data.of_kind(kind) if e.id == id]
        if entry is None and not versions:
            wrong = OfferingNotFound if kind == "productOffering" else SpecificationNotFound
            raise wrong(f"There is no {kind} {id}.")
        return _shown(entry or versions[-1])

    def _spec(self, kind: Kind, id: str, version: str | None) -> Entry:  # noqa: A002
        entry = self._data.find(kind, id, version)
        if entry is None:
            raise SpecificationNotFound(
                f"There is no {_named(kind, id, version)}; load the catalog that has it, or name another."
            )
        return entry

    def _launched(self, kind: Kind) -> list[str]:
        return list(dict.fromkeys(e.id for e in self._data.of_kind(kind) if e.entity.launched))


class Catalogs:
    """Gives each transaction a view of the catalog, read again only when versions were added."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = Lock()
        self._cached: tuple[int, Catalog] | None = None

    def view(self, rx: Rx) -> Catalog:
        """Return the catalog as this transaction sees it."""
        # rows are only ever added, so their number tells whether the cache is what this transaction sees
        count = rx.scalar(select(func.count()).select_from(table))
        with self._lock:
            if self._cached is None or self._cached[0] != count:
                self._cached = (count, Catalog(read_data(rx)))
            return self._cached[1]

    def forget(self) -> None:
        """Read everything again at the next view."""
        with self._lock:
            self._cached = None


def read_data(rx: Rx) -> CatalogData:
    """Return everything that is in the database."""
    rows = rx.rows(select(table.c.kind, table.c.id, table.c.version, table.c.body))
    return CatalogData(Entry(row.kind, row.id, row.version, row.body) for row in rows)


def _digests() -> Any:
    return select(table.c.kind, table.c.id, table.c.version, table.c.digest)


def _key(entry: Entry) -> tuple[str, str, str]:
    return entry.kind, entry.id, entry.version


def _digest(entry: Entry) -> str:
    text = json.dumps(entry.body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _row(tx: Tx, entry: Entry) -> Json:
    kind, id_, version = _key(entry)
    return {
        "kind": kind,
        "id": id_,
        "version": version,
        "digest": _digest(entry),
        "body": entry.body,
        "imported": tx.now,
    }


def _as(wanted: type[E], entry: Entry) -> E:
    assert isinstance(entry.entity, wanted)
    return entry.entity


def _named(kind: str, id: str, version: str | None) -> str:  # noqa: A002
    return f"{kind} {id!r}" + (f" in version {version}" if version else " that is launched")


def _shown(entry: Entry) -> Json:
    where = href(BASE_PATHS[_APIS[entry.kind]], f"/{entry.kind}", entry.id)
    type_ = entry.kind[0].upper() + entry.kind[1:]
    return {"@type": type_, "lifecycleStatus": "Launched", **entry.body, "href": where}
