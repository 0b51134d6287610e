"""Whom does it hurt: from a node, a resource or a pool up to services, products and parties; and what a customer stands on.

Up: what stands on the hurt nodes (footprints), then what relies on that (relations), then the product of the
line and its parties. Down: the line of a product, what its instances rely on, and the nodes they stand on.
Lists are pages; `total` counts. Where thousands of lines are behind a node only lines are counted, and a page is
made of lines: a whole city's instances would take seconds to collect and nobody reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from inventory import instances
from inventory.allocation.holders import Holders
from inventory.errors import InstanceNotFound, PartyNotFound
from inventory.lineage import stakes
from inventory.lineage.hurt import Hurt, access_ports, hurt_with
from inventory.lineage.walk import Found, Seen, Walk
from store import Rx
from store.errors import InvalidInput

Json = dict[str, Any]
LIMIT = 1000
MOST = 10_000
EXACT = 6_000
"""Up to so many resources on the hurt nodes everything above them is collected and counted."""
_KINDS = {"resources": "resource", "services": "service", "products": "product"}


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of each list is wanted."""

    offset: int = 0
    limit: int = LIMIT

    def of(self, items: Sequence[Any]) -> list[Any]:
        """Return that part."""
        return list(items[self.offset : self.offset + self.limit])


def impact(
    rx: Rx,
    node: str | None = None,
    resource: str | None = None,
    pool: str | None = None,
    party: str | None = None,
    *,
    at: datetime | None = None,
    page: Page = Page(),
) -> Json:
    """Return who is hurt when a node, a resource (or service) or a pool fails, and what a customer stands on.

    Args:
        rx: the transaction.
        node: device, port (`device/port`), splitter or place, by id or name.
        resource: id of an instance of any kind; or of a party.
        pool: id of a pool: everyone who holds or uses a value of it.
        party: id of a customer (or other party) that products name.
        at: as it was then.
        page: which part of each list.

    Returns:
        {nodes, resources, services, products, parties}, lists of what is in use, each with its id; `total` of each
        (None where it was not counted), `offset`, `limit`; of a resource or party also `standsOn`
        {nodes, ports, resources, services}.

    Raises:
        NodeNotFound, InstanceNotFound, PoolNotFound, PartyNotFound.
        InvalidInput: not exactly one of the four was given.

    """
    question = _Question(rx, Walk(rx, at), at, page)
    match (node, resource, pool, party):
        case (str() as name, None, None, None):
            return question.of_node(hurt_with(rx, name, at))
        case (None, str() as id_, None, None):
            return question.of_instance(id_)
        case (None, None, str() as id_, None):
            return question.of_pool(id_)
        case (None, None, None, str() as id_):
            return question.of_party(id_)
        case _:
            raise InvalidInput("Give exactly one of node, resource, pool and party.")


def foundation(rx: Rx, id: str, at: datetime | None = None) -> Json:  # noqa: A002
    """Return what an instance stands on: {nodes, ports, resources, services}. Raises InstanceNotFound."""
    walk = Walk(rx, at)
    root = instances.get(rx, id, at).id
    return _Question(rx, walk, at, Page()).stands_on(walk.instances({root}).values())


