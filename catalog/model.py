"""The words of the decomposition language, read from TMF-shaped entities (TMF620 4.1, TMF633 4.0, TMF634 4.1).

What is ours rides as extra attributes on the official structures and is checked strictly; the whole entity stays in
`body`, so nothing that TM Forum knows is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

Json = dict[str, Any]
NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"
_REFERENCE = frozenset(
    {"href", "name", "role", "validFor", "@type", "@baseType", "@schemaLocation", "@referredType"}
)


class Model(BaseModel):
    """A frozen value that accepts exactly what it knows, in camelCase."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


ValueType = Literal["string", "integer", "number", "boolean", "dateTime", "object", "array"]


class Characteristic(Model):
    """A named value of a product, service or resource, and what it may be."""

    name: str = Field(pattern=NAME)
    value_type: ValueType = "string"
    default: Any = None
    required: bool = False
    values: tuple[Any, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    regex: str | None = None
    configurable: bool = True
    """False: the system sets it (e.g. from qualification), so an offering's limits guide it and refuse nobody."""
    export: bool = False
    """Assigned below, shown above: copied from the resource to the service that it realises."""
    secret: bool = False
    description: str = ""

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any], values_key: str) -> Self:
        """Read a TMF characteristic specification; its allowed values stand under `values_key`."""
        entries = body.get(values_key, [])
        default = [entry["value"] for entry in entries if entry.get("isDefault")]
        ranges = [entry for entry in entries if "valueFrom" in entry or "valueTo" in entry]
        known = ("name", "valueType", "regex", "configurable", "export", "secret", "description")
        return cls.model_validate(
            {
                **{name: body[name] for name in known if name in body},
                "default": default[0] if default else None,
                "required": body.get("minCardinality", 0) > 0,
                "values": () if ranges or body.get("extensible") else _enumerated(entries),
                "minimum": ranges[0].get("valueFrom") if ranges else None,
                "maximum": ranges[0].get("valueTo") if ranges else None,
            }
        )


class SequenceAfter(Model):
    """What a child waits for: siblings by key, on the same line or (`scope: order`) on others of the order."""

    key: str
    same_index: bool = False
    """Of a repeated sibling only the one with the same index."""
    where: str | None = None
    """Over `this` and `other`: the characteristics of the waiting line and of the one it waits for."""
    scope: Literal["line", "order"] = "line"


class Link(Model):
    """A parent's rule that it decomposes into a child specification."""

    id: str
    version: str | None = None
    key: str = Field(pattern=NAME)
    when: str | None = None
    map: Mapping[str, str] = Field(default_factory=dict)
    for_each: str | None = None
    quantity: str | None = None
    index_by: str | None = None
    """What tells repetitions apart (default: their position), so that taking one out leaves the others alone."""
    sequence_after: tuple[SequenceAfter, ...] = ()
    scope: Literal["parent", "product"] = "parent"
    precedence: int = 0
    replace_on: tuple[str, ...] = ()
    replace_with: tuple[str, ...] = ()
    """Keys of siblings: when one of them is replaced, so is this child."""
    refresh_with: tuple[str, ...] = ()
    """Keys of siblings: when one of them changes, this child is modified, because it reads their values."""
    start_at: str | None = None
    stage: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        rule = {k: v for k, v in data.items() if k not in _REFERENCE and k != "relationshipType"}
        after = rule.get("sequenceAfter", ())
        if isinstance(after, list | tuple):
            rule["sequenceAfter"] = [{"key": a} if isinstance(a, str) else a for a in after]
        return rule

    @model_validator(mode="after")
    def _one_repetition(self) -> Self:
        if self.for_each and self.quantity:
            raise ValueError("forEach and quantity exclude each other")
        return self

    @property
    def repeated(self) -> bool:
        """Return whether its children carry an index in their key."""
        return bool(self.for_each or self.quantity or self.index_by)


class Uses(Model):
    """Another resource on the line that this one reads values of."""

    spec: str
    optional: bool = False


