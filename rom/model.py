"""What ROM works with: the items of one resource order, and the groups in which they are executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from activation.model import ContributionChange
from catalog.model import ResourceSpec

Json = dict[str, Any]


class Action(StrEnum):
    """What an item asks for (TMF652; `no_change` is accepted and read as `noChange`)."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    NO_CHANGE = "noChange"


@dataclass(frozen=True, slots=True)
class ResourceItem:
    """One item: a resource of a specification on a line, and what it should become."""

    id: str
    action: Action
    resource: str
    spec: ResourceSpec
    line: str
    place: str | None
    inputs: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    """All characteristics as they stand (None for an add)."""
    after: Mapping[str, Any] | None = None
    """All characteristics as they shall be, assigned values included (None for a delete)."""
    body: Mapping[str, Any] | None = None

    def with_after(self, after: Mapping[str, Any] | None) -> ResourceItem:
        """Return a copy that ends with these characteristics."""
        return replace(self, after=after)

    @property
    def role(self) -> str:
        """Return the name under which other resources and templates know it."""
        return self.spec.role


@dataclass(frozen=True, slots=True)
class Group:
    """Items that are executed as one: a device change, an external party's task, or a record only."""

    key: str
    kind: str
    items: tuple[str, ...]
    needs: tuple[str, ...]
    contributions: tuple[ContributionChange, ...] = ()
    undo: tuple[ContributionChange, ...] = ()
