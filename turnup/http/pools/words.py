"""The bodies that the calls on pools take: strict, bounded, in camelCase."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from store.errors import InvalidInput
from turnup.http.strict import Name

INT64_MAX = (1 << 63) - 1
LONGEST = 512
"""Characters of an owner, a subject or a scope: PostgreSQL's indices take 2,704 bytes."""
MOST_VALUES = 65_536
"""Values of one allocation, and of one import of stock."""
MOST_SETS = 10_000
MOST_ITEMS = 64
MOST_OF_ALL = 100_000
"""Values of all items of one call."""
MOST_SECONDS = 10 * 366 * 86_400

OURS = ("pool:", "shared:")
"""How owners begin that are Turnup's own: carved pools, and values that several resources share."""


def operators(owner: str) -> str:
    """Return an owner key that an operator may use. Raises InvalidInput (INVALID_INPUT) for Turnup's own.

    Giving back what a carved pool holds of its parent would let the same values out twice.
    """
    if owner.startswith(OURS):
        raise InvalidInput(
            f"{owner[:80]!r}: owners that begin with {' or '.join(OURS)} are Turnup's own; name another one."
        )
    return owner


Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST)]
PoolId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2 * LONGEST)]
OwnerName = Annotated[Name, AfterValidator(operators)]
Owner = Annotated[Text, AfterValidator(operators)]
Remark = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2_000)]
Number = Annotated[StrictInt, Field(ge=-INT64_MAX, le=INT64_MAX)]
Value = Number | Annotated[StrictStr, Field(min_length=1, max_length=LONGEST)]
Seconds = Annotated[StrictInt, Field(ge=0, le=MOST_SECONDS)]
Ttl = Annotated[StrictInt, Field(ge=1, le=MOST_SECONDS)]
Values = Annotated[list[Text], Field(min_length=1, max_length=MOST_VALUES)]
Count = Annotated[StrictInt, Field(ge=1, le=MOST_VALUES)]

Offset = Annotated[int, Query(ge=0, le=1 << 40)]
PoolLimit = Annotated[int, Query(ge=1, le=10_000)]
Limit = Annotated[int, Query(ge=1, le=1_000)]
At = Annotated[str | None, Query(description="A past time, with Z or an offset")]


class Body(BaseModel):
    """A body: nothing but what is declared."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, validate_by_name=False, validate_by_alias=True
    )


class NewPool(Body):
    """A pool: `first` and `last`, or `prefix`, or `values`; with `parent`, carved from that pool."""

    kind: Text
    scope: Text
    first: Value | None = None
    last: Value | None = None
    prefix: Text | None = None
    prefix_length: Annotated[StrictInt, Field(ge=0, le=128)] | None = None
    values: Values | None = None
    exclude: Annotated[list[Text], Field(max_length=10_000)] = []
    bands: Annotated[dict[Text, Text], Field(max_length=1_000)] = {}
    parent: PoolId | None = None
    quarantine_seconds: Seconds | None = None
    technology: Text | None = None
    domain: Text | None = None
    stripes: Annotated[StrictInt, Field(ge=1, le=256)] = 1
    reuse: Literal["lowest", "oldest"] | None = None


class ChangedPool(Body):
    """What of a pool can be set; what is left out stays."""

    quarantine_seconds: Seconds | None = None
    reuse: Literal["lowest", "oldest"] | None = None
    draining: StrictBool | None = None


class Grown(Body):
    """What a pool gains: `first` and `last`, or `prefix`, or single `values` of stock."""

    first: Value | None = None
    last: Value | None = None
    prefix: Text | None = None
    values: Values | None = None


class Shrunk(Body):
    """What a pool keeps: from `first` to `last` (what is left out stays); or single `values` that leave stock."""

    first: Value | None = None
    last: Value | None = None
    values: Values | None = None


class Split(Body):
    """Where a pool is cut: the values from `at` on go to a new pool of this scope."""

    at: Value
    scope: Text


class Moved(Body):
    """Which values go to another pool of the same kind, with their holders."""

    to: PoolId
    first: Value | None = None
    last: Value | None = None


class Pressed(Body):
    """For how long, and why, resting values are given out before their time."""

    seconds: Ttl
    reason: Remark


class NewAllocation(Body):
    """What to take from a pool; the same owner again gets the same values."""

    owner: Owner
    value: Value | None = None
    count: Count = 1
    ttl_seconds: Ttl | None = None
    band: Text | None = None
    subject: Text | None = None


class Reassigned(Body):
    """Who holds the values from now on."""

    to: Owner


class Item(Body):
    """One pool of a set: by `pool` (its id), or by `kind` and `scope`."""

    kind: Text | None = None
    scope: Text | None = None
    pool: PoolId | None = None
    value: Value | None = None
    count: Count = 1
    band: Text | None = None
    subject: Text | None = None
    owner: Owner | None = None


class NewSet(Body):
    """What one owner needs, of several pools; an item may name another owner key."""

    owner: Owner
    ttl_seconds: Ttl | None = None
    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)]


class NewSets(Body):
    """Sets that are taken together: all of them, or nothing."""

    sets: Annotated[list[NewSet], Field(min_length=1, max_length=MOST_SETS)]


def given(body: BaseModel) -> dict[str, Any]:
    """Return what a body says, by the words of the functions behind the calls."""
    return body.model_dump(exclude_none=True, exclude_unset=True)
