"""Pools and allocations to and from a document (JSON) or a sheet (CSV): a copy, a backup, a list from elsewhere.

An export has what is now: shapes and policies of pools, who holds what, what rests. It has no history and no journal.
Importing it into an empty database and exporting again gives the same. What a document may say stands in `entries`, how
a sheet writes it in `sheets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inventory.documents import loading
from inventory.documents.definitions import Definition, stored
from inventory.documents.entries import FORMAT, VERSION, Entries, Problem, read, refusal
from inventory.documents.sheets import from_csv, lines, to_csv
from inventory.errors import PoolNotFound
from inventory.raw import Raw, Row, loads
from inventory.types import from_micros, to_micros
from inventory.values.kind import Kind
from inventory.values.kinds import kinds as known_kinds
from inventory.values.kinds import load, own_kinds
from inventory.values.renderings import Span
from store import Rx, Tx, to_text
from store.errors import TurnupError

__all__ = ["ImportReport", "export_pools", "from_csv", "import_pools", "lines", "to_csv"]

Json = dict[str, Any]
_SHARED = "shared:"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: made, found as it should be, and left out for what the database says otherwise."""

    pools_created: int
    pools_unchanged: int
    allocations_created: int
    allocations_unchanged: int
    conflicts: tuple[Problem, ...] = ()

    def body(self) -> Json:
        """Return it as JSON."""
        return {
            "pools": {"created": self.pools_created, "unchanged": self.pools_unchanged},
            "allocations": {
                "created": self.allocations_created,
                "unchanged": self.allocations_unchanged,
            },
            "conflicts": [one.body() for one in self.conflicts],
        }


# -- import -----------------------------------------------------------------------------------------


def import_pools(
    tx: Tx, document: Any, *, conflicts: Literal["refuse", "skip"] = "refuse"
) -> ImportReport:
    """Make what a document tells and the database has not; the same again changes nothing.

    What is over when it is read, an expired reservation, an ended rest, counts as unchanged.

    Args:
        tx: the transaction.
        document: as `export_pools` and `from_csv` return it, or written by hand, see `entries`.
        conflicts: what to do with entries that contradict what is there (a value that another owner holds, a pool of
            other shape): refuse all, or skip them and tell them in the report.

    Raises:
        ImportInvalid: IMPORT_INVALID; its details list all that is wrong, and nothing was imported.
        Contention: CONTENTION, others are at work on the same values; repeat it.

    """
    try:
        with tx.savepoint():
            return _imported(tx, read(document), refuse=conflicts == "refuse")
    except TurnupError:
        # kinds that were declared on the way are not
        load(tx)
        raise


def _imported(tx: Tx, entries: Entries, *, refuse: bool) -> ImportReport:
    done = loading.run(tx, entries)
    wrong = done.problems + (done.conflicts if refuse else [])
    if wrong:
        raise refusal(sorted(wrong, key=_place))
    return ImportReport(
        done.pools_created,
        done.pools_unchanged,
        done.allocations_created,
        done.allocations_unchanged,
        tuple(done.conflicts),
    )


def _place(problem: Problem) -> tuple[int, str]:
    return (problem.line, "") if isinstance(problem.line, int) else (0, problem.line)


# -- export -----------------------------------------------------------------------------------------


def export_pools(
    rx: Rx,
    *,
    kind: str | None = None,
    scope: str | None = None,
    domain: str | None = None,
    pool: str | None = None,
    allocations: bool = True,
) -> Json:
    """Return pools (of a kind, scope, domain; or one) with what is held and rests, as a JSON document.

    Args:
        rx: a reading transaction: one moment.
        kind: of this kind.
        scope: of this scope.
        domain: of this address domain.
        pool: the pool with this id.
        allocations: with their allocations.

    Raises:
        PoolNotFound: POOL_NOT_FOUND, there is no such `pool`.

    """
    kinds = _all_kinds(rx)
    given = {"kind": kind, "scope": scope, "id": pool}
    wanted = {name: value for name, value in given.items() if value is not None}
    where = " AND ".join(["1 = 1", *(f"p.{name} = ?" for name in wanted)])
    found = [
        one for one in stored(rx, kinds, where, *wanted.values()) if domain in (None, one.domain)
    ]
    if pool is not None and not found:
        raise PoolNotFound(
            f"There is no pool {pool!r}; list the pools for their ids.", details={"pool": pool}
        )
    raw, now = Raw(rx), to_micros(rx.now)
    held = [one for pool_ in found for one in _held(raw, kinds, pool_, now)] if allocations else []
    used = sorted({one.kind for one in found} - own_kinds().keys())
    declared = [{"name": name, **kinds[name].document} for name in used]
    return {
        "format": FORMAT,
        "version": VERSION,
        **({"kinds": declared} if declared else {}),
        "pools": [_pool(kinds[one.kind], one) for one in found],
        "allocations": held,
    }


