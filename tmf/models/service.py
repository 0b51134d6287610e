"""Services as TMF641 orders them and TMF638 lists them (641 version 4.1.0, 638 version 4.0.0)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tmf.models.common import (
    Action,
    Characteristic,
    Created,
    Date,
    Entity,
    Feature,
    Flag,
    Note,
    Ref,
    RelatedEntity,
    RelatedParty,
    RelatedPlace,
    Text,
    VersionedRef,
)

ServiceState = Literal[
    "feasibilityChecked", "designed", "reserved", "inactive", "active", "terminated"
]


class RelatedServiceOrderItem(Entity):
    """The order item that made or changed a service."""

    item_id: Text = None
    role: Text = None
    service_order_href: Text = None
    service_order_id: Text = None
    item_action: Action | None = None


class ServiceRelationship(Entity):
    """How a service depends on another one."""

    relationship_type: str
    service: ServiceRefOrValue | None = None
    service_relationship_characteristic: list[Characteristic] | None = None


class Service(Entity):
    """A customer-facing or resource-facing service (TMF638): `category` is CFS or RFS."""

    category: Text = None
    description: Text = None
    end_date: Date = None
    has_started: Flag = None
    is_bundle: Flag = None
    is_service_enabled: Flag = None
    is_stateful: Flag = None
    name: Text = None
    service_date: Text = None
    service_type: Text = None
    start_date: Date = None
    start_mode: Text = None
    feature: list[Feature] | None = None
    note: list[Note] | None = None
    place: list[RelatedPlace] | None = None
    related_entity: list[RelatedEntity] | None = None
    related_party: list[RelatedParty] | None = None
    service_characteristic: list[Characteristic] | None = None
    service_order_item: list[RelatedServiceOrderItem] | None = None
    service_relationship: list[ServiceRelationship] | None = None
    service_specification: VersionedRef | None = None
    state: ServiceState | None = None
    supporting_resource: list[Ref] | None = None
    supporting_service: list[ServiceRefOrValue] | None = None


class ServiceRefOrValue(Service):
    """A service, by reference (its id) or in full."""


class ServiceCreate(Created, Service):
    """A service put into the inventory by hand."""

    state: ServiceState = Field()
    service_specification: VersionedRef = Field()
