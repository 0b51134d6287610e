"""Product catalog (TMF620 version 4.1.0)."""

from __future__ import annotations

from tmf.models.catalog import (
    CatalogBase,
    CatalogCreate,
    CatalogEntity,
    CategoryBase,
    CharacteristicSpecificationBase,
    ValueSpecification,
)
from tmf.models.common import (
    Attachment,
    Entity,
    Flag,
    Money,
    Number,
    Quantity,
    Ref,
    RelatedParty,
    TargetSchema,
    Text,
    TimePeriod,
    VersionedRef,
    Whole,
    Wire,
)
from tmf.models.product import ProductSpecificationRef


class Duration(Wire):
    """So many units of time."""

    amount: Whole = None
    units: Text = None


class NamedRelationship(Entity):
    """How an entity of the catalog depends on another one, which `id` names."""

    name: Text = None
    relationship_type: Text = None
    role: Text = None
    valid_for: TimePeriod | None = None


class BundledOfferingOption(Wire):
    """How often a bundled offering may be taken."""

    number_rel_offer_default: Whole = None
    number_rel_offer_lower_limit: Whole = None
    number_rel_offer_upper_limit: Whole = None


class BundledProductOffering(Entity):
    """An offering inside a bundle."""

    lifecycle_status: Text = None
    name: Text = None
    bundled_product_offering_option: BundledOfferingOption | None = None


class BundledProductSpecification(Entity):
    """A specification inside a bundle."""

    lifecycle_status: Text = None
    name: Text = None


class BundledPrice(Entity):
    """A price inside a bundle."""

    name: Text = None


class ProductSpecCharacteristicRelationship(Entity):
    """How a characteristic depends on another one."""

    char_spec_seq: Whole = None
    name: Text = None
    relationship_type: Text = None
    valid_for: TimePeriod | None = None


class ProductCharacteristicSpecification(CharacteristicSpecificationBase):
    """A characteristic that products may have."""

    product_spec_char_relationship: list[ProductSpecCharacteristicRelationship] | None = None
    product_spec_characteristic_value: list[ValueSpecification] | None = None


class CharacteristicValueUse(Wire):
    """What an offering or price fixes of a specification's characteristic."""

    id: Text = None
    description: Text = None
    max_cardinality: Whole = None
    min_cardinality: Whole = None
    name: Text = None
    value_type: Text = None
    product_spec_characteristic_value: list[ValueSpecification] | None = None
    product_specification: ProductSpecificationRef | None = None
    valid_for: TimePeriod | None = None


class ProductOfferingTerm(Wire):
    """How long an offering binds."""

    description: Text = None
    name: Text = None
    duration: Duration | None = None
    valid_for: TimePeriod | None = None


class PricingAlgorithm(Entity):
    """How a price is computed elsewhere."""

    description: Text = None
    name: Text = None
    pla_spec_id: Text = None
    valid_for: TimePeriod | None = None


class TaxItem(Entity):
    """A tax on a price."""

    tax_category: Text = None
    tax_rate: Number = None
    tax_amount: Money | None = None


class PriceValue(Wire):
    """What something costs, with and without tax."""

    percentage: Number = None
    tax_category: Text = None
    tax_rate: Number = None
    duty_free_amount: Money | None = None
    tax_included_amount: Money | None = None


class OfferingPriceAlteration(Entity):
    """A discount or surcharge."""

    description: Text = None
    name: Text = None
    price_type: str
    priority: Whole = None
    recurring_charge_period: Text = None
    application_duration: Duration | None = None
    price: PriceValue
    unit_of_measure: Quantity | None = None
    valid_for: TimePeriod | None = None


class PriceRefOrValue(CatalogEntity):
    """A price of an offering, by reference (its id) or in full."""

    price_type: Text = None
    recurring_charge_period: Text = None
    recurring_charge_period_length: Whole = None
    constraint: list[VersionedRef] | None = None
    price: PriceValue | None = None
    price_alteration: list[OfferingPriceAlteration] | None = None
    unit_of_measure: Quantity | None = None


class ProductCatalog(CatalogBase):
    """A catalog of offerings."""

    catalog_type: Text = None


class ProductCategory(CategoryBase):
    """A shelf of offerings."""

    product_offering: list[Ref] | None = None
    sub_category: list[VersionedRef] | None = None


class ProductOffering(CatalogEntity):
    """What can be bought, at which price, with what fixed and what left open."""

    is_bundle: Flag = None
    is_sellable: Flag = None
    status_reason: Text = None
    agreement: list[Ref] | None = None
    attachment: list[Attachment] | None = None
    bundled_product_offering: list[BundledProductOffering] | None = None
    category: list[VersionedRef] | None = None
    channel: list[Ref] | None = None
    market_segment: list[Ref] | None = None
    place: list[Ref] | None = None
    prod_spec_char_value_use: list[CharacteristicValueUse] | None = None
    product_offering_price: list[PriceRefOrValue] | None = None
    product_offering_relationship: list[NamedRelationship] | None = None
    product_offering_term: list[ProductOfferingTerm] | None = None
    product_specification: ProductSpecificationRef | None = None
    resource_candidate: VersionedRef | None = None
    service_candidate: VersionedRef | None = None
    service_level_agreement: Ref | None = None


class ProductOfferingPrice(CatalogEntity):
    """A price that offerings point to."""

    is_bundle: Flag = None
    percentage: Number = None
    price_type: Text = None
    recurring_charge_period_length: Whole = None
    recurring_charge_period_type: Text = None
    bundled_pop_relationship: list[BundledPrice] | None = None
    constraint: list[VersionedRef] | None = None
    place: list[Ref] | None = None
    pop_relationship: list[NamedRelationship] | None = None
    price: Money | None = None
    pricing_logic_algorithm: list[PricingAlgorithm] | None = None
    prod_spec_char_value_use: list[CharacteristicValueUse] | None = None
    product_offering_term: list[ProductOfferingTerm] | None = None
    tax: list[TaxItem] | None = None
    unit_of_measure: Quantity | None = None


class ProductSpecification(CatalogEntity):
    """What products of a kind are, and by which services and resources they are realised."""

    brand: Text = None
    is_bundle: Flag = None
    product_number: Text = None
    attachment: list[Attachment] | None = None
    bundled_product_specification: list[BundledProductSpecification] | None = None
    product_spec_characteristic: list[ProductCharacteristicSpecification] | None = None
    product_specification_relationship: list[NamedRelationship] | None = None
    related_party: list[RelatedParty] | None = None
    resource_specification: list[VersionedRef] | None = None
    service_specification: list[VersionedRef] | None = None
    target_product_schema: TargetSchema | None = None


class ProductCatalogCreate(CatalogCreate, ProductCatalog):
    """A new catalog."""


class ProductCategoryCreate(CatalogCreate, ProductCategory):
    """A new category."""


class ProductOfferingCreate(CatalogCreate, ProductOffering):
    """A new offering."""


class ProductOfferingPriceCreate(CatalogCreate, ProductOfferingPrice):
    """A new price."""


class ProductSpecificationCreate(CatalogCreate, ProductSpecification):
    """A new specification."""
