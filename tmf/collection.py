"""The furniture of TM Forum resources on FastAPI: every layer brings collections, this brings HTTP.

GET (filters, fields, paging, count headers), GET by id, POST (201, Location), PATCH (merge and JSON Patch),
DELETE (204) and `/hub`; sync endpoints, plain JSON documents in and out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Body, Request, Response
from fastapi import Query as Parameter
from pydantic import BaseModel, Discriminator, Tag

from store import NotFound
from tmf._json import Doc, without_nulls
from tmf.errors import InvalidBody
from tmf.models.common import Error, EventSubscription, EventSubscriptionInput
from tmf.patch import JsonPatch, MergePatch, Operation, Patch
from tmf.paths import BASE_PATHS, href
from tmf.query import MAX_LIMIT, Page, Query
from tmf.web import TmfResponse

Model = type[BaseModel]
ALL = frozenset({"list", "get", "create", "patch", "delete"})


class Collection(Protocol):
    """The resources of one type, as a layer keeps them.

    All methods raise TurnupError; a key is the id of a document and may contain slashes.
    """

    def list(self, query: Query, /) -> Page:
        """Return the page asked for (`query.apply(all_documents)` does it)."""
        ...

    def get(self, key: str, /) -> Doc:
        """Return one document."""
        ...

    def create(self, body: Doc, /) -> Doc:
        """Create from a validated body without nulls; return the document with id and href."""
        ...

    def patch(self, key: str, patch: Patch, /) -> Doc:
        """Change a document (`tmf.patch.apply_patch`) and return it."""
        ...

    def delete(self, key: str, /) -> None:
        """Delete a document."""
        ...


class HubPort(Protocol):
    """What a router needs of the hub (`tmf.hub.Hub`)."""

    def register(self, api: str, callback: str, query: str | None) -> Doc:
        """Check the callback and subscribe it; return {id, callback, query}."""
        ...

    def unregister(self, api: str, subscription_id: str) -> None:
        """End a subscription."""
        ...


@dataclass(frozen=True)
class ResourceSpec:
    """One resource of an API: where it is, what it is called, what it takes and what may be done with it."""

    path: str
    type: str
    create_model: Model | None = None
    patch_model: Model | None = None
    operations: frozenset[str] = ALL
    model: Model | None = None
    not_patchable: frozenset[str] = frozenset({"id", "href"})  # for apply_patch(..., refused=)


def router(
    base_path: str, resources: Mapping[ResourceSpec, Collection], hub: HubPort | None = None
) -> APIRouter:
    """Build the routes of one API."""
    api = APIRouter(prefix=base_path, responses=ERRORS, default_response_class=TmfResponse)
    for spec, collection in resources.items():
        for operation, add in _ADDERS.items():
            if operation in spec.operations:
                add(api, spec, collection)
    if hub:
        _add_hub(api, _api_of(base_path), hub)
    return api


# one model and many references to it: a model per status would cost seconds at the first look at /docs
_ERROR_BODY = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": _ERROR_BODY}
    for status in (400, 401, 403, 404, 405, 409, 413, 415, 500)
} | {"default": {"description": "Any other refusal", "model": Error}}
Fields = Annotated[str | None, Parameter(description="Attributes to return, by comma; dots go in")]
Offset = Annotated[int, Parameter(ge=0)]
Limit = Annotated[int | None, Parameter(ge=0, le=MAX_LIMIT)]
Sort = Annotated[str | None, Parameter(description="-attribute descending, +attribute ascending")]


def _add_list(api: APIRouter, spec: ResourceSpec, collection: Collection) -> None:
    def listing(
        request: Request,
        fields: Fields = None,  # noqa: ARG001
        offset: Offset = 0,  # noqa: ARG001
        limit: Limit = None,  # noqa: ARG001
        sort: Sort = None,  # noqa: ARG001
    ) -> Response:
        query = Query.parse(request.query_params.multi_items())
        page = collection.list(query)
        body = [query.select(without_nulls(item)) for item in page.items]
        return TmfResponse(body, headers=page.headers)

    shape = _shape(200, list[spec.model] if spec.model else None)  # type: ignore[name-defined]
    api.get(spec.path, responses=shape, **_names("list", spec))(listing)


def _add_get(api: APIRouter, spec: ResourceSpec, collection: Collection) -> None:
    def reading(request: Request, id: str, fields: Fields = None) -> Response:  # noqa: A002, ARG001
        query = Query.parse(request.query_params.multi_items())
        return TmfResponse(query.select(without_nulls(collection.get(_named(id)))))

    api.get(_one(spec), responses=_shape(200, spec.model), **_names("retrieve", spec))(reading)


def _add_create(api: APIRouter, spec: ResourceSpec, collection: Collection) -> None:
    def creating(request: Request, body: Any = Body()) -> Response:  # noqa: ARG001, B008
        created = without_nulls(collection.create(without_nulls(_raw(request))))
        return TmfResponse(created, 201, headers={"Location": created["href"]})

    creating.__annotations__["body"] = spec.create_model or dict[str, Any]
    shape = _shape(201, spec.model)
    api.post(spec.path, status_code=201, responses=shape, **_names("create", spec))(creating)


def _add_patch(api: APIRouter, spec: ResourceSpec, collection: Collection) -> None:
    either = Body(discriminator=Discriminator(_kind_of_patch))

    def patching(request: Request, id: str, body: Any = either) -> Response:  # noqa: A002, ARG001
        changed = collection.patch(_named(id), _patch(request))
        return TmfResponse(without_nulls(changed))

    patching.__annotations__["body"] = _patch_type(spec)
    api.patch(_one(spec), responses=_shape(200, spec.model), **_names("patch", spec))(patching)


def _add_delete(api: APIRouter, spec: ResourceSpec, collection: Collection) -> None:
    def deleting(id: str) -> Response:  # noqa: A002
        collection.delete(_named(id))
        return Response(status_code=204)

    api.delete(_one(spec), status_code=204, **_names("delete", spec))(deleting)


_ADDERS: Mapping[str, Callable[[APIRouter, ResourceSpec, Collection], None]] = {
    "list": _add_list,
    "get": _add_get,
    "create": _add_create,
    "patch": _add_patch,
    "delete": _add_delete,
}


def _add_hub(api: APIRouter, name: str, hub: HubPort) -> None:
    def subscribing(body: EventSubscriptionInput) -> Response:
        made = hub.register(name, body.callback, body.query)
        where = href(BASE_PATHS[name], "/hub", made["id"])
        return TmfResponse(made, 201, headers={"Location": where})

    def unsubscribing(id: str) -> Response:  # noqa: A002
        hub.unregister(name, id)
        return Response(status_code=204)

    shape = _shape(201, EventSubscription)
    tags: Any = [f"TMF{name} hub"]
    api.post("/hub", status_code=201, responses=shape, tags=tags, name=f"{name}:subscribe")(
        subscribing
    )
    api.delete("/hub/{id}", status_code=204, tags=tags, name=f"{name}:unsubscribe")(unsubscribing)


def _api_of(base_path: str) -> str:
    return next(api for api, path in BASE_PATHS.items() if path == base_path)


def _names(verb: str, spec: ResourceSpec) -> dict[str, Any]:
    return {"tags": [spec.type], "name": f"{verb}{spec.type}"}


def _one(spec: ResourceSpec) -> str:
    return f"{spec.path}/{{id:path}}"  # ids of ports contain slashes


def _named(id: str) -> str:  # noqa: A002
    if not id:
        raise NotFound("The address names no id.")
    return id


def _shape(status: int, model: Any) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model}} if model else {}


def _raw(request: Request) -> Doc:
    """Return what was sent, not what a model made of it: unknown attributes survive."""
    body = getattr(request.state, "json", None)
    if not isinstance(body, dict):
        raise InvalidBody("The body is no JSON object; send one.")
    return body


def _patch(request: Request) -> Patch:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    body = getattr(request.state, "json", None)
    if isinstance(body, list) != (kind == "application/json-patch+json"):
        raise InvalidBody(
            f"The body does not fit {kind}: operations are application/json-patch+json."
        )
    if isinstance(body, list):
        return JsonPatch(tuple(Operation.model_validate(operation) for operation in body))
    return MergePatch(_raw(request))


def _patch_type(spec: ResourceSpec) -> Any:
    merge = spec.patch_model or dict[str, Any]
    return Annotated[merge, Tag("merge-patch")] | Annotated[list[Operation], Tag("json-patch")]


def _kind_of_patch(body: Any) -> str:
    return "json-patch" if isinstance(body, list) else "merge-patch"
