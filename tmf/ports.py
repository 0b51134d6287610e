"""The ports between the layers: COM speaks to SOM, and SOM to ROM, only through these.

Both ends speak TMF bodies, so that a layer may be in this process or behind HTTP (`tmf.http_ports`), or be foreign.
Every verb may be repeated: `key` (the sender's task id) makes `submit` find what it made before.
"""

from __future__ import annotations

from typing import Any, Protocol

KEY_TYPE = "submissionKey"


class ServiceOrdering(Protocol):
    """What COM needs of SOM (TMF641)."""

    def submit(self, order: dict[str, Any], key: str) -> dict[str, Any]:
        """Create a service order, or find the one created with the same key; return its TMF body."""
        ...

    def get(self, order_id: str) -> dict[str, Any]:
        """Return an order's TMF body."""
        ...

    def cancel(self, order_id: str, reason: str) -> dict[str, Any]:
        """Ask for cancellation; return the body of the cancel task."""
        ...

    def simulate(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return what the order would do: {tree, allocations, devices, planHash, warnings}."""
        ...

    def qualify(self, place: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return {placeId, technologies: [{technology, ports, free}], alternatives: [...]} of a place."""
        ...


class ResourceOrdering(Protocol):
    """What SOM needs of ROM (TMF652)."""

    def submit(self, order: dict[str, Any], key: str) -> dict[str, Any]:
        """Create a resource order, or find the one created with the same key; return its TMF body."""
        ...

    def get(self, order_id: str) -> dict[str, Any]:
        """Return an order's TMF body."""
        ...

    def cancel(self, order_id: str, reason: str) -> dict[str, Any]:
        """Ask for cancellation; return the body of the cancel task."""
        ...

    def simulate(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return what the order would do: {tree, allocations, devices, planHash, warnings}."""
        ...

    def qualify(self, place: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return {placeId, technologies: [{technology, ports, free}], alternatives: [...]} of a place."""
        ...


def with_key(order: dict[str, Any], owner: str, key: str) -> dict[str, Any]:
    """Return the order with the sender's key as an external reference.

    One reference has the attributes of both shapes, TMF652's (id, owner, entityType) and TMF641's (name,
    externalReferenceType, id).
    """
    reference = {
        "id": key,
        "name": key,
        "owner": owner,
        "entityType": KEY_TYPE,
        "externalReferenceType": KEY_TYPE,
    }
    others = [r for r in order.get("externalReference") or [] if key_in(r) is None]
    return order | {"externalReference": [*others, reference]}


def key_of(order: dict[str, Any]) -> str | None:
    """Return the key a sender put into an order by `with_key`; None when there is none."""
    found = (key_in(reference) for reference in order.get("externalReference") or [])
    return next((key for key in found if key), None)


def key_in(reference: dict[str, Any]) -> str | None:
    """Return the key when an external reference carries one."""
    kind = reference.get("entityType") or reference.get("externalReferenceType")
    return reference.get("id") or reference.get("name") if kind == KEY_TYPE else None
