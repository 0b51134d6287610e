"""What the three catalogs share: TMF620 4.1.0, TMF633 4.0.0, TMF634 4.1.0."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tmf.models.common import (
    Created,
    Date,
    Entity,
    Flag,
    Number,
    RelatedParty,
    Text,
    TimePeriod,
    VersionedRef,
    Whole,
    Wire,
)

JobState = Literal["Not Started", "Running", "Succeeded", "Failed"]


class CatalogEntity(Entity):
    """What everything in a catalog has: a version, a life cycle, a time of validity."""

    description: Text = None
    last_update: Date = None
    lifecycle_status: Text = None
    name: Text = None
    version: Text = None
    valid_for: TimePeriod | None = None


class CatalogCreate(Created, CatalogEntity):
    """A new catalog entity needs a name; it may bring its id."""

    name: str = Field()


class CategoryBase(CatalogEntity):
    """A shelf of a catalog."""

    is_root: Flag = None
    parent_id: Text = None


class CatalogBase(CatalogEntity):
    """A catalog: categories and who answers for them."""

    category: list[VersionedRef] | None = None
    related_party: list[RelatedParty] | None = None


class ValueSpecification(Wire):
    """A value, or a range of values, that a characteristic may take."""

    is_default: Flag = None
    range_interval: Text = None
    regex: Text = None
    unit_of_measure: Text = None
    value_from: Number = None
    value_to: Number = None
    value_type: Text = None
    value: Any = None
    valid_for: TimePeriod | None = None


class CharacteristicSpecificationBase(Wire):
    """A characteristic that instances may have."""

    at_value_schema_location: Text = Field(None, alias="@valueSchemaLocation")
    id: Text = None
    configurable: Flag = None
    description: Text = None
    extensible: Flag = None
    is_unique: Flag = None
    max_cardinality: Whole = None
    min_cardinality: Whole = None
    name: Text = None
    regex: Text = None
    value_type: Text = None
    valid_for: TimePeriod | None = None


class FeatureCharacteristicRelationship(Entity):
    """How a characteristic of a feature depends on another one."""

    characteristic_id: Text = None
    feature_id: Text = None
    name: Text = None
    relationship_type: Text = None
    resource_specification_href: Text = None
    resource_specification_id: Text = None
    valid_for: TimePeriod | None = None


class FeatureCharacteristic(CharacteristicSpecificationBase):
    """A characteristic of a feature."""

    name: str
    feature_spec_char_relationship: list[FeatureCharacteristicRelationship] | None = None
    feature_spec_characteristic_value: list[ValueSpecification] | None = None


class FeatureSpecificationRelationship(Entity):
    """How a feature depends on another one."""

    feature_id: Text = None
    name: str
    parent_specification_href: Text = None
    parent_specification_id: Text = None
    relationship_type: str
    valid_for: TimePeriod | None = None


class FeatureSpecification(Entity):
    """A feature that instances may switch on."""

    is_bundle: Flag = None
    is_enabled: Flag = None
    name: Text = None
    version: Text = None
    constraint: list[VersionedRef] | None = None
    feature_spec_characteristic: list[FeatureCharacteristic] | None = None
    feature_spec_relationship: list[FeatureSpecificationRelationship] | None = None
    valid_for: TimePeriod | None = None


class ImportJob(Entity):
    """Reading a catalog from a file."""

    completion_date: Date = None
    content_type: Text = None
    creation_date: Date = None
    error_log: Text = None
    path: Text = None
    url: Text = None
    status: JobState | None = None


class ExportJob(ImportJob):
    """Writing a catalog, or what a query finds of it, to a file."""

    query: Text = None


class ImportJobCreate(Created, ImportJob):
    """A new import."""

    url: str = Field()


class ExportJobCreate(Created, ExportJob):
    """A new export."""

    url: str = Field()
