"""What all nine APIs share: the base of every wire model, and the structures that mean the same everywhere.

Models judge bodies and describe them in OpenAPI; documents themselves stay plain JSON. Everything is optional where
the official files say so, unknown attributes are kept, types are strict (no "5" for 5).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _check_instant(text: str) -> str:
    datetime.fromisoformat(text)
    return text


DateTime = Annotated[
    str,
    AfterValidator(_check_instant),
    Field(json_schema_extra={"format": "date-time"}),
]


class Wire(BaseModel):
    """A JSON object of TM Forum: camelCase on the wire, open for extension by @type and @schemaLocation."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow", frozen=True, strict=True)

    at_type: str | None = Field(None, alias="@type")
    at_base_type: str | None = Field(None, alias="@baseType")
    at_schema_location: str | None = Field(None, alias="@schemaLocation")


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
