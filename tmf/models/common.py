"""What all nine APIs share: the base of every wire model, and the structures that mean the same everywhere.

Models judge bodies and describe them in OpenAPI; documents themselves stay plain JSON. Everything is optional where
the official files say so, unknown attributes are kept, types are strict (no "5" for 5).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


def _check_instant(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("instant", "not a date and time of ISO 8601") from None
    return text


def unique_ids(items: list[Any] | None) -> list[Any] | None:
    """Refuse two items of one id: relationships name items by it."""
    ids = [item.id for item in items or []]
    twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
    if twice:
        raise PydanticCustomError("twice", "id {ids} is there twice", {"ids": ", ".join(twice)})
    return items


DateTime = Annotated[
    str,
    AfterValidator(_check_instant),
    Field(json_schema_extra={"format": "date-time"}),
]


Text = str | None
Flag = bool | None
Whole = int | None
Number = float | None
Date = DateTime | None
Action = Literal["add", "modify", "delete", "noChange"]


class Wire(BaseModel):
    """A JSON object of TM Forum: camelCase on the wire, open for extension by @type and @schemaLocation."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", frozen=True, strict=True)

    at_type: Text = Field(None, alias="@type")
    at_base_type: Text = Field(None, alias="@baseType")
    at_schema_location: Text = Field(None, alias="@schemaLocation")
    at_referred_type: Text = Field(None, alias="@referredType")


class Created(Wire):
    """A body of POST: `refused` are the attributes that only the server sets."""

    refused: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, body: Any) -> Any:
        named = body.items() if isinstance(body, dict) else ()
        found = sorted(key for key, value in named if key in cls.refused and value is not None)
        if found:
            raise PydanticCustomError(
                "refused", "{names}: set by the server, leave it out", {"names": ", ".join(found)}
            )
        return body


class Entity(Wire):
    """Something with an address of its own."""

    id: Text = None
    href: Text = None


class Ref(Wire):
    """A pointer to an entity, in this API or another one."""

    id: str
    href: Text = None
    name: Text = None


class VersionedRef(Ref):
    """A pointer to a version of a catalog entity."""

    version: Text = None


class Quantity(Wire):
    """So many units."""

    amount: Number = None
    units: Text = None


class Money(Wire):
    """An amount of a currency (ISO 4217)."""

    unit: Text = None
    value: Number = None


class TimePeriod(Wire):
    """From and to; an open end is absent."""

    start_date_time: Date = None
    end_date_time: Date = None


class Note(Entity):
    """A remark by a person or system."""

    author: Text = None
    date: Date = None
    text: Text = None


class RelatedParty(Ref):
    """Who takes part, and as what."""

    role: Text = None


class RelatedPlace(Entity):
    """Where, by reference or in words."""

    name: Text = None
    role: Text = None


class RelatedEntity(Entity):
    """Any other thing that has to do with it."""

    name: Text = None
    role: str


class AppointmentRef(Entity):
    """The visit that goes with an item."""

    id: str
    description: Text = None


class CharacteristicRelationship(Entity):
    """How a characteristic depends on another one."""

    relationship_type: Text = None


class Characteristic(Wire):
    """A named value; null is a value too."""

    id: Text = None
    name: str
    value_type: Text = None
    value: Any
    characteristic_relationship: list[CharacteristicRelationship] | None = None


class Attachment(Entity):
    """A document, by address or with its content."""

    attachment_type: Text = None
    content: Text = None
    description: Text = None
    is_ref: Flag = None
    mime_type: Text = None
    name: Text = None
    url: Text = None
    size: Quantity | None = None
    valid_for: TimePeriod | None = None


class FeatureRelationship(Wire):
    """How a feature depends on another one."""

    id: Text = None
    name: str
    relationship_type: str
    valid_for: TimePeriod | None = None


class Feature(Wire):
    """A set of characteristics that is switched on or off together."""

    id: Text = None
    is_bundle: Flag = None
    is_enabled: Flag = None
    name: str
    constraint: list[VersionedRef] | None = None
    feature_characteristic: list[Characteristic]
    feature_relationship: list[FeatureRelationship] | None = None


class TargetSchema(Wire):
    """The schema that instances of a specification follow."""

    at_type: str = Field(alias="@type")
    at_schema_location: str = Field(alias="@schemaLocation")


class Error(Wire):
    """The body of every refusal (TMF630)."""

    code: str
    reason: str
    message: str | None = None
    status: str | None = None
    reference_error: str | None = None


class EventSubscriptionInput(Wire):
    """A request to be told: where to, and of what (`eventType=A,B&state=held`)."""

    callback: str
    query: str | None = None


class EventSubscription(EventSubscriptionInput):
    """A subscription as the hub keeps it."""

    id: str
