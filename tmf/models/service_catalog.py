"""Service catalog (TMF633 version 4.0.0)."""

from __future__ import annotations

from pydantic import Field

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
    Ref,
    RelatedParty,
    TargetSchema,
    Text,
    TimePeriod,
    VersionedRef,
    Wire,
)


class ServiceSpecCharacteristicRelationship(Wire):
    """How a characteristic depends on another one."""

    characteristic_specification_id: Text = None
    name: Text = None
    parent_specification_href: Text = None
    parent_specification_id: Text = None
    relationship_type: Text = None
    valid_for: TimePeriod | None = None


class ServiceCharacteristicSpecification(CharacteristicSpecificationBase):
    """A characteristic that services may have."""

    char_spec_relationship: list[ServiceSpecCharacteristicRelationship] | None = None
    characteristic_value_specification: list[ValueSpecification] | None = None


class ServiceSpecRelationship(Entity):
    """How services of one specification depend on those of another one; decomposition is an extension of it."""

    name: Text = None
    relationship_type: str
    role: Text = None
    valid_for: TimePeriod | None = None


class EntitySpecRelationship(ServiceSpecRelationship):
    """How services of a specification depend on other entities."""

    association_spec: Ref | None = None


class ServiceCatalog(CatalogBase):
    """A catalog of services."""


class ServiceCategory(CategoryBase):
    """A shelf of services."""

    category: list[VersionedRef] | None = None
    service_candidate: list[VersionedRef] | None = None


class ServiceCandidate(CatalogEntity):
    """A specification that offerings may use."""

    category: list[VersionedRef] | None = None
    service_specification: VersionedRef | None = None


class ServiceSpecification(CatalogEntity):
    """What services of a kind are, and by which services and resources they are realised."""

    is_bundle: Flag = None
    attachment: list[Attachment] | None = None
    constraint: list[VersionedRef] | None = None
    entity_spec_relationship: list[EntitySpecRelationship] | None = None
    feature_specification: list[FeatureSpecification] | None = None
    related_party: list[RelatedParty] | None = None
    resource_specification: list[VersionedRef] | None = None
    service_level_specification: list[Ref] | None = None
    service_spec_relationship: list[ServiceSpecRelationship] | None = None
    spec_characteristic: list[ServiceCharacteristicSpecification] | None = None
    target_entity_schema: TargetSchema | None = None


class ServiceCatalogCreate(CatalogCreate, ServiceCatalog):
    """A new catalog."""


class ServiceCategoryCreate(CatalogCreate, ServiceCategory):
    """A new category."""


class ServiceCandidateCreate(CatalogCreate, ServiceCandidate):
    """A new candidate."""

    service_specification: VersionedRef = Field()


class ServiceSpecificationCreate(CatalogCreate, ServiceSpecification):
    """A new specification."""
