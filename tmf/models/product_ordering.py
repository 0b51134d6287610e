"""Product orders (TMF622 version 4.0.0)."""

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
    Quantity,
    Ref,
    RelatedParty,
    Text,
    Whole,
    Wire,
    unique_ids,
)
from tmf.models.product import Price, PriceAlteration, ProductRefOrValue

ItemState = Literal[
    "acknowledged",
    "rejected",
    "pending",
    "held",
    "inProgress",
    "cancelled",
    "completed",
    "failed",
    "assessingCancellation",
    "pendingCancellation",
]
OrderState = Literal[ItemState, "partial"]
TaskState = Literal["acknowledged", "terminatedWithError", "inProgress", "done"]


class OrderPrice(Wire):
    """What an order or an item costs."""

    description: Text = None
    name: Text = None
    price_type: Text = None
    recurring_charge_period: Text = None
    unit_of_measure: Text = None
    billing_account: Ref | None = None
    price: Price | None = None
    price_alteration: list[PriceAlteration] | None = None
    product_offering_price: Ref | None = None


class OrderTerm(Wire):
    """How long the customer is bound by an item."""

    description: Text = None
    name: Text = None
    duration: Quantity | None = None


class OrderItemRelationship(Wire):
    """Which other item of the same order this one depends on."""

    id: Text = None
    relationship_type: Text = None


class QuoteItemRef(Ref):
    """The item of a quote that an item follows."""

    quote_href: Text = None
    quote_id: str
    quote_name: Text = None


class QualificationItemRef(Ref):
    """The item of a qualification that an item follows."""

    product_offering_qualification_href: Text = None
    product_offering_qualification_id: str
    product_offering_qualification_name: Text = None


class RelatedChannel(Ref):
    """Through which shop an order came."""

    role: Text = None


class ProductOrderItem(Wire):
    """One product to add, change or end."""

    id: str
    quantity: Whole = None
    action: Action
    appointment: AppointmentRef | None = None
    billing_account: Ref | None = None
    item_price: list[OrderPrice] | None = None
    item_term: list[OrderTerm] | None = None
    item_total_price: list[OrderPrice] | None = None
    payment: list[Ref] | None = None
    product: ProductRefOrValue | None = None
    product_offering: Ref | None = None
    product_offering_qualification_item: QualificationItemRef | None = None
    product_order_item: list[ProductOrderItem] | None = None
    product_order_item_relationship: list[OrderItemRelationship] | None = None
    qualification: list[Ref] | None = None
    quote_item: QuoteItemRef | None = None
    state: ItemState | None = None


class ProductOrder(Entity):
    """A customer's order; all optional, so it describes answers and patches alike."""

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
    agreement: list[Ref] | None = None
    billing_account: Ref | None = None
    channel: list[RelatedChannel] | None = None
    note: list[Note] | None = None
    order_total_price: list[OrderPrice] | None = None
    payment: list[Ref] | None = None
    product_offering_qualification: list[Ref] | None = None
    product_order_item: list[ProductOrderItem] | None = None
    quote: list[Ref] | None = None
    related_party: list[RelatedParty] | None = None
    state: OrderState | None = None


class ProductOrderItemCreate(Created, ProductOrderItem):
    """An item of a new order."""

    refused: ClassVar[frozenset[str]] = frozenset({"state"})

    product_order_item: list[ProductOrderItemCreate] | None = None  # type: ignore[assignment]


class ProductOrderCreate(Created, ProductOrder):
    """A new order: at least one item."""

    refused: ClassVar[frozenset[str]] = frozenset(
        {"id", "href", "state", "orderDate", "completionDate", "expectedCompletionDate"}
    )

    product_order_item: Annotated[  # type: ignore[assignment]
        list[ProductOrderItemCreate], Field(min_length=1), AfterValidator(unique_ids)
    ]


class CancelProductOrder(Entity):
    """The request to cancel an order, and how far its assessment is."""

    cancellation_reason: Text = None
    effective_cancellation_date: Date = None
    requested_cancellation_date: Date = None
    product_order: Ref | None = None
    state: TaskState | None = None


class CancelProductOrderCreate(Created, CancelProductOrder):
    """A new request to cancel."""

    refused: ClassVar[frozenset[str]] = frozenset(
        {"id", "href", "state", "effectiveCancellationDate"}
    )

    product_order: Ref = Field()
