"""The catalog in the database, on each store: versions, conflicts, views, and TM Forum's shapes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from catalog.collection import EntityCollection
from catalog.data import KINDS, CatalogData, Entry, Kind
from catalog.errors import CatalogConflict, OfferingNotFound, SpecificationNotFound
from catalog.model import ServiceSpec
from catalog.repository import Catalog, Catalogs, ImportResult, import_data, read_data
from store import Database
from tmf.collection import ResourceSpec, router
from tmf.paths import BASE_PATHS
from tmf.web import install

ORACLE = Path(__file__).parents[3] / "shared" / "tmf" / "specs"


def service(version: str, name: str = "S", status: str = "Launched") -> Entry:
    body = {
        "id": "RFS-S",
        "version": version,
        "name": name,
        "category": "RFS",
        "lifecycleStatus": status,
    }
    return Entry("serviceSpecification", "RFS-S", version, body)


def put(store: Database, *entries: Entry) -> ImportResult:
    with store.write() as tx:
        return import_data(tx, CatalogData(entries))


def newest(store: Database, catalogs: Catalogs, version: str | None = None) -> ServiceSpec:
    with store.read() as rx:
        return catalogs.view(rx).service_spec("RFS-S", version)


def test_what_is_absent_is_inserted_once(store: Database, shipped: CatalogData) -> None:
    with store.write() as tx:
        assert import_data(tx, shipped) == ImportResult(len(shipped.entries), 0)
    with store.write() as tx:
        assert import_data(tx, shipped) == ImportResult(0, len(shipped.entries))
    with store.read() as rx:
        again = {(e.kind, e.id, e.version): e.body for e in read_data(rx).entries}
    assert again == {(e.kind, e.id, e.version): e.body for e in shipped.entries}


def test_a_version_never_changes(store: Database) -> None:
    put(store, service("1.0"))
    with pytest.raises(CatalogConflict, match=r"serviceSpecification RFS-S 1\.0"):
        put(store, service("1.0", name="T"), service("1.1"))
    catalogs = Catalogs(store)
    assert newest(store, catalogs).name == "S"
    with pytest.raises(SpecificationNotFound, match=r"'RFS-S' in version 1\.1"):
        newest(store, catalogs, "1.1")


def test_the_newest_launched_version_is_taken_and_others_by_name(store: Database) -> None:
    put(store, service("1.9"), service("1.10"), service("2.0", status="In design"))
    catalogs = Catalogs(store)
    assert newest(store, catalogs).version == "1.10"
    assert newest(store, catalogs, "1.9").version == "1.9"
    assert newest(store, catalogs, "2.0").version == "2.0"


def test_a_view_sees_what_was_added_after_the_last(store: Database) -> None:
    put(store, service("1.0"))
    catalogs = Catalogs(store)
    assert newest(store, catalogs).version == "1.0"
    put(store, service("1.1"))
    assert newest(store, catalogs).version == "1.1"


def test_a_view_is_read_once(store: Database) -> None:
    put(store, service("1.0"))
    catalogs = Catalogs(store)
    with store.read() as rx:
        assert catalogs.view(rx) is catalogs.view(rx)
        first = catalogs.view(rx)
        catalogs.forget()
        assert catalogs.view(rx) is not first


def test_a_dry_run_leaves_nothing_in_the_cache(store: Database) -> None:
    put(store, service("1.0"))
    catalogs = Catalogs(store)
    with store.dry_run() as tx:
        import_data(tx, CatalogData([service("9.0")]))
        assert catalogs.view(tx).service_spec("RFS-S").version == "9.0"
    assert newest(store, catalogs).version == "1.0"


def test_what_does_not_exist_is_said_so(catalog: Catalog) -> None:
    with pytest.raises(OfferingNotFound, match=r"'PO-NONE'.*PO-SF200H"):
        catalog.offering("PO-NONE")
    with pytest.raises(OfferingNotFound, match="in version 9"):
        catalog.offering("PO-SF200H", "9")
    for find in (catalog.product_spec, catalog.service_spec, catalog.resource_spec):
        with pytest.raises(SpecificationNotFound, match="'NONE'"):
            find("NONE")


class Client:
    """An HTTP client that calls an application directly."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._call(method, path, **more))

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as web:
            return await web.request(method, path, **more)


@pytest.fixture
def client(store: Database, shipped: CatalogData) -> Client:
    with store.write() as tx:
        import_data(tx, shipped)
    app = FastAPI()
    install(app)
    catalogs = Catalogs(store)
    for api, kinds in APIS.items():
        specs = {
            ResourceSpec(f"/{kind}", kind[0].upper() + kind[1:]): EntityCollection(
                store, catalogs, kind
            )
            for kind in kinds
        }
        app.include_router(router(BASE_PATHS[api], specs))
    return Client(app)


APIS: dict[str, tuple[Kind, ...]] = {
    "620": ("productOffering", "productOfferingPrice", "productSpecification"),
    "633": ("serviceSpecification",),
    "634": ("resourceSpecification",),
}


def test_entities_are_listed_filtered_and_read(client: Client) -> None:
    base = BASE_PATHS["620"]
    listed = client("GET", f"{base}/productOffering", params={"fields": "name", "sort": "id"})
    assert listed.headers["X-Total-Count"] == "7"
    assert "SuperFibre 200 Home" in {entry["name"] for entry in listed.json()}
    one = client("GET", f"{base}/productOffering/PO-SF200H").json()
    assert one["href"] == f"{base}/productOffering/PO-SF200H"
    assert (one["@type"], one["version"]) == ("ProductOffering", "1.0")
    spec = client(
        "GET", f"{BASE_PATHS['634']}/resourceSpecification", params={"role": "access"}
    ).json()
    assert [entry["id"] for entry in spec] == ["RES-Fibre-Access"]


def test_an_unknown_entity_is_404(client: Client) -> None:
    answer = client("GET", f"{BASE_PATHS['620']}/productOffering/PO-NONE")
    assert (answer.status_code, answer.json()["code"]) == (404, "OFFERING_NOT_FOUND")
    answer = client("GET", f"{BASE_PATHS['633']}/serviceSpecification/NONE")
    assert (answer.status_code, answer.json()["code"]) == (404, "SPECIFICATION_NOT_FOUND")


def test_the_catalog_is_not_changed_here(client: Client) -> None:
    where = f"{BASE_PATHS['620']}/productOffering"
    answers: list[Any] = [
        client("POST", where, json={"name": "x"}),
        client("PATCH", f"{where}/PO-SF200H", json={"name": "x"}),
        client("DELETE", f"{where}/PO-SF200H"),
    ]
    assert [(a.status_code, a.json()["code"]) for a in answers] == [(405, "CATALOG_READ_ONLY")] * 3


@pytest.mark.oracle
@pytest.mark.parametrize("kind", KINDS)
def test_entities_are_as_the_official_files_say(catalog: Catalog, kind: Kind) -> None:
    if not ORACLE.is_dir():
        pytest.skip("the official TM Forum files do not lie beside the project")
    jsonschema = pytest.importorskip("jsonschema")
    api = next(api for api, kinds in APIS.items() if kind in kinds)
    (path,) = ORACLE.glob(f"TMF{api}*")
    document = json.loads(path.read_text("utf-8"))
    name = kind[0].upper() + kind[1:]
    schema = {"$ref": f"#/definitions/{name}", "definitions": document["definitions"]}
    validator = jsonschema.Draft4Validator(schema)
    shown = catalog.entities(kind)
    assert shown
    for entity in shown:
        assert [
            f"{entity['id']} {e.json_path}: {e.message}" for e in validator.iter_errors(entity)
        ] == []
