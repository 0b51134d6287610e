"""Products as TMF622 orders them and TMF637 lists them (version 4.0.0 of both)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tmf.models.common import (
    Characteristic,
    Created,
    Date,
    Entity,
    Flag,
    Money,
    Number,
    Quantity,
    Ref,
    RelatedParty,
    RelatedPlace,
    TargetSchema,
    Text,
    TimePeriod,
    VersionedRef,
    Whole,
    Wire,
)

# the official files spell "aborted " with a trailing blank: both are taken
ProductStatus = Literal[
    "created",
    "pendingActive",
    "cancelled",
    "active",
    "pendingTerminate",
    "terminated",
    "suspended",
    "aborted",
    "aborted ",
]


class AgreementItemRef(Ref):
    """The item of an agreement under which something is sold."""

    agreement_item_id: Text = None


class ResourceRef(Ref):
    """A pointer to a resource."""

    value: Text = None


class Price(Wire):
    """What something costs, with and without tax."""

    percentage: Number = None
    tax_rate: Number = None
    duty_free_amount: Money | None = None
    tax_included_amount: Money | None = None


class PriceAlteration(Wire):
    """A discount or surcharge on a price."""

    application_duration: Whole = None
    description: Text = None
    name: Text = None
    price_type: str
    priority: Whole = None
    recurring_charge_period: Text = None
    unit_of_measure: Text = None
    price: Price
    product_offering_price: Ref | None = None


class ProductPrice(Wire):
    """What a product costs its owner."""

    description: Text = None
    name: Text = None
    price_type: str
    recurring_charge_period: Text = None
    unit_of_measure: Text = None
    billing_account: Ref | None = None
    price: Price
    product_offering_price: Ref | None = None
    product_price_alteration: list[PriceAlteration] | None = None


class ProductTerm(Wire):
    """How long a product is bound."""

    description: Text = None
    name: Text = None
    duration: Quantity | None = None
    valid_for: TimePeriod | None = None


class RelatedProductOrderItem(Wire):
    """The order item that made or changed a product."""

    order_item_action: Text = None
    order_item_id: str
    product_order_href: Text = None
    product_order_id: str
    role: Text = None


class ProductSpecificationRef(VersionedRef):
    """A pointer to a version of a product specification."""

    target_product_schema: TargetSchema | None = None


class ProductRelationship(Wire):
    """How a product depends on another one."""

    relationship_type: str
    product: ProductRefOrValue


class Product(Entity):
    """An instance of an offering at a customer (TMF637)."""

    description: Text = None
    is_bundle: Flag = None
    is_customer_visible: Flag = None
    name: Text = None
    order_date: Date = None
    product_serial_number: Text = None
    start_date: Date = None
    termination_date: Date = None
    agreement: list[AgreementItemRef] | None = None
    billing_account: Ref | None = None
    place: list[RelatedPlace] | None = None
    product: list[ProductRefOrValue] | None = None
    product_characteristic: list[Characteristic] | None = None
    product_offering: Ref | None = None
    product_order_item: list[RelatedProductOrderItem] | None = None
    product_price: list[ProductPrice] | None = None
    product_relationship: list[ProductRelationship] | None = None
    product_specification: ProductSpecificationRef | None = None
    product_term: list[ProductTerm] | None = None
    realizing_resource: list[ResourceRef] | None = None
    realizing_service: list[Ref] | None = None
    related_party: list[RelatedParty] | None = None
    status: ProductStatus | None = None


class ProductRefOrValue(Product):
    """A product, by reference (its id) or in full."""


class ProductCreate(Created, Product):
    """A product put into the inventory by hand."""

    status: ProductStatus = Field()