@dataclass(frozen=True, slots=True)
class _Question:
    rx: Rx
    walk: Walk
    at: datetime | None
    page: Page

    def of_node(self, hurt: Hurt) -> Json:
        nodes = sorted(hurt.nodes)
        if hurt.places is None and self.walk.count_on(nodes, EXACT) == EXACT:
            return self._many(nodes)
        return self._answer(nodes, self.walk.up(hurt.seeds(self.walk)))

    def of_instance(self, id_: str) -> Json:
        root = self.walk.instances({id_})
        if not root:
            return self._ended_or_party(id_)
        below = self.stands_on(root.values())
        return self._answer([], self.walk.up(root)) | {"standsOn": below}

    def of_pool(self, id_: str) -> Json:
        holders = Holders(self.rx, id_, self.at)
        if holders.count(EXACT) < EXACT:
            return self._answer([], self.walk.up(holders.all()))
        some = self.walk.up(holders.some(self.page.offset, self.page.limit))
        uncounted = dict.fromkeys(("resources", "services", "products", "parties"))
        return self._answer([], some, whole=True) | {
            "total": {"nodes": 0, **uncounted, "allocations": holders.count()}
        }

    def of_party(self, id_: str) -> Json:
        named = self.walk.instances(stakes.of_party(self.rx, id_, self.at))
        if not named:
            raise PartyNotFound(
                f"No product or service in use names party {id_!r}; relatedParty of a product has the ids.",
                details={"party": id_},
            )
        below = self.stands_on(self.page.of(sorted(named.values(), key=lambda one: one.id)))
        return self._answer([], self.walk.up(named)) | {"standsOn": below}

    def stands_on(self, roots: Iterable[Seen]) -> Json:
        seeds = {one.id for one in roots if one.kind != "product"}
        lines = {one.line or one.id for one in roots if one.kind == "product"}
        found = self.walk.down(seeds | self.walk.of_lines(lines).keys())
        resources = {one.id for one in found.values() if one.kind == "resource"}
        nodes = self.walk.nodes_of(resources)
        shown = {plural: _entries(found, plural) for plural in ("resources", "services")}
        return {"nodes": sorted(nodes), "ports": access_ports(self.rx, nodes, self.at), **shown}

    def _many(self, nodes: list[str]) -> Json:
        """Return a page that is made of lines; what is above them is collected only for those."""
        lines = self.walk.page_of_lines(nodes, self.page.offset, self.page.limit)
        hurt = set(nodes)
        standing = self.walk.steps(self.walk.of_lines(lines).keys())
        found = self.walk.up({instance for instance, node in standing if node in hurt})
        total = {"nodes": len(nodes), "products": self.walk.lines_on(nodes)}
        uncounted = dict.fromkeys(("resources", "services", "parties"))
        return self._answer(nodes, found, whole=True) | {"total": {**uncounted, **total}}

    def _ended_or_party(self, id_: str) -> Json:
        try:
            instances.get(self.rx, id_, self.at)
        except InstanceNotFound:
            if not stakes.of_party(self.rx, id_, self.at):
                raise
            return self.of_party(id_)
        return self._answer([], {}) | {"standsOn": self.stands_on(())}

    def _answer(self, nodes: list[str], found: Found, *, whole: bool = False) -> Json:
        """Return the answer; `whole`: what was found is the page already."""
        lists: dict[str, list[Any]] = {plural: _of_kind(found, plural) for plural in _KINDS}
        named = [one.id for one in found.values() if one.kind != "resource"]
        parties = stakes.parties(self.rx, named, self.at)
        cut = list if whole else self.page.of
        total = {name: len(some) for name, some in (("nodes", nodes), *lists.items())}
        return {
            "nodes": self.page.of(nodes) if not whole else nodes[: self.page.limit],
            **{plural: [_entry(one) for one in cut(some)] for plural, some in lists.items()},
            "parties": cut(parties),
            "total": total | {"parties": len(parties)},
            "offset": self.page.offset,
            "limit": self.page.limit,
        }


def _of_kind(found: Found, plural: str) -> list[Seen]:
    return sorted(
        (one for one in found.values() if one.kind == _KINDS[plural]), key=lambda one: one.id
    )


def _entries(found: Found, plural: str) -> list[Json]:
    return [_entry(one) for one in _of_kind(found, plural)]


def _entry(one: Seen) -> Json:
    entry = {
        "id": one.id,
        "name": one.name,
        "category": one.category,
        "specification": one.spec,
        "state": one.state,
        "place": one.place,
        "line": one.line,
    }
    return {name: value for name, value in entry.items() if value not in (None, "")}
