"""Walks over instances, relations, footprints and lines, at any time: one statement per step, however many ids.

Only the columns that an answer shows are read: with their JSON, a port's thousand instances cost ten times as much.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inventory.lineage.lifecycle import GONE
from inventory.raw import Raw, Row
from store import Rx, to_text

_OVER = frozenset({*GONE, "terminated", "cancelled"})
_COLUMNS = "id, kind, category, spec, name, state, place, line"


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as a walk sees it."""

    id: str
    kind: str
    category: str | None
    spec: str
    name: str
    state: str
    place: str | None
    line: str | None


Found = Mapping[str, Seen]
Step = Callable[[Collection[str]], set[str]]


class Walk:
    """Looks at the inventory as it is now (`at` None) or was; what has ended is not seen."""

    def __init__(self, rx: Rx, at: datetime | None = None) -> None:
        self._raw = Raw(rx)
        self._sqlite = rx.dialect == "sqlite"
        self._at = None if at is None else to_text(at)

    def instances(self, ids: Collection[str]) -> dict[str, Seen]:
        """Return those of these instances that are there."""
        return self._seen("id", ids)

    def of_lines(self, lines: Collection[str]) -> dict[str, Seen]:
        """Return all instances of these lines, and the products that the lines are."""
        return self._of("line", lines)

    def at_places(self, places: Collection[str]) -> dict[str, Seen]:
        """Return the instances at these places."""
        return self._of("place", places)

    def above(self, ids: Collection[str]) -> set[str]:
        """Return what relies on these instances, one step up."""
        return {row[0] for row in self._rows("source", "relation", "target", ids)}

    def below(self, ids: Collection[str]) -> set[str]:
        """Return what these instances rely on, one step down."""
        return {row[0] for row in self._rows("target", "relation", "source", ids)}

    def standing_on(self, nodes: Collection[str]) -> set[str]:
        """Return the resources that stand on these nodes."""
        return {row[0] for row in self._rows("instance", "footprint", "node", nodes)}

    def nodes_of(self, ids: Collection[str]) -> set[str]:
        """Return the nodes that these resources stand on."""
        return {row[0] for row in self._rows("node", "footprint", "instance", ids)}

    def steps(self, ids: Collection[str]) -> Sequence[Row]:
        """Return (instance, node) of what these instances stand on."""
        return list(self._rows("instance, node", "footprint", "instance", ids))

    def stakes(self, ids: Collection[str]) -> Iterator[Row]:
        """Return (party, role, name) of what these instances name."""
        return self._rows("party, role, name", "stake", "instance", ids)

    def count_on(self, nodes: Collection[str], most: int) -> int:
        """Return how many resources stand on these nodes; counting stops at `most`."""
        counted = 0
        for valid, times in self._halves():
            clause, value = self._among(nodes)
            sql = (
                "SELECT count(*) FROM (SELECT 1 FROM footprint "
                f"WHERE {valid} AND node {clause} LIMIT {most}) AS found"
            )
            counted += self._raw.all(sql, *times, value)[0][0]
        return min(counted, most)

    def lines_on(self, nodes: Collection[str]) -> int:
        """Return how many lines have a resource on these nodes."""
        parts, params = self._lines(nodes)
        return int(self._raw.all(f"SELECT count(*) FROM ({parts}) AS lines", *params)[0][0])

    def page_of_lines(self, nodes: Collection[str], offset: int, limit: int) -> list[str]:
        """Return some of those lines, by id."""
        parts, params = self._lines(nodes)
        sql = f"SELECT line FROM ({parts}) AS lines ORDER BY line LIMIT ? OFFSET ?"
        return [row[0] for row in self._raw.all(sql, *params, limit, offset)]

    def up(self, seeds: Collection[str]) -> dict[str, Seen]:
        """Return these instances, all that relies on them, and the products of their lines."""
        found = self._follow(seeds, self.above)
        lines = {one.line for one in found.values() if one.line is not None}
        return found | self.instances(lines - found.keys())

    def down(self, seeds: Collection[str]) -> dict[str, Seen]:
        """Return these instances and all that they rely on."""
        return self._follow(seeds, self.below)

    # -- statements ---------------------------------------------------------------------------------

    def _follow(self, seeds: Collection[str], step: Step) -> dict[str, Seen]:
        found = self.instances(seeds)
        frontier: Collection[str] = found
        while frontier:
            fresh = self.instances(step(frontier) - found.keys())
            found |= fresh
            frontier = fresh
        return found

    def _of(self, column: str, values: Collection[str]) -> dict[str, Seen]:
        """Return the instances with these values; an instance that has ended keeps them, so the present rows know."""
        if self._at is None:
            return self._seen(column, values)
        clause, value = self._among(values)
        sql = f"SELECT id FROM instance WHERE valid_to IS NULL AND {column} {clause}"
        return self.instances({row[0] for row in self._raw.all(sql, value)} if values else ())

    def _seen(self, column: str, values: Collection[str]) -> dict[str, Seen]:
        rows = self._rows(_COLUMNS, "instance", column, values)
        seen = (Seen(*row) for row in rows)
        return {one.id: one for one in seen if one.state not in _OVER}

    def _rows(
        self, columns: str, table: str, column: str, values: Collection[str]
    ) -> Iterator[Row]:
        if not values:
            return
        clause, value = self._among(values)
        for valid, times in self._halves(table):
            sql = f"SELECT {columns} FROM {table} WHERE {valid} AND {column} {clause}"
            yield from self._raw.all(sql, *times, value)

    def _halves(self, table: str = "") -> list[tuple[str, tuple[str, ...]]]:
        """Return the conditions to ask one after the other: present and closed rows have an index each."""
        if self._at is None:
            return [("valid_to IS NULL", ())]
        if table == "instance":
            return [
                ("valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)", (self._at, self._at))
            ]
        return [
            ("valid_to IS NULL AND valid_from <= ?", (self._at,)),
            (
                "valid_to IS NOT NULL AND valid_to > ? AND valid_from <= ?",
                (self._at, self._at),
            ),
        ]

    def _among(self, values: Collection[str]) -> tuple[str, object]:
        """Return the condition that a column is one of these, as one parameter."""
        if self._sqlite:
            return "IN (SELECT value FROM json_each(?))", json.dumps(sorted(values))
        return "= ANY(?)", sorted(values)

    def _lines(self, nodes: Collection[str]) -> tuple[str, list[object]]:
        clause, value = self._among(nodes)
        parts: list[str] = []
        params: list[object] = []
        for valid, times in self._halves():
            parts.append(
                f"SELECT line FROM footprint WHERE {valid} AND node {clause} AND line IS NOT NULL"
            )
            params += [*times, value]
        both = " UNION ALL ".join(parts)
        return f"SELECT DISTINCT line FROM ({both}) AS found", params