class Capacity(Model):
    """How much one port or device may carry, beyond what its pools hold. Numbers are read as expressions."""

    limit: str | None = None
    """How many customers it may have; null: as many as its pools allow."""
    load: str | None = None
    """A number among the resource's characteristics; its sum over all resources there stays within `ceiling`."""
    ceiling: str | None = None

    @field_validator("limit", "ceiling", mode="before")
    @classmethod
    def _text(cls, given: Any) -> Any:
        if isinstance(given, bool) or (isinstance(given, int | float) and given < 0):
            raise ValueError("say a number that is not negative, or an expression that gives one")
        return str(given) if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.limit is None and self.load is None:
            raise ValueError("capacity needs a limit, or a load with its ceiling")
        if (self.load is None) != (self.ceiling is None):
            raise ValueError("load and ceiling go together")
        return self


class Affinity(Model):
    """Whose port, device or site is to be shared (`near`) or kept away from (`avoid`).

    `place`: the other lines at the place; `line`: the other resources of the line; else a role of `uses`.
    """

    PLACE: ClassVar[str] = "place"
    LINE: ClassVar[str] = "line"

    near: str | None = None
    avoid: str | None = None
    on: Literal["port", "device", "site"] = "device"
    strength: Literal["must", "prefer"] = "prefer"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.near is None) == (self.avoid is None):
            raise ValueError("affinity needs exactly one of near, avoid")
        return self

    @property
    def whose(self) -> str:
        """Return `place`, `line` or a role."""
        return self.near or self.avoid or ""


PORT_NAMES = ("id", "name", "device", "technology", "labels", "free", "used", "load", "splitRatio")
"""What expressions of a `choose: ponPort` may read as `port.…`."""
DEVICE_NAMES = ("name", "role", "site", "platform", "adminState", "labels")
"""What they may read as `device.…`."""
CHOSEN_DEVICE_NAMES = (*DEVICE_NAMES, "used", "load", "hops")
"""The same for `choose: device`."""


class Assign(Model):
    """How one characteristic of a resource gets its value: taken from a pool, chosen, or computed."""

    as_: str = Field(alias="as")
    take: str | None = None
    choose: Literal["ponPort", "device"] | None = None
    value: str | None = None
    scope: str | None = None
    shared_by: str | None = None
    role: str | None = None
    policy: Literal["best-fit", "fill", "spread", "nearest"] | None = None
    from_: str | None = Field(None, alias="from")
    """The device from which `nearest` counts hops."""
    require: tuple[str, ...] = ()
    prefer: tuple[str, ...] = ()
    capacity: Capacity | None = None
    affinity: tuple[Affinity, ...] = ()
    when: str | None = None
    part: str | None = None
    """What kind of resource the value is: it is shown as a part of its own (TMF639 isComposedOf)."""

    @field_validator("require", "prefer", mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        return (given,) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if [self.take, self.choose, self.value].count(None) != 2:  # noqa: PLR2004
            raise ValueError(f"{self.as_} needs exactly one of take, choose, value")
        if self.choose == "device" and not self.role:
            raise ValueError(f"{self.as_} chooses a device; say of which role")
        if self.take and not self.scope:
            raise ValueError(f"{self.as_} takes {self.take}; say of which scope")
        return self

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.places and not self.choose:
            raise ValueError(f"{self.as_} chooses nothing; {', '.join(self.places)} go with choose")
        if (self.policy == "nearest") != (self.from_ is not None):
            raise ValueError(f"{self.as_}: policy nearest and from go together")
        if self.policy == "nearest" and self.choose != "device":
            raise ValueError(f"{self.as_}: policy nearest chooses a device, not a port")
        if self.choose == "device":
            self._fits_a_device()
        return self

    def _fits_a_device(self) -> None:
        if self.policy == "best-fit" and not (self.capacity and self.capacity.limit):
            raise ValueError(f"{self.as_}: best-fit of devices needs a capacity.limit")
        if any(one.on == "port" for one in self.affinity):
            raise ValueError(f"{self.as_} chooses a device; its affinity is on device or site")

    @property
    def places(self) -> tuple[str, ...]:
        """Return the words that it has about which candidate to choose."""
        words = {
            "policy": self.policy,
            "from": self.from_,
            "require": self.require,
            "prefer": self.prefer,
            "capacity": self.capacity,
            "affinity": self.affinity,
        }
        return tuple(word for word, said in words.items() if said)


class Configure(Model):
    """What a resource contributes to a feature of a device."""

    device: str
    feature: str
    transaction: str | None = None
    when: str | None = None
    values: Mapping[str, str] = Field(default_factory=dict)


class Verify(Model):
    """What has to be true once a resource is configured: its configuration (`device`) or its working (`service`)."""

    on: Literal["device", "service"]
    expect: Literal["readBack"] | Mapping[str, Any]
    device: str = "''"
    values: Mapping[str, str] = Field(default_factory=dict)
    gates: bool = True
    within: timedelta = timedelta(hours=72)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.on == "device") != (self.expect == "readBack"):
            raise ValueError("on: device goes with expect: readBack, on: service with a mapping")
        return self

    @property
    def checks(self) -> Mapping[str, Any]:
        """Return check name → expected value; empty for a device's read-back."""
        return {} if isinstance(self.expect, str) else self.expect

    @property
    def within_seconds(self) -> float:
        """Return how long a check that does not gate may stay open."""
        return self.within.total_seconds()