def _all_kinds(rx: Rx) -> Mapping[str, Kind]:
    """Return all kinds; those that another process declared since are read when a pool has one."""
    known = known_kinds()
    names = {row[0] for row in Raw(rx).all("SELECT DISTINCT kind FROM pool WHERE removed IS NULL")}
    return known if names <= known.keys() else load(rx)


def _pool(kind: Kind, one: Definition) -> Json:
    found: Json = {
        "kind": one.kind,
        "scope": one.scope,
        "domain": one.domain,
        "parent": one.parent,
        "params": dict(one.params),
        "ranges": _pairs(kind, one, one.spans),
        "bands": {name: _pairs(kind, one, spans) for name, spans in sorted(one.bands.items())},
        "occupies": None if one.occupies == one.hull else _pairs(kind, one, one.occupies or ()),
        "quarantineSeconds": one.quarantine_seconds,
        "reuse": one.reuse,
        "stripes": one.stripes,
        "draining": one.draining,
    }
    return {
        name: value
        for name, value in found.items()
        if value is not None and (value != {} or name == "params")
    }


def _pairs(kind: Kind, one: Definition, spans: Iterable[Span]) -> list[list[str]]:
    return [[kind.form.render(one.params, end) for end in span] for span in spans]


_HELD = (
    "SELECT value, owner, ordinal, subject, confirmed_at, expires_at, reason, order_id, item_id, layer "
    "FROM allocation WHERE pool = ? AND valid_to IS NULL "
    "AND (confirmed_at IS NOT NULL OR expires_at IS NULL OR expires_at > ?) ORDER BY value"
)
_RESTING = (
    "SELECT value, owner, ordinal, subject, quarantine_until, reason, order_id, item_id, layer FROM allocation "
    "WHERE pool = ? AND valid_to IS NOT NULL AND quarantine_until > ? ORDER BY value, id"
)
_USERS = 'SELECT shared_by, "user" FROM pool_user WHERE pool = ? AND valid_to IS NULL ORDER BY shared_by, "user"'


def _held(raw: Raw, kinds: Mapping[str, Kind], pool: Definition, now: int) -> Iterator[Json]:
    kind = kinds[pool.kind]
    users: dict[str, list[str]] = {}
    for shared_by, user in raw.all(_USERS, pool.number):
        users.setdefault(_SHARED + shared_by, []).append(user)
    present = [(row[0], _present(row, users)) for row in raw.all(_HELD, pool.number, now)]
    spans = pool.all_spans
    inside = _Inside(spans)
    resting = [
        (row[0], _rests(row)) for row in raw.all(_RESTING, pool.number, now) if inside.has(row[0])
    ]
    for value, told in sorted([*present, *resting], key=lambda one: one[0]):
        found = {
            "kind": pool.kind,
            "scope": pool.scope,
            "value": kind.form.render(pool.params, value),
            **told,
        }
        yield {name: cell for name, cell in found.items() if cell not in (None, [])}


class _Inside:
    """Which values are in spans; asked in ascending order."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = iter(spans)
        self._span: Span | None = next(self._spans, None)

    def has(self, value: int) -> bool:
        while self._span is not None and self._span[1] < value:
            self._span = next(self._spans, None)
        return self._span is not None and self._span[0] <= value


def _present(row: Row, users: Mapping[str, list[str]]) -> Json:
    _, owner, ordinal, subject, confirmed, expires, reason, *cause = row
    waiting = confirmed is None
    until = expires if waiting else None
    return {
        "owner": owner,
        "state": "reserved" if waiting else "active",
        "subject": subject,
        "ordinal": ordinal or None,
        "expiresAt": None if until is None else to_text(from_micros(until)),
        "users": users.get(owner, []),
        **_cause(cause),
        "reason": loads(reason),
    }


def _rests(row: Row) -> Json:
    _, owner, ordinal, subject, until, reason, *cause = row
    return {
        "owner": owner,
        "state": "quarantined",
        "subject": subject,
        "ordinal": ordinal or None,
        "restsUntil": to_text(from_micros(until)),
        **_cause(cause),
        "reason": loads(reason),
    }


def _cause(cause: Sequence[str | None]) -> Json:
    return dict(zip(("order", "item", "layer"), cause, strict=True))
