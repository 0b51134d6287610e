"""Service orders (TMF641 version 4.1.0)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from tmf.models.common import (
    Action,
    AppointmentRef,
    Created,
    Date,
    Entity,
    Note,
    Ref,
    RelatedParty,
    Text,
    Whole,
    Wire,
    unique_ids,
)
from tmf.models.product_ordering import OrderState
from tmf.models.service import ServiceRefOrValue

TaskState = Literal["accepted", "terminatedWithError", "inProgress", "done"]


class ErrorMessage(Wire):
    """What went wrong, as an order tells it."""

    code: Text = None
    message: Text = None
    reason: Text = None
    reference_error: Text = None
    status: Text = None
    timestamp: Date = None


class ServiceOrderItemRef(Wire):
    """A pointer to an item; the official file requires `id` and defines `itemId`: either is taken."""

    id: Text = None
    item_id: Text = None
    service_order_href: Text = None
    service_order_id: Text = None


class ServiceOrderErrorMessage(ErrorMessage):
    """What went wrong, and with which items."""

    service_order_item: list[ServiceOrderItemRef] | None = None


class ServiceOrderMilestone(Wire):
    """A point an order has reached or will reach."""

    id: Text = None
    description: Text = None
    message: Text = None
    milestone_date: Date = None
    name: Text = None
    status: Text = None
    service_order_item: list[ServiceOrderItemRef] | None = None


class ServiceOrderJeopardyAlert(Wire):
    """A warning that an order will be late."""

    id: Text = None
    alert_date: Date = None
    exception: Text = None
    jeopardy_type: Text = None
    message: Text = None
    name: Text = None
    service_order_item: list[ServiceOrderItemRef] | None = None


class ExternalReference(Entity):
    """What an order is called elsewhere."""

    external_reference_type: Text = None
    name: str


class ServiceOrderRelationship(Entity):
    """How an order depends on another one, of this layer or the one above."""

    id: str
    relationship_type: str


class ServiceOrderItemRelationship(Wire):
    """Which other item this one depends on."""

    relationship_type: Text = None
    order_item: ServiceOrderItemRef | None = None


class ServiceOrderItem(Wire):
    """One service to add, change or end."""

    id: str
    quantity: Whole = None
    action: Action
    appointment: AppointmentRef | None = None
    error_message: list[ErrorMessage] | None = None
    service: ServiceRefOrValue
    service_order_item: list[ServiceOrderItem] | None = None
    service_order_item_relationship: list[ServiceOrderItemRelationship] | None = None
    state: OrderState | None = None


class ServiceOrder(Entity):
    """An order of services; all optional, so it describes answers and patches alike."""

    cancellation_date: Date = None
    cancellation_reason: Text = None
    category: Text = None
    completion_date: Date = None
    description: Text = None
    expected_completion_date: Date = None
    external_id: Text = None
    notification_contact: Text = None
    order_date: Date = None
    priority: Text = None
    requested_completion_date: Date = None
    requested_start_date: Date = None
    start_date: Date = None
    error_message: list[ServiceOrderErrorMessage] | None = None
    external_reference: list[ExternalReference] | None = None
    jeopardy_alert: list[ServiceOrderJeopardyAlert] | None = None
    milestone: list[ServiceOrderMilestone] | None = None
    note: list[Note] | None = None
    order_relationship: list[ServiceOrderRelationship] | None = None
    related_party: list[RelatedParty] | None = None
    service_order_item: list[ServiceOrderItem] | None = None
    state: OrderState | None = None


class ServiceOrderItemCreate(Created, ServiceOrderItem):
    """An item of a new order."""

    refused: ClassVar[frozenset[str]] = frozenset({"state"})

    service_order_item: list[ServiceOrderItemCreate] | None = None  # type: ignore[assignment]


class ServiceOrderCreate(Created, ServiceOrder):
    """A new order: at least one item, each with its service."""

    refused: ClassVar[frozenset[str]] = frozenset(
        {
            "id",
            "href",
            "state",
            "orderDate",
            "completionDate",
            "expectedCompletionDate",
            "startDate",
            "errorMessage",
            "milestone",
            "jeopardyAlert",
        }
    )

    service_order_item: Annotated[  # type: ignore[assignment]
        list[ServiceOrderItemCreate], Field(min_length=1), AfterValidator(unique_ids)
    ]


class CancelServiceOrder(Entity):
    """The request to cancel an order, and how far its assessment is."""

    cancellation_reason: Text = None
    completion_message: Text = None
    effective_cancellation_date: Date = None
    requested_cancellation_date: Date = None
    error_message: ErrorMessage | None = None
    service_order: Ref | None = None
    state: TaskState | None = None


class CancelServiceOrderCreate(Created, CancelServiceOrder):
    """A new request to cancel."""

    refused: ClassVar[frozenset[str]] = frozenset(
        {
            "id",
            "href",
            "state",
            "effectiveCancellationDate",
            "completionMessage",
            "errorMessage",
        }
    )

    service_order: Ref = Field()