class External(Model):
    """Work of an external party that the order waits for."""

    NOTHING: ClassVar[str] = "nothing"

    kind: str
    example: Mapping[str, str] = Field(default_factory=dict)
    due: timedelta | None = None
    return_step: str | None = Field(None, alias="onDelete")
    """Kind of the work that a delete waits for, or `nothing`."""

    @property
    def due_in(self) -> timedelta | None:
        """Return in what time the work is expected."""
        return self.due

    @property
    def on_delete(self) -> str | None:
        """Return the kind of work that a delete waits for, or None when it waits for nobody."""
        return None if self.return_step == self.NOTHING else self.return_step


class Entity(Model):
    """What all catalog entities have; `body` is the entity as TM Forum sees it."""

    id: str = Field(min_length=1)
    version: str = Field(pattern=r"^\d+(\.\d+)*$")
    name: str
    lifecycle_status: str = "Launched"
    body: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @property
    def launched(self) -> bool:
        """Return whether new orders may use it."""
        return self.lifecycle_status.lower() in {"launched", "active"}


class Spec(Entity):
    """A specification: declares characteristics."""

    characteristics: tuple[Characteristic, ...] = ()

    @property
    def declared_names(self) -> tuple[str, ...]:
        """Return the names of all characteristics, as declared."""
        return tuple(c.name for c in self.characteristics)


class ProductSpec(Spec):
    """What a customer can have, and which customer-facing services realise it."""

    links: tuple[Link, ...] = ()

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any]) -> Self:
        """Read a TMF620 ProductSpecification."""
        return cls(
            **_common(body),
            characteristics=_characteristics(
                body, "productSpecCharacteristic", "productSpecCharacteristicValue"
            ),
            links=tuple(Link.model_validate(link) for link in body.get("serviceSpecification", [])),
        )


class ServiceSpec(Spec):
    """A customer-facing (CFS) or resource-facing service (RFS)."""

    category: Literal["CFS", "RFS"]
    links: tuple[Link, ...] = ()
    resource: str | None = None
    requires: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any]) -> Self:
        """Read a TMF633 ServiceSpecification."""
        related = body.get("serviceSpecRelationship", [])
        resources = [reference["id"] for reference in body.get("resourceSpecification", [])]
        if len(resources) > 1:
            raise ValueError(
                f"resourceSpecification: one resource realises an RFS, not {len(resources)}"
            )
        return cls(
            **_common(body),
            category=body.get("category"),  # type: ignore[arg-type]  # pydantic says what is allowed
            characteristics=_characteristics(
                body, "specCharacteristic", "characteristicValueSpecification"
            ),
            links=tuple(Link.model_validate(link) for link in _of_type(related, "realizedBy")),
            resource=resources[0] if resources else None,
            requires=tuple(link["id"] for link in _of_type(related, "requires")),
            excludes=tuple(link["id"] for link in _of_type(related, "excludes")),
        )


