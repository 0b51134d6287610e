"""Resources as TMF639 lists them (version 4.0.0), and what TMF652 shares with them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tmf.models.common import (
    Attachment,
    Characteristic,
    Created,
    Date,
    Entity,
    Feature,
    Note,
    RelatedParty,
    RelatedPlace,
    Text,
    VersionedRef,
)

AdministrativeState = Literal["locked", "unlocked", "shutdown"]
OperationalState = Literal["enable", "disable"]
ResourceStatus = Literal["standby", "alarm", "available", "reserved", "unknown", "suspended"]
UsageState = Literal["idle", "active", "busy"]


class ResourceBase(Entity):
    """What a resource is in both APIs; the four states are independent of each other."""

    category: Text = None
    description: Text = None
    end_operating_date: Date = None
    name: Text = None
    resource_version: Text = None
    start_operating_date: Date = None
    administrative_state: AdministrativeState | None = None
    attachment: list[Attachment] | None = None
    note: list[Note] | None = None
    operational_state: OperationalState | None = None
    place: RelatedPlace | None = None
    related_party: list[RelatedParty] | None = None
    resource_characteristic: list[Characteristic] | None = None
    resource_specification: VersionedRef | None = None
    resource_status: ResourceStatus | None = None
    usage_state: UsageState | None = None


class ResourceRelationship(Entity):
    """How a resource depends on another one: in TMF639 the other one is inside `resource`."""

    relationship_type: str
    resource: ResourceRefOrValue


class Resource(ResourceBase):
    """A port, a number, a device, or the composite that realises a service (TMF639)."""

    activation_feature: list[Feature] | None = None
    resource_relationship: list[ResourceRelationship] | None = None


class ResourceRefOrValue(Resource):
    """A resource, by reference (its id) or in full."""


class ResourceCreate(Created, Resource):
    """A resource put into the inventory by hand."""

    name: str = Field()
