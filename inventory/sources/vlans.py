"""VLAN groups of a source become pools; the VLANs in them, C-VLANs too, nobody gets here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.pools import ensure_pool
from inventory.sources.errors import SourceInvalid
from inventory.sources.holding import Use, hold
from inventory.sources.linking import Wanted, lifted, link, ready
from inventory.sources.marks import is_ours
from inventory.sources.objects import Tally, pool_by_id
from inventory.sources.port import SourceOfTruth, Vlan, VlanGroup
from inventory.sources.register import Source
from inventory.sources.rules import VlanRule, facts, filled, rule_for
from store import Database

_S_VLAN, _C_VLAN = "s-vlan", "c-vlan"


class VlanImport:
    """The stage of an import that is about VLANs."""

    def __init__(
        self, database: Database, source: Source, port: SourceOfTruth, tally: Tally
    ) -> None:
        self._database, self._source, self._port, self._tally = database, source, port, tally
        self._scopes: dict[str, str] = {}

    def run(self) -> None:
        """Import group by group, and in each page by page."""
        for groups in self._port.groups():
            for group in groups:
                self._group(group)
        for page in self._port.customer_vlans():
            self._customers(page)

    def _group(self, group: VlanGroup) -> None:
        known = facts(group)
        rule = rule_for(self._source.rules.vlan_groups, known)
        if rule is None or not group.ranges:
            return
        self._tally.count("records")
        scope = filled(rule.scope, known)
        if scope is None:
            self._tally.find(
                SourceInvalid.code,
                f"VLAN group {group.name} has nothing for the scope {rule.scope}; give it the field, "
                "or change the rule.",
                object=f"vlanGroup {group.id}",
            )
            return
        self._fill(group, rule, scope)

    def _fill(self, group: VlanGroup, rule: VlanRule, scope: str) -> None:
        wanted = _wanted(group, rule, scope)
        with self._database.write() as tx:
            linked = link(tx, self._source, wanted, self._tally)
        if linked is None:
            return
        for page in self._port.vlans(group.id):
            if rule.kind == _S_VLAN:
                self._scopes |= {vlan.id: scope for vlan in page}
            with self._database.write() as tx, lifted(tx, linked.pool):
                hold(tx, self._source, linked.pool, self._uses(page), self._tally)
        if not linked.ready:
            with self._database.write() as tx:
                ready(tx, self._source, wanted, linked.pool)

    def _customers(self, page: Sequence[Vlan]) -> None:
        """Hold C-VLANs in the pool of their S-VLAN, if its group was taken."""
        by_scope: dict[str, list[Vlan]] = {}
        for vlan in page:
            if vlan.svlan_id in self._scopes:
                by_scope.setdefault(f"{self._scopes[vlan.svlan_id]}/{vlan.svlan}", []).append(vlan)
        for scope, vlans in by_scope.items():
            with self._database.write() as tx:
                pool = pool_by_id(tx, ensure_pool(tx, _C_VLAN, scope).id)
                assert pool is not None
                hold(tx, self._source, pool, self._uses(vlans), self._tally)

    def _uses(self, page: Sequence[Vlan]) -> list[Use]:
        return [
            Use("vlan", one.id, str(one.vid), one.name, is_ours(self._source, one.mark))
            for one in page
        ]


def _wanted(group: VlanGroup, rule: VlanRule, scope: str) -> Wanted:
    first, last = group.ranges[0][0], max(end for _, end in group.ranges)
    content: dict[str, Any] = {
        "first": first,
        "last": last,
        "quarantine_seconds": rule.quarantine_seconds,
    }
    if gaps := _gaps(group.ranges):
        content["exclude"] = gaps
    shape = ",".join(f"{low}-{high}" for low, high in group.ranges)
    return Wanted(
        collection="vlanGroup",
        id=group.id,
        kind=rule.kind,
        scope=scope,
        shape=shape,
        content=content,
        details={"groupId": group.id},
    )


def _gaps(ranges: Sequence[tuple[int, int]]) -> list[str]:
    """Return what lies between ranges that are in order."""
    gaps, end = [], ranges[0][1]
    for low, high in ranges[1:]:
        if low > end + 1:
            gaps.append(f"{end + 1}-{low - 1}")
        end = max(end, high)
    return gaps