class ResourceSpec(Spec):
    """What is assigned, configured, verified or ordered from others to realise an RFS."""

    role: str = Field(pattern=NAME)
    uses: Mapping[str, Uses] = Field(default_factory=dict)
    assign: tuple[Assign, ...] = ()
    configure: tuple[Configure, ...] = ()
    verify: tuple[Verify, ...] = ()
    engine: Literal["activation", "external"] = "activation"
    external: External | None = None
    suspend: Literal["lock"] | None = None
    point_of_no_return: bool = False

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any]) -> Self:
        """Read a TMF634 ResourceSpecification."""
        ours = ("role", "uses", "assign", "configure", "verify", "engine", "external", "suspend")
        return cls(
            **_common(body),
            characteristics=_characteristics(
                body, "resourceSpecCharacteristic", "resourceSpecCharacteristicValue"
            ),
            **{name: body[name] for name in ours if name in body},
            point_of_no_return=body.get("pointOfNoReturn", False),
        )

    @model_validator(mode="after")
    def _engine_fits(self) -> Self:
        if (self.engine == "external") != (self.external is not None):
            raise ValueError("engine: external goes with an `external` part, and only with it")
        return self

    @property
    def assigned_names(self) -> frozenset[str]:
        """Return the characteristics that the system sets."""
        return frozenset(rule.as_ for rule in self.assign)

    @property
    def input_characteristics(self) -> tuple[Characteristic, ...]:
        """Return the characteristics that an order sets."""
        return tuple(c for c in self.characteristics if c.name not in self.assigned_names)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Return the names of the characteristics that an order sets."""
        return tuple(c.name for c in self.input_characteristics)


class Price(Entity):
    """What an offering costs."""

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any]) -> Self:
        """Read a TMF620 ProductOfferingPrice."""
        return cls(**_common(body))

    @property
    def product_price(self) -> Json:
        """Return the price as a product (TMF637) carries it."""
        length = self.body.get("recurringChargePeriodLength", 1)
        period = self.body.get("recurringChargePeriodType")
        shown = {
            "name": self.name,
            "priceType": self.body.get("priceType", "recurring"),
            "recurringChargePeriod": period if length == 1 or not period else f"{length} {period}",
            "price": {"taxIncludedAmount": self.body["price"]} if "price" in self.body else {},
            "productOfferingPrice": {"id": self.id, "name": self.name},
        }
        return {name: value for name, value in shown.items() if value is not None}


class Offering(Entity):
    """A product at a price for a term, with some characteristics fixed or limited."""

    product_spec: str
    product_spec_version: str | None = None
    prices: tuple[str, ...] = ()
    price_body: tuple[Json, ...] = ()
    """The prices as a product (TMF637 productPrice) carries them; filled in by the catalog."""
    term_body: tuple[Json, ...] = ()
    """The terms as a product (TMF637 productTerm) carries them."""
    limits: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    fixed: Mapping[str, Any] = Field(default_factory=dict)
    """What the offering says the value is, unless an order says otherwise within the limits."""

    @classmethod
    def from_tmf(cls, body: Mapping[str, Any]) -> Self:
        """Read a TMF620 ProductOffering."""
        uses = {use["name"]: _values(use) for use in body.get("prodSpecCharValueUse", [])}
        specification = body.get("productSpecification", {})
        return cls(
            **_common(body),
            product_spec=specification.get("id", ""),
            product_spec_version=specification.get("version"),
            prices=tuple(price["id"] for price in body.get("productOfferingPrice", [])),
            term_body=tuple(dict(term) for term in body.get("productOfferingTerm", [])),
            limits={name: _enumerated(values) for name, values in uses.items()},
            fixed={
                n: v["value"] for n, values in uses.items() for v in values if v.get("isDefault")
            },
        )

    def allowed(self, name: str) -> tuple[Any, ...]:
        """Return the values a characteristic may have, the preferred first; empty when all are."""
        return self.limits.get(name, ())


AnyEntity = Offering | Price | ProductSpec | ServiceSpec | ResourceSpec


def _common(body: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "version", "name", "lifecycleStatus")
    return {**{name: body[name] for name in names if name in body}, "body": dict(body)}


def _characteristics(
    body: Mapping[str, Any], key: str, values_key: str
) -> tuple[Characteristic, ...]:
    found = tuple(Characteristic.from_tmf(entry, values_key) for entry in body.get(key, []))
    names = [c.name for c in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{key}: declared twice: {', '.join(twice)}")
    return found


def _enumerated(entries: Any) -> tuple[Any, ...]:
    return tuple(entry["value"] for entry in entries if "value" in entry)


def _values(use: Mapping[str, Any]) -> list[Json]:
    return list(use.get("productSpecCharacteristicValue", []))


def _of_type(related: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    return (link for link in related if link.get("relationshipType") == kind)
