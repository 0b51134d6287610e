"""Prefixes and ranges of a source become pools; what is used inside them there, nobody gets here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from inventory.sources.errors import SourceInvalid
from inventory.sources.holding import Use, hold
from inventory.sources.linking import Wanted, lifted, link, ready
from inventory.sources.marks import is_ours
from inventory.sources.objects import Tally
from inventory.sources.parts import Part, cut
from inventory.sources.port import Address, Collection, Prefix, Range, SourceOfTruth, Space
from inventory.sources.register import Source
from inventory.sources.rules import PoolRule, facts, filled, rule_for
from store import Database

_KINDS = {4: "ipv4", 6: "ipv6-prefix"}
_CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A record that a rule takes."""

    record: Prefix | Range
    rule: PoolRule
    facts: dict[str, Any]
    space: Space

    @property
    def where(self) -> str:
        return "prefix" if isinstance(self.record, Prefix) else "range"


class SpaceImport:
    """The stage of an import that is about addresses."""

    def __init__(
        self, database: Database, source: Source, port: SourceOfTruth, tally: Tally
    ) -> None:
        self._database, self._source, self._port, self._tally = database, source, port, tally

    def run(self) -> None:
        """Import page by page; a page that is in stays, whatever comes after."""
        for prefixes in self._port.prefixes():
            for prefix in prefixes:
                self._take(self._of_prefix(prefix))
        for ranges in self._port.ranges():
            for found in ranges:
                self._take(self._of_range(found))

    # -- which records ----------------------------------------------------------------------------------

    def _of_prefix(self, record: Prefix) -> _Candidate | None:
        known = facts(record, family=ip_network(record.prefix).version)
        rule = rule_for(self._source.rules.prefixes, known)
        if rule is None or is_ours(self._source, record.mark):
            return None
        if record.container and _CONTAINER not in rule.match.status:
            return None
        return _Candidate(
            record, rule, known, Space(record.prefix, record.domain, record.domain_id)
        )

    def _of_range(self, record: Range) -> _Candidate | None:
        known = facts(record, family=ip_address(record.first).version)
        rule = rule_for(self._source.rules.ranges, known)
        if rule is None:
            return None
        return _Candidate(
            record, rule, known, Space(_around(record), record.domain, record.domain_id)
        )

    # -- one pool -------------------------------------------------------------------------------------

    def _take(self, candidate: _Candidate | None) -> None:
        if candidate is None:
            return
        self._tally.count("records")
        scope = filled(candidate.rule.scope, candidate.facts)
        if scope is None:
            self._tally.find(
                SourceInvalid.code,
                f"{candidate.space.prefix} has nothing for the scope {candidate.rule.scope}; give it the field, "
                "or change the rule.",
                object=f"{candidate.where} {candidate.record.id}",
            )
            return
        self._fill(candidate, scope)

    def _fill(self, candidate: _Candidate, scope: str) -> None:
        """Make or find the pool and hold what is used in it, page by page; only then it gives values."""
        parts = list(self._parts(candidate))
        wanted = self._wanted(candidate, scope)
        with self._database.write() as tx:
            linked = link(tx, self._source, wanted, self._tally)
            if linked is None:
                return
            whole, used = _split(parts)
            cut(tx, self._source, linked.pool, whole, self._tally)
            with lifted(tx, linked.pool):
                hold(tx, self._source, linked.pool, used, self._tally)
        for page in self._uses(candidate):
            with self._database.write() as tx, lifted(tx, linked.pool):
                hold(tx, self._source, linked.pool, page, self._tally)
        if not linked.ready:
            with self._database.write() as tx:
                ready(tx, self._source, wanted, linked.pool)

    def _wanted(self, candidate: _Candidate, scope: str) -> Wanted:
        record, rule = candidate.record, candidate.rule
        kind = rule.kind or _KINDS[candidate.facts["family"]]
        content: dict[str, Any] = {
            "quarantine_seconds": rule.quarantine_seconds,
            "domain": filled(rule.domain, candidate.facts) if record.domain else None,
        }
        length = ip_network(candidate.space.prefix).prefixlen
        match record:
            case Prefix(prefix=prefix):
                shape = prefix
                content |= {"prefix": prefix, "prefix_length": rule.prefix_length}
            case Range(first=first, last=last):
                shape = f"{int(ip_address(first))}-{int(ip_address(last))}"
                content |= {"first": int(ip_address(first)), "last": int(ip_address(last))}
        details = {"domainId": record.domain_id, "length": length, "space": candidate.space.prefix}
        return Wanted(
            collection="prefix" if isinstance(record, Prefix) else "range",
            id=record.id,
            kind=kind,
            scope=scope,
            shape=shape,
            content=content,
            details=details,
        )

    def _parts(self, candidate: _Candidate) -> Iterator[Part]:
        """Yield other networks and ranges inside: they are used for something else."""
        unit = self._unit(candidate)
        for prefixes in self._port.prefixes(candidate.space):
            for one in prefixes:
                same = one.prefix == candidate.space.prefix
                if same or one.container or is_ours(self._source, one.mark):
                    continue
                yield _part("prefix", one.id, one.prefix, unit)
        if isinstance(candidate.record, Range):
            return
        for ranges in self._port.ranges(candidate.space):
            for found in ranges:
                if unit is None:
                    yield Part("range", found.id, f"{found.first}-{found.last}", whole=True)
                else:
                    yield _part("range", found.id, _around(found), unit)

    def _unit(self, candidate: _Candidate) -> int | None:
        """Return the length of the prefixes that the pool hands out; None: it hands out addresses."""
        kind = candidate.rule.kind or _KINDS[candidate.facts["family"]]
        if not kind.endswith("-prefix"):
            return None
        return candidate.rule.prefix_length or 56

    def _uses(self, candidate: _Candidate) -> Iterator[list[Use]]:
        for page in self._port.addresses(candidate.space):
            yield uses_of(self._source, page)


def _part(collection: Collection, id_: str, prefix: str, unit: int | None) -> Part:
    """Return a network that uses one value, or is cut out when it is wider than one."""
    fits = unit is not None and ip_network(prefix).prefixlen >= unit
    return Part(collection, id_, prefix, whole=not fits)


def uses_of(source: Source, page: Sequence[Address]) -> list[Use]:
    """Return addresses as uses of values."""
    return [
        Use("address", one.id, one.address, one.holder, is_ours(source, one.mark)) for one in page
    ]


def _split(parts: Sequence[Part]) -> tuple[list[Part], list[Use]]:
    """Return parts to cut out of the pool, and those that use one value of it."""
    used = [Use(part.collection, part.id, part.text) for part in parts if not part.whole]
    return [part for part in parts if part.whole], used


def _around(record: Range) -> str:
    """Return the smallest prefix around a range."""
    first, last = int(ip_address(record.first)), int(ip_address(record.last))
    bits = ip_address(record.first).max_prefixlen
    length = bits - (first ^ last).bit_length()
    return str(ip_network((first >> (bits - length) << (bits - length), length)))
