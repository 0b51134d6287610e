"""Pools and allocations as a document (JSON, or lines of a sheet): read entry by entry, every wrong one told. Pure.

    {"format": "turnup-pools", "version": 1,
     "kinds": [{"name": …, …}],                       declared kinds, in the words of kinds.yaml
     "pools": [{"kind", "scope", "domain"?, "parent"?, "quarantineSeconds"?, "reuse"?, "stripes"?, "draining"?,
                and either exactly    "params", "ranges": [[first, last], …], "bands": {name: [[first, last], …]},
                                      "occupies": [[first, last], …]
                or as `create_pool`   "first", "last", "prefix", "prefixLength", "technology", "values", "exclude",
                                      "bands": {name: range}}],
     "allocations": [{"kind", "scope", "value", "owner", "state"?, "subject"?, "ordinal"?, "expiresAt"?,
                      "restsUntil"?, "users"?, "order"?, "item"?, "layer"?, "reason"?}]}

Values are texts, as people write them. Cells of a sheet are texts too, so `"60"` is as good as `60`, and a list may be
the text of one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar, get_args

from inventory.cause import NO_CAUSE, Cause
from inventory.errors import ImportInvalid
from store import from_text

FORMAT = "turnup-pools"
VERSION = 1
State = Literal["active", "reserved", "quarantined"]
Line = int | str
Pair = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong where: line of a sheet (or place in a document), column, and what."""

    line: Line
    column: str | None
    problem: str

    def body(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"line": self.line, "column": self.column, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class Exact:
    """What a pool contains, as it is: parameters, ranges outside bands, bands, and what it occupies of its domain."""

    params: Mapping[str, Any]
    ranges: tuple[Pair, ...]
    bands: Mapping[str, tuple[Pair, ...]]
    occupies: tuple[Pair, ...] | None


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A pool that should be there; None is what the entry does not say."""

    line: Line
    kind: str
    scope: str
    domain: str | None
    parent: str | None
    quarantine_seconds: int | None
    reuse: str | None
    stripes: int | None
    draining: bool | None
    exact: Exact | None
    words: Mapping[str, Any]
    """As `layout.Content` has them, when it is not said exactly."""


@dataclass(frozen=True, slots=True)
class AllocationEntry:
    """A value that somebody should hold, or that should rest."""

    line: Line
    kind: str
    scope: str
    value: str
    owner: str
    state: State
    subject: str | None = None
    ordinal: int | None = None
    expires_at: datetime | None = None
    rests_until: datetime | None = None
    users: tuple[str, ...] = ()
    cause: Cause = NO_CAUSE
    reason: Mapping[str, Any] | None = None


E = TypeVar("E", PoolEntry, AllocationEntry)


@dataclass(frozen=True, slots=True)
class Entries:
    """A document that was read, and what is wrong with it."""

    kinds: tuple[tuple[Line, Mapping[str, Any]], ...]
    pools: tuple[PoolEntry, ...]
    allocations: tuple[AllocationEntry, ...]
    problems: list[Problem] = field(default_factory=list)


MOST_LISTED = 1000


def refusal(problems: Sequence[Problem]) -> ImportInvalid:
    """Return the error that lists all wrong lines."""
    first = problems[0]
    where = f"line {first.line}" if isinstance(first.line, int) else first.line
    column = f", column {first.column}" if first.column else ""
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return ImportInvalid(
        f"Nothing was imported: {where}{column}: {first.problem}{more}; correct what the details list, then "
        "import again.",
        details={
            "count": len(problems),
            "problems": [one.body() for one in problems[:MOST_LISTED]],
        },
    )


def read(document: Any) -> Entries:
    """Return the entries of a document; entries that are wrong are left out and told in `problems`.

    Raises:
        ImportInvalid: IMPORT_INVALID, it is no such document at all.

    """
    if not isinstance(document, Mapping):
        raise refusal([Problem("document", None, "write an object with pools and allocations")])
    problems = [
        Problem("document", str(name), f"is no part of it; write {', '.join(_PARTS)}")
        for name in document
        if name not in (*_PARTS, _FOUND)
    ]
    problems += [Problem(**one) for one in document.get(_FOUND, ())]
    if document.get("format", FORMAT) != FORMAT or document.get("version", VERSION) != VERSION:
        problems.append(Problem("document", "format", f"write {FORMAT}, version {VERSION}"))
    kinds = tuple(_each(document, "kinds", _kind, problems))
    pools = _once(_each(document, "pools", _pool, problems), "scope", _pool_key, problems)
    held = _each(document, "allocations", _allocation, problems)
    allocations = _once(held, "value", _value_key, problems)
    return Entries(kinds, tuple(pools), tuple(allocations), problems)


_PARTS = ("format", "version", "kinds", "pools", "allocations")
_FOUND = "problems"
"""What was wrong already where the document comes from (lines of a sheet)."""


def _each(
    document: Mapping[str, Any],
    part: str,
    reader: Callable[[_Cells], T | None],
    problems: list[Problem],
) -> Iterator[T]:
    entries = document.get(part, [])
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        problems.append(Problem("document", part, "write a list"))
        return
    for index, entry in enumerate(entries):
        line = entry.get("line") if isinstance(entry, Mapping) else None
        cells = _Cells(line if isinstance(line, int) else f"{part}[{index}]", entry)
        found = reader(cells) if cells.whole else None
        problems += cells.problems
        if found is not None and not cells.problems:
            yield found


def _once(
    entries: Iterable[E],
    column: str,
    key: Callable[[E], tuple[str, ...]],
    problems: list[Problem],
) -> Iterator[E]:
    """Yield entries; tell those whose key an earlier one had."""
    seen: dict[tuple[str, ...], Line] = {}
    for one in entries:
        mine = key(one)
        if mine in seen:
            text = f"{mine[-1]} is there twice: {_named(seen[mine])} has it, too"
            problems.append(Problem(one.line, column, text))
            continue
        seen[mine] = one.line
        yield one


def _pool_key(one: PoolEntry) -> tuple[str, ...]:
    return one.kind, one.scope


def _value_key(one: AllocationEntry) -> tuple[str, ...]:
    return one.kind, one.scope, one.value


def _named(line: Line) -> str:
    return f"line {line}" if isinstance(line, int) else line


# -- cells ------------------------------------------------------------------------------------------


class _Cells:
    """One entry being read: each look at a cell converts it, or tells what is wrong with it."""

    def __init__(self, line: Line, entry: Any) -> None:
        self.line = line
        self.problems: list[Problem] = []
        self.whole = isinstance(entry, Mapping)
        self._cells: dict[str, Any] = {}
        if self.whole:
            self._cells = {
                str(name): cell for name, cell in entry.items() if cell not in (None, "")
            }
            self._cells.pop("line", None)
        else:
            self.wrong(None, "write an object")

    def wrong(self, column: str | None, problem: str) -> None:
        self.problems.append(Problem(self.line, column, problem))

    def refuse_others(self, *known: str) -> None:
        for name in self._cells.keys() - set(known):
            self.wrong(name, f"is unknown here; write {', '.join(known)}")

    def has(self, name: str) -> bool:
        return name in self._cells

    def all(self) -> Mapping[str, Any]:
        return dict(self._cells)

    def text(self, name: str) -> str | None:
        cell = self._cells.get(name)
        if cell is None or (isinstance(cell, int | str) and not isinstance(cell, bool)):
            return None if cell is None else str(cell)
        self.wrong(name, "write text")
        return None

    def needed(self, name: str) -> str:
        found = self.text(name)
        if found is None or not found.strip():
            if name not in {one.column for one in self.problems}:
                self.wrong(name, "is missing")
            return ""
        return found

    def one_of(self, name: str, choices: Sequence[str]) -> str | None:
        found = self.text(name)
        if found is not None and found not in choices:
            self.wrong(name, f"{found!r} is none of {', '.join(choices)}")
            return None
        return found

    def number(self, name: str, least: int = 0) -> int | None:
        found = self.text(name)
        if found is None:
            return None
        if not (found.isascii() and found.isdecimal() and len(found) < 19 and int(found) >= least):  # noqa: PLR2004
            self.wrong(name, f"{found!r} is no whole number from {least}")
            return None
        return int(found)

    def flag(self, name: str) -> bool | None:
        cell = self._cells.get(name)
        if isinstance(cell, bool) or cell is None:
            return cell
        words = {"true": True, "false": False, "1": True, "0": False}
        found = words.get(str(cell).strip().lower())
        if found is None:
            self.wrong(name, f"{cell!r} is neither true nor false")
        return found

    def moment(self, name: str) -> datetime | None:
        found = self.text(name)
        if found is None:
            return None
        try:
            moment = from_text(found)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.wrong(name, f"{found!r} is no time such as 2026-01-31T12:00:00Z")
            return None
        return moment

    def json(self, name: str) -> Any:
        """Return what is no simple value: as it is, or read from its text."""
        cell = self._cells.get(name)
        if not isinstance(cell, str):
            return cell
        try:
            return json.loads(cell)
        except ValueError as error:
            self.wrong(name, f"is no JSON: {error}")
            return None

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        found = self.json(name)
        if found is None or isinstance(found, Mapping):
            return found
        self.wrong(name, "write an object")
        return None

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts; a person may write them into a cell one after the other."""
        cell = self._cells.get(name)
        if isinstance(cell, str):
            cell = self.json(name) if cell.startswith("[") else cell.split()
        if cell is None:
            return None
        if isinstance(cell, list) and all(isinstance(one, str) for one in cell):
            return tuple(cell)
        self.wrong(name, "write a list of texts")
        return None

    def pairs(self, name: str, found: Any) -> tuple[Pair, ...]:
        if isinstance(found, list) and all(_is_pair(one) for one in found):
            return tuple((str(first), str(last)) for first, last in found)
        self.wrong(name, "write a list of [first, last]")
        return ()


def _is_pair(found: Any) -> bool:
    two = isinstance(found, list) and len(found) == 2  # noqa: PLR2004
    return two and all(isinstance(one, int | str) and not isinstance(one, bool) for one in found)


# -- entries ----------------------------------------------------------------------------------------

_EXACT = ("params", "ranges", "bands", "occupies")
_WORDS = ("first", "last", "prefix", "prefixLength", "technology", "values", "exclude", "bands")
_POLICIES = ("quarantineSeconds", "reuse", "stripes", "draining")
_WHICH = ("id", "kind", "scope")


def _kind(cells: _Cells) -> tuple[Line, Mapping[str, Any]] | None:
    # a line of a sheet has the declaration in one cell
    found = cells.mapping("params") if cells.has("params") else cells.all()
    return None if found is None else (cells.line, found)


def _pool(cells: _Cells) -> PoolEntry:
    cells.refuse_others(*_WHICH, "domain", "parent", *_POLICIES, *_EXACT[:2], *_WORDS, _EXACT[3])
    kind, scope = _which(cells)
    exact = _exact(cells) if cells.has("ranges") else None
    return PoolEntry(
        line=cells.line,
        kind=kind,
        scope=scope,
        domain=cells.text("domain"),
        parent=cells.text("parent"),
        quarantine_seconds=cells.number("quarantineSeconds"),
        reuse=cells.one_of("reuse", ("lowest", "oldest")),
        stripes=cells.number("stripes", 1),
        draining=cells.flag("draining"),
        exact=exact,
        words={} if exact else _words(cells),
    )


def _which(cells: _Cells) -> tuple[str, str]:
    kind, scope = cells.needed("kind"), cells.needed("scope")
    if cells.text("id") not in (None, f"{kind}@{scope}"):
        cells.wrong("id", f"is not {kind}@{scope}; leave it out")
    return kind, scope


def _exact(cells: _Cells) -> Exact:
    for word in _WORDS:
        if word != "bands" and cells.has(word):
            cells.wrong(word, "says what ranges say already; leave it out")
    bands = cells.mapping("bands") or {}
    occupies = cells.json("occupies")
    return Exact(
        params=cells.mapping("params") or {},
        ranges=cells.pairs("ranges", cells.json("ranges")),
        bands={str(name): cells.pairs("bands", parts) for name, parts in bands.items()},
        occupies=None if occupies is None else cells.pairs("occupies", occupies),
    )


def _words(cells: _Cells) -> dict[str, Any]:
    bands = cells.mapping("bands") or {}
    if not all(isinstance(part, str) for part in bands.values()):
        cells.wrong("bands", "write {name: range}, or say all by ranges")
    for word in ("params", "occupies"):
        if cells.has(word):
            cells.wrong(word, "goes with ranges; leave it out")
    return {
        "first": cells.text("first"),
        "last": cells.text("last"),
        "prefix": cells.text("prefix"),
        "prefix_length": cells.number("prefixLength"),
        "technology": cells.text("technology"),
        "values": cells.texts("values"),
        "exclude": cells.texts("exclude") or (),
        "bands": dict(bands),
    }


_HELD = ("subject", "ordinal", "expiresAt", "restsUntil", "users", "order", "item", "layer")


def _allocation(cells: _Cells) -> AllocationEntry:
    cells.refuse_others(*_WHICH, "value", "owner", "state", *_HELD, "reason")
    kind, scope = _which(cells)
    state = cells.one_of("state", get_args(State)) or "active"
    expires, rests = cells.moment("expiresAt"), cells.moment("restsUntil")
    if rests is not None and state != "quarantined":
        cells.wrong("restsUntil", "goes with state quarantined")
    if rests is None and state == "quarantined":
        cells.wrong("restsUntil", "is missing")
    if expires is not None and state != "reserved":
        cells.wrong("expiresAt", "goes with state reserved")
    return AllocationEntry(
        line=cells.line,
        kind=kind,
        scope=scope,
        value=cells.needed("value").strip(),
        owner=cells.needed("owner"),
        state=state,  # type: ignore[arg-type]
        subject=cells.text("subject"),
        ordinal=cells.number("ordinal"),
        expires_at=expires,
        rests_until=rests,
        users=cells.texts("users") or (),
        cause=Cause(cells.text("order"), cells.text("item"), cells.text("layer")),
        reason=cells.mapping("reason"),
    )


def by_pool(entries: Iterable[AllocationEntry]) -> dict[tuple[str, str], list[AllocationEntry]]:
    """Return allocations by (kind, scope), in their order."""
    found: dict[tuple[str, str], list[AllocationEntry]] = {}
    for one in entries:
        found.setdefault((one.kind, one.scope), []).append(one)
    return found
