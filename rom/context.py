"""The names that a resource specification's expressions may use: `self`, `ref.<role>` and `place`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catalog.model import ResourceSpec

Values = Mapping[str, Any]
Lookup = Callable[[str], Values | None]
"""Role → the characteristics of the resource that plays it on the line, or None."""


def context(spec: ResourceSpec, own: Values, place: str | None, lookup: Lookup) -> dict[str, Any]:
    """Return the evaluation context; every declared name is bound, because CEL refuses missing keys."""
    return {
        "self": bound(spec, own),
        "ref": {role: lookup(role) for role in spec.uses},
        "place": place,
    }


def bound(spec: ResourceSpec, values: Values) -> dict[str, Any]:
    """Return the values with null for every declared characteristic that has none."""
    return dict.fromkeys(spec.declared_names) | dict(values)
