"""Instances as they are or were, and every version of them with the order item behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from inventory import instances
from inventory.cause import Cause
from inventory.instances import Version
from inventory.lineage import relations, timeline
from inventory.lineage.relations import Lasting, Relation
from inventory.lineage.timeline import Change, Step
from store import Database, to_text
from turnup.http.moments import instant

Json = dict[str, Any]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Limit = Annotated[int, Query(ge=1, le=1000)]
At = Annotated[str | None, Query(description="A past time, with Z or an offset")]


# as the bodies of instances and devices spell them
_NAMES = {
    "spec": "specification",
    "admin_state": "adminState",
    "credential_ref": "credentialRef",
    "host_key": "hostKey",
    "ca_path": "caPath",
}


def router(database: Database) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/turnup/v1", tags=["instances"])

    # an id may hold slashes (a port's does): the longer route has to be asked first
    @api.get("/instances/{id:path}/history")
    def history(id: str, response: Response, offset: Offset = 0, limit: Limit = 100) -> Json:  # noqa: A002
        with database.read() as rx:
            response.headers["X-Total-Count"] = str(instances.count_versions(rx, id))
            steps = timeline.of_instance(rx, id, offset, limit)
            related = relations.lasting(rx, id, offset, limit)
        return {
            "id": id,
            "versions": [_step(step) for step in steps],
            "relations": [_lasting(id, one) for one in related],
        }

    @api.get("/instances/{id:path}")
    def show(id: str, at: At = None) -> Json:  # noqa: A002
        moment = instant(at)
        with database.read() as rx:
            found = instances.version(rx, id, moment)
            related = [
                *relations.related(rx, id, at=moment),
                *relations.related(rx, id, reverse=True, at=moment),
            ]
        return instance_body(found) | {"relations": [_relation(id, one) for one in related]}

    return api


def instance_body(found: Version) -> Json:
    """Return a version of an instance as JSON."""
    one = found.instance
    return {
        "id": one.id,
        "kind": one.kind,
        "category": one.category,
        "specification": one.spec,
        "version": one.version,
        "name": one.name,
        "state": one.state,
        "characteristics": dict(one.characteristics),
        "place": one.place,
        "line": one.line,
        "key": one.key,
        "inputs": dict(one.inputs),
        "after": list(one.after),
        "body": dict(one.body),
        "created": _moment(one.created),
        **_times(found.valid_from, found.valid_to),
        **cause_body(found.cause),
    }


def cause_body(cause: Cause) -> Json:
    """Return the order item behind a change; nulls for an import's or an operator's own doing."""
    return {"order": cause.order_id, "item": cause.item_id, "layer": cause.layer}


def change_body(change: Change) -> Json:
    """Return one difference between two versions."""
    name, dot, inside = change.attribute.partition(".")
    attribute = f"{_NAMES.get(name, name)}{dot}{inside}"
    return {"attribute": attribute, "from": change.before, "to": change.after}


def _step(step: Step) -> Json:
    version = step.version
    return {
        **_times(version.valid_from, version.valid_to),
        **cause_body(version.cause),
        "state": version.instance.state,
        "changes": [change_body(change) for change in step.changes],
    }


def _lasting(id_: str, one: Lasting) -> Json:
    ended = cause_body(one.ended_by) if one.valid_to else None
    times = _times(one.valid_from, one.valid_to)
    return {**_relation(id_, one.relation), **times, **cause_body(one.cause), "endedBy": ended}


def _relation(id_: str, one: Relation) -> Json:
    """Return a relation as seen from an instance: `to` what it relies on, `from` what relies on it."""
    if one.source == id_:
        return {"type": one.type, "direction": "to", "instance": one.target}
    return {"type": one.type, "direction": "from", "instance": one.source}


def _times(valid_from: datetime, valid_to: datetime | None) -> Json:
    return {"validFrom": _moment(valid_from), "validTo": _moment(valid_to)}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)
