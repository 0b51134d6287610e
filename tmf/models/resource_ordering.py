"""Resource orders (TMF652 version 4.0.0).

The official file requires nothing and leaves states and actions open; here a new order has at least one item, each
with an id, an action and a resource or its specification.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tmf.models.common import (
    AppointmentRef,
    Characteristic,
    Created,
    Date,
    Entity,
    Note,
    Ref,
    RelatedParty,
    Text,
    VersionedRef,
    Whole,
    Wire,
    unique_ids,
)
from tmf.models.product_ordering import TaskState
from tmf.models.resource import ResourceBase

# the file says no_change, TM Forum's other one noChange: both are taken, noChange is sent
ResourceAction = Literal["add", "modify", "delete", "noChange", "no_change"]


class ResourceOrderExternalReference(Entity):
    """What an order is called elsewhere: {id, owner, entityType}, or TMF641's {name, externalReferenceType}."""

    owner: Text = None
    entity_type: Text = None
    name: Text = None
    external_reference_type: Text = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.id is None and self.name is None:
            raise PydanticCustomError("reference", "id is needed (or, in TMF641's words, name)")
        return self


class ResourceOrderItemRef(Wire):
    """A pointer to an item of this order or another one."""

    item_id: Text = None
    resource_order_href: Text = None
    resource_order_id: Text = None


class ResourceOrderItemRelationship(Wire):
    """Which other item this one depends on."""

    relationship_type: Text = None
    order_item: ResourceOrderItemRef | None = None


class OrderedResourceRelationship(Entity):
    """How a resource depends on another one: in TMF652 the other one is named by `id` itself."""

    relationship_type: Text = None
    resource_relationship_characteristic: list[Characteristic] | None = None


class OrderedResource(ResourceBase):
    """The resource an item is about: with its id when it exists, else by what it shall be."""

    resource_relationship: list[OrderedResourceRelationship] | None = None


class ResourceOrderItem(Wire):
    """One resource to add, change or end."""

    id: Text = None
    action: Text = None
    quantity: Whole = None
    state: Text = None
    appointment: AppointmentRef | None = None
    order_item_relationship: list[ResourceOrderItemRelationship] | None = None
    resource: OrderedResource | None = None
    resource_specification: VersionedRef | None = None


class ResourceOrder(Entity):
    """An order of resources; all optional, so it describes answers and patches alike."""

    category: Text = None
    completion_date: Date = None
    description: Text = None
    expected_completion_date: Date = None
    external_id: Text = None
    name: Text = None
    order_date: Date = None
    order_type: Text = None
    priority: Whole = None
    requested_completion_date: Date = None
    requested_start_date: Date = None
    start_date: Date = None
    state: Text = None
    external_reference: list[ResourceOrderExternalReference] | None = None
    note: list[Note] | None = None
    order_item: list[ResourceOrderItem] | None = None
    related_party: list[RelatedParty] | None = None


class ResourceOrderItemCreate(ResourceOrderItem):
    """An item of a new order; a state that is sent along is overwritten."""

    id: str = Field()
    action: ResourceAction = Field()

    @model_validator(mode="after")
    def _needs_a_target(self) -> Self:
        if self.resource is None and self.resource_specification is None:
            raise PydanticCustomError("target", "resource or resourceSpecification is needed")
        return self


class ResourceOrderCreate(Created, ResourceOrder):
    """A new order; state and dates that are sent along are overwritten."""

    refused: ClassVar[frozenset[str]] = frozenset({"id", "href"})

    order_item: Annotated[  # type: ignore[assignment]
        list[ResourceOrderItemCreate], Field(min_length=1), AfterValidator(unique_ids)
    ]


class CancelResourceOrder(Entity):
    """The request to cancel an order, and how far its assessment is."""

    cancellation_reason: Text = None
    effective_cancellation_date: Date = None
    requested_cancellation_date: Date = None
    resource_order: Ref | None = None
    state: TaskState | None = None


class CancelResourceOrderCreate(Created, CancelResourceOrder):
    """A new request to cancel."""

    refused: ClassVar[frozenset[str]] = frozenset(
        {"id", "href", "state", "effectiveCancellationDate"}
    )

    resource_order: Ref = Field()
