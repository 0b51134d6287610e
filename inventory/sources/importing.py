"""One import run: VLANs, addresses, devices, then what is gone there. Running it again changes nothing.

Resumed by running it again: what is in stays valid, a pool gives no value before all that is used in it is held, and
what is held already is only looked at. What is gone there is believed only when asked for by its id: a page may
have slipped while others wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import RowMapping

from inventory.sources import register
from inventory.sources.errors import SourceGone, SourceUnmatched
from inventory.sources.holding import Use, hold, release
from inventory.sources.objects import (
    Tally,
    forget,
    known_pools,
    pool_ref,
    unseen,
)
from inventory.sources.parts import give_back
from inventory.sources.plant import PlantImport
from inventory.sources.port import SourceOfTruth, Space
from inventory.sources.register import Source
from inventory.sources.space import SpaceImport, uses_of
from inventory.sources.vlans import VlanImport
from store import Database, Tx, to_text


@dataclass(frozen=True, slots=True)
class Report:
    """What an import found and did. `findings`: {code, message, object} for people; `more`: how many were left out."""

    source: str
    version: str
    run: int
    counts: Mapping[str, int]
    created: tuple[str, ...]
    findings: tuple[Mapping[str, Any], ...]
    more: int
    ended: str

    def body(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "source": self.source,
            "version": self.version,
            "run": self.run,
            "ended": self.ended,
            "counts": dict(self.counts),
            "created": list(self.created),
            "findings": [dict(one) for one in self.findings],
            "more": self.more,
        }


def run_import(database: Database, name: str, port: SourceOfTruth) -> Report:
    """Import all that the source's rules take.

    Raises:
        SourceNotFound: SOURCE_NOT_FOUND.
        SourceUnreachable, SourceDenied, SourceRefused, SourceAnswerInvalid: the import stopped; what is in is valid,
            and running it again completes it.

    """
    version = port.version()
    with database.write() as tx:
        run = register.begin(tx, name)
        source = replace(register.get(tx, name), run=run)
    tally = Tally()
    for stage in (VlanImport, SpaceImport, PlantImport):
        stage(database, source, port, tally).run()
    _Gone(database, source, port, tally).run()
    report = Report(
        source=name,
        version=version,
        run=run,
        counts=tally.counts,
        created=tuple(tally.created),
        findings=tuple(tally.findings),
        more=tally.left_out,
        ended=to_text(database.clock.now()),
    )
    with database.write() as tx:
        register.keep_report(tx, name, report.body())
    return report


class _Gone:
    """What this run did not see any more."""

    def __init__(
        self, database: Database, source: Source, port: SourceOfTruth, tally: Tally
    ) -> None:
        self._database, self._source, self._port, self._tally = database, source, port, tally

    def run(self) -> None:
        with self._database.read() as rx:
            owners = [*unseen(rx, self._source, "pool"), *unseen(rx, self._source, "device")]
            pools = {row["pool"]: row for row in known_pools(rx, self._source)}
            parts = [*unseen(rx, self._source, "held"), *unseen(rx, self._source, "excluded")]
        for row in owners:
            self._reported(row)
        for row in parts:
            # nobody looked into a pool whose record was not seen; pools of C-VLANs have no record
            pool = pools.get(row["pool"])
            if pool is None or pool["seen"] == self._source.run:
                self._given_back(row, pool)

    def _reported(self, row: RowMapping) -> None:
        """A pool or device stays: others may use it. Somebody has to decide."""
        there = self._listed(row, None)
        with self._database.read() as rx:
            what = (
                f"pool {pool_ref(rx, row['pool']).id}"
                if row["role"] == "pool"
                else str(row["details"]["name"])
            )
        words = "is taken by no rule any more" if there else f"is gone in {self._source.name}"
        self._tally.find(
            (SourceUnmatched if there else SourceGone).code,
            f"What became {what} {words}; it stays here until you remove it.",
            object=f"{row['collection']} {row['id']}",
        )

    def _given_back(self, row: RowMapping, pool: RowMapping | None) -> None:
        if self._listed(row, pool):
            return
        uses = [] if row["role"] == "held" or pool is None else list(self._uses(pool))
        with self._database.write() as tx:
            forget(tx, self._source.name, row["collection"], row["id"])
            if row["role"] == "excluded":
                self._grown(tx, row, uses)
            elif release(tx, self._source, row):
                self._tally.count("released")

    def _grown(self, tx: Tx, row: RowMapping, uses: Sequence[Use]) -> None:
        """Give a part back; what is used in it all the same is held before anybody can take it."""
        pool = pool_ref(tx, row["pool"])
        if not pool.removed:
            give_back(tx, self._source, pool, row)
            hold(tx, self._source, pool, uses, self._tally)
            self._tally.count("givenBack")

    def _uses(self, pool: RowMapping) -> Iterator[Use]:
        """Yield all that is used in the pool's prefix: a part that comes back may hold some of it."""
        space = _space(pool)
        pages = self._port.addresses(space) if space else iter(())
        for page in pages:
            yield from uses_of(self._source, page)

    def _listed(self, row: RowMapping, pool: RowMapping | None) -> bool:
        """Ask for the object by its id where it should be."""
        return any(any(page) for page in self._pages(row, pool))

    def _pages(self, row: RowMapping, pool: RowMapping | None) -> Iterator[Sequence[object]]:
        id_ = row["id"]
        space = None if pool is None else _space(pool)
        anywhere: Mapping[str, Callable[[], Iterator[Sequence[object]]]] = {
            "prefix": lambda: self._port.prefixes(space, id_),
            "range": lambda: self._port.ranges(space, id_),
            "vlanGroup": lambda: self._port.groups(id_),
            "device": lambda: self._port.devices(id_),
            "address": lambda: self._port.addresses(space or Space("::/0"), id_),
            "vlan": lambda: self._vlans(pool, id_),
        }
        return anywhere[row["collection"]]()

    def _vlans(self, pool: RowMapping | None, id_: str) -> Iterator[Sequence[object]]:
        group = None if pool is None else pool["details"].get("groupId")
        return self._port.vlans(group, id_) if group else self._port.customer_vlans(id_)


def _space(pool: RowMapping) -> Space | None:
    details = pool["details"]
    return Space(details["space"], None, details["domainId"]) if "space" in details else None
