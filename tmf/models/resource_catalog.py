"""Resource catalog (TMF634 version 4.1.0)."""

from __future__ import annotations

from tmf.models.catalog import (
    CatalogBase,
    CatalogCreate,
    CatalogEntity,
    CategoryBase,
    CharacteristicSpecificationBase,
    FeatureSpecification,
    ValueSpecification,
)
from tmf.models.common import (
    Attachment,
    Entity,
    Flag,
    RelatedParty,
    TargetSchema,
    Text,
    TimePeriod,
    VersionedRef,
    Whole,
    Wire,
)


class ResourceSpecCharacteristicRelationship(Wire):
    """How a characteristic depends on another one."""

    characteristic_specification_id: Text = None
    name: Text = None
    relationship_type: Text = None
    resource_specification_href: Text = None
    resource_specification_id: Text = None
    valid_for: TimePeriod | None = None


class ResourceCharacteristicSpecification(CharacteristicSpecificationBase):
    """A characteristic that resources may have."""

    resource_spec_char_relationship: list[ResourceSpecCharacteristicRelationship] | None = None
    resource_spec_characteristic_value: list[ValueSpecification] | None = None


class ResourceSpecRelationship(Entity):
    """How resources of one specification depend on those of another one."""

    default_quantity: Whole = None
    maximum_quantity: Whole = None
    minimum_quantity: Whole = None
    name: Text = None
    relationship_type: Text = None
    role: Text = None
    characteristic: list[ResourceCharacteristicSpecification] | None = None
    valid_for: TimePeriod | None = None


class ResourceCatalog(CatalogBase):
    """A catalog of resources."""


class ResourceCategory(CategoryBase):
    """A shelf of resources."""

    category: list[VersionedRef] | None = None
    related_party: list[RelatedParty] | None = None
    resource_candidate: list[VersionedRef] | None = None


class ResourceCandidate(CatalogEntity):
    """A specification that offerings may use."""

    category: list[VersionedRef] | None = None
    resource_specification: VersionedRef | None = None


class ResourceSpecification(CatalogEntity):
    """What resources of a kind are; assignment and configuration are extensions of it."""

    category: Text = None
    is_bundle: Flag = None
    attachment: list[Attachment] | None = None
    feature_specification: list[FeatureSpecification] | None = None
    related_party: list[RelatedParty] | None = None
    resource_spec_characteristic: list[ResourceCharacteristicSpecification] | None = None
    resource_spec_relationship: list[ResourceSpecRelationship] | None = None
    target_resource_schema: TargetSchema | None = None


class ResourceCatalogCreate(CatalogCreate, ResourceCatalog):
    """A new catalog."""


class ResourceCategoryCreate(CatalogCreate, ResourceCategory):
    """A new category."""


class ResourceCandidateCreate(CatalogCreate, ResourceCandidate):
    """A new candidate."""


class ResourceSpecificationCreate(CatalogCreate, ResourceSpecification):
    """A new specification."""
