"""How full pools are, were and will be: readers for `runout`, grouped in SQL, and roll-ups.

All counts are outside reserved bands: what `next` gives. Cost grows with the pools asked about and with the takes
and releases within the window, not with the values that are held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from inventory.allocation.holdings import allocations
from inventory.counting.runout import (
    DEFAULT_LIMITS,
    NO_DEMAND,
    Day,
    Demand,
    Forecast,
    Level,
    Limits,
    PoolState,
    Returning,
    cannot_run_out,
    forecast,
    level_of,
)
from inventory.counting.usage import pool_id
from inventory.errors import PoolNotFound
from inventory.plant.registry import natural
from inventory.raw import Raw, Row
from inventory.types import from_micros, to_micros
from store import Rx
from store.errors import InvalidInput

MAX_DAYS = 366
"""Longest window and horizon."""
MIN_WINDOW = 7
GroupBy = Literal["kind", "device", "domain"]
Book = Mapping[tuple[str, str], Demand]
"""(kind, scope) → what the order book holds for that pool."""

_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_MANY = 500
_STATES = (
    "SELECT p.number, p.id, p.kind, p.scope, p.domain, p.draining, p.quarantine_seconds, p.created, "
    "(SELECT sum(s.last - s.first + 1) FROM pool_span s "
    "WHERE s.pool = p.number AND s.valid_to IS NULL AND s.band IS NULL), "
    "(SELECT sum(f.hi - f.lo + 1) FROM free_range f WHERE f.pool = p.number AND f.free_at <= ?), "
    "(SELECT sum(f.hi - f.lo + 1) FROM free_range f WHERE f.pool = p.number AND f.free_at > ?) "
    "FROM pool p WHERE p.removed IS NULL"
)
# what has lapsed counts as free although nobody has taken it back yet; +pool: no index of pools, it reads all they hold
_LAPSED = (
    "SELECT +pool, count(*) FROM allocation "
    "WHERE expires_at <= ? AND valid_to IS NULL AND confirmed_at IS NULL GROUP BY 1"
)
_RESTING = (
    "SELECT pool, (free_at - ?) / ?, sum(hi - lo + 1), max(free_at) FROM free_range "
    "WHERE free_at > ? AND {pools} GROUP BY 1, 2"
)
_EXPIRING = (
    "SELECT +pool, (expires_at - ?) / ?, count(*), max(expires_at) FROM allocation "
    "WHERE expires_at > ? AND valid_to IS NULL AND +{pools} GROUP BY 1, 2"
)
_TAKEN = (
    "SELECT +pool, (valid_from - ?) / ?, count(*) FROM allocation "
    "WHERE id >= ? AND valid_from >= ? AND valid_from < ? AND +{pools} GROUP BY 1, 2"
)
_RELEASED = (
    "SELECT pool, (valid_to - ?) / ?, count(*) FROM allocation "
    "WHERE valid_to >= ? AND valid_to < ? AND {pools} GROUP BY 1, 2"
)
_RESERVED = (
    "SELECT pool, count(*) FROM allocation WHERE valid_to IS NULL AND confirmed_at IS NULL "
    "AND (expires_at IS NULL OR expires_at > ?) AND {pools} GROUP BY pool"
)
_USERS = (
    "SELECT count(*) FROM pool_user u JOIN pool p ON p.number = u.pool "
    "WHERE p.id = ? AND p.removed IS NULL AND u.shared_by = ? AND u.valid_to IS NULL"
)
_FROM_ROW = "SELECT id, valid_from FROM allocation WHERE id >= ? ORDER BY id LIMIT 1"
_LAST_ROW = "SELECT id FROM allocation ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Which:
    """Which pools: all that is given holds. `under` is a device or port: its own scope and all below it."""

    pool: str | None = None
    kind: str | None = None
    scope: str | None = None
    under: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How to look ahead: days to come, days to learn from, and what counts as warning and critical."""

    horizon_days: int = 90
    window_days: int = 30
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class SharedValue:
    """The one value that all users of a key have, as a resource's characteristic shows it."""

    value: int | str
    users: int


ALL = Which()
DEFAULT_OUTLOOK = Outlook()


@dataclass(frozen=True, slots=True)
class Group:
    """Pools together: how full, and how many of them are of which level."""

    name: str
    pools: int
    capacity: int
    used: int
    quarantined: int
    free: int
    levels: Mapping[Level, int]
    fullest: str

    @property
    def utilisation(self) -> float:
        """Return the share of values that cannot be taken now, in percent."""
        return 100.0 if not self.capacity else 100.0 * (1 - self.free / self.capacity)


def states(rx: Rx, which: Which = ALL) -> list[PoolState]:
    """Return how full pools are now, without what comes back. Raises PoolNotFound for `which.pool`."""
    raw, now = Raw(rx), to_micros(rx.now)
    given = {"id": which.pool, "kind": which.kind, "scope": which.scope, "domain": which.domain}
    wanted = {name: value for name, value in given.items() if value is not None}
    query = _STATES + "".join(f" AND p.{name} = ?" for name in wanted)
    params: list[object] = [now, now, *wanted.values()]
    if which.under is not None:
        query += " AND (p.scope = ? OR substr(p.scope, 1, ?) = ?)"
        params += [which.under, len(which.under) + 1, which.under + "/"]
    found = raw.all(query, *params)
    if which.pool is not None and not found:
        raise PoolNotFound(
            f"There is no pool {which.pool!r}; list the pools for their ids.",
            details={"pool": which.pool},
        )
    lapsed = {int(row[0]): int(row[1]) for row in raw.all(_LAPSED, now)} if found else {}
    return [_state(row, lapsed.get(row[0], 0)) for row in found]


def returning(rx: Rx, numbers: Sequence[int]) -> dict[int, tuple[Returning, ...]]:
    """Return what comes back to these pools by itself, by the hour: each hour's values at its last instant."""
    raw, now = Raw(rx), to_micros(rx.now)
    found: defaultdict[int, list[Returning]] = defaultdict(list)
    for query, certain in ((_RESTING, True), (_EXPIRING, False)):
        for pool, _, count, at in _of_pools(raw, query, numbers, now, _HOUR, now):
            found[pool].append(Returning(from_micros(at), int(count), certain))
    return {pool: tuple(sorted(each, key=lambda one: one.at)) for pool, each in found.items()}


def histories(
    rx: Rx, states: Sequence[PoolState], window_days: int, *, taken: TakenByDay | None = None
) -> dict[int, tuple[Day, ...]]:
    """Return what was taken and released per 24 hours until now, oldest first, for as long as each pool was there.

    Args:
        rx: the transaction.
        states: the pools.
        window_days: how far to look back.
        taken: what `taken_by_day` returned for (at least) these pools, if it was read before.

    """
    numbers = [state.number for state in states]
    start = rx.now - timedelta(days=window_days)
    taken = taken if taken is not None else taken_by_day(rx, window_days, numbers)
    released = _by_day(
        _of_pools(
            Raw(rx), _RELEASED, numbers, to_micros(start), _DAY, to_micros(start), to_micros(rx.now)
        )
    )
    return {
        state.number: _days(
            taken.get(state.number, {}),
            released.get(state.number, {}),
            _first_day(state, start, window_days),
            window_days,
        )
        for state in states
    }


TakenByDay = Mapping[int, Mapping[int, int]]
"""Number of a pool → day of the window (0 is the oldest) → values taken."""


def taken_by_day(rx: Rx, window_days: int, numbers: Sequence[int] | None = None) -> TakenByDay:
    """Return how many values each pool (None: all that gave any) gave on each day of the window."""
    raw, now = Raw(rx), to_micros(rx.now)
    start = now - window_days * _DAY
    first = _first_row(raw, start)
    return _by_day(_of_pools(raw, _TAKEN, numbers, start, _DAY, first, start, now))


def forecasts(
    rx: Rx,
    book: Book,
    which: Which = ALL,
    outlook: Outlook = DEFAULT_OUTLOOK,
    *,
    level: Level | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> tuple[list[Forecast], int]:
    """Return a page of forecasts, the soonest to run out first, and how many there are in all.

    Args:
        rx: the transaction.
        book: what the order book holds.
        which: which pools.
        outlook: how to look ahead.
        level: only pools of this level.
        offset: how many to leave out.
        limit: how many to return (None: all).

    Raises:
        PoolNotFound: `which.pool` is not there.
        InvalidInput: the window or the horizon is out of bounds.

    """
    check(outlook)
    found = states(rx, which)
    numbers = [state.number for state in found] if len(found) <= _MANY else None
    taken = taken_by_day(rx, outlook.window_days, numbers)
    worked = _worked_out(
        rx, [s for s in found if _may(s, taken, book, outlook, rx.now)], taken, book, outlook
    )
    ranked = sorted(found, key=lambda state: _rank(state, worked.get(state.number)))
    if level is not None:
        ranked = [s for s in ranked if _level(s, worked.get(s.number), rx.now, outlook) == level]
    page = ranked[offset : None if limit is None else offset + limit]
    rest = [state for state in page if state.number not in worked]
    worked |= _worked_out(rx, rest, taken, book, outlook)
    return [worked[state.number] for state in page], len(ranked)


def check(outlook: Outlook) -> None:
    """Raise InvalidInput when the window, the horizon or a limit is out of bounds."""
    bounds = (
        ("horizonDays", outlook.horizon_days, 1, MAX_DAYS),
        ("windowDays", outlook.window_days, MIN_WINDOW, MAX_DAYS),
        ("threshold", outlook.limits.warning, 0, 100),
        ("critical", outlook.limits.critical, 0, 100),
    )
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise InvalidInput(f"{name} is {value:g}; give a number from {least} to {most}.")


def room(rx: Rx, pools: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return how many values are free in these (kind, scope); pools that are not there are left out."""
    raw, now = Raw(rx), to_micros(rx.now)
    scopes: defaultdict[str, list[str]] = defaultdict(list)
    for kind, scope in pools:
        scopes[kind].append(scope)
    found: dict[tuple[str, str], int] = {}
    for kind, wanted in scopes.items():
        for start in range(0, len(wanted), _MANY):
            chunk = wanted[start : start + _MANY]
            marks = ", ".join("?" * len(chunk))
            query = f"{_STATES} AND p.kind = ? AND p.scope IN ({marks})"
            rows = raw.all(query, now, now, kind, *chunk)
            found |= {(kind, one.scope): one.free for one in (_state(row, 0) for row in rows)}
    return found


def reserved(rx: Rx, numbers: Sequence[int]) -> dict[int, int]:
    """Return how many of the values in use are reserved only; cost grows with what these pools hold."""
    found = _of_pools(Raw(rx), _RESERVED, numbers, to_micros(rx.now))
    return {int(pool): int(count) for pool, count in found}


def shared_value(rx: Rx, kind: str, scope: str, shared_by: str) -> SharedValue | None:
    """Return the value that users of a key share now, and how many they are; None when nobody has one."""
    pool = pool_id(kind, scope)
    held = next(iter(allocations(rx, owner=f"shared:{shared_by}", pool=pool)), None)
    if held is None:
        return None
    users = Raw(rx).one(_USERS, pool, shared_by)
    shown = held.value if held.text == str(held.value) else held.text
    return SharedValue(shown, int(users[0]) if users else 0)


def roll_up(
    states: Iterable[PoolState], by: GroupBy, now: datetime, limits: Limits = DEFAULT_LIMITS
) -> list[Group]:
    """Return pools by kind, device (the scope up to its first slash) or address domain, the fullest first."""
    members: defaultdict[str, list[PoolState]] = defaultdict(list)
    for state in states:
        members[_GROUPS[by](state)].append(state)
    groups = [_group(name, each, now, limits) for name, each in members.items()]
    return sorted(groups, key=lambda group: (-group.utilisation, natural(group.name)))


def fullest(rx: Rx, percent: float, limit: int) -> list[PoolState]:
    """Return the pools of which at least so many percent are in use, the fullest first, at most `limit`."""
    over = [state for state in states(rx) if state.utilisation >= percent and not state.draining]
    return sorted(over, key=lambda state: (-state.utilisation, state.pool))[:limit]


# -- inside -----------------------------------------------------------------------------------------


def _state(row: Row, lapsed: int) -> PoolState:
    number, id_, kind, scope, domain, draining, quarantine, created, capacity, free, resting = row
    return PoolState(
        number=number,
        pool=id_,
        kind=kind,
        scope=scope,
        capacity=int(capacity or 0),
        free=int(free or 0) + lapsed,
        quarantined=int(resting or 0),
        quarantine_seconds=quarantine,
        domain=domain,
        draining=bool(draining),
        created=from_micros(created),
    )


def _worked_out(
    rx: Rx, states: Sequence[PoolState], taken: TakenByDay, book: Book, outlook: Outlook
) -> dict[int, Forecast]:
    if not states:
        return {}
    back = returning(rx, [state.number for state in states])
    days = histories(rx, states, outlook.window_days, taken=taken)
    return {
        state.number: forecast(
            replace(state, returns=back.get(state.number, ())),
            days[state.number],
            _demand(book, state),
            rx.now,
            horizon_days=outlook.horizon_days,
            limits=outlook.limits,
        )
        for state in states
    }


def _demand(book: Book, state: PoolState) -> Demand:
    return book.get((state.kind, state.scope), NO_DEMAND)


def _may(state: PoolState, taken: TakenByDay, book: Book, outlook: Outlook, now: datetime) -> bool:
    """Tell whether it may run out, so that it has to be worked out to know its place in the list."""
    days, demand = taken.get(state.number), _demand(book, state)
    if not days and not demand.takes:
        return state.free <= 0
    first = _first_day(state, now - timedelta(days=outlook.window_days), outlook.window_days)
    counts = [(days or {}).get(n, 0) for n in range(first, outlook.window_days)]
    return not cannot_run_out(state, counts, demand, outlook.horizon_days)


def _level(state: PoolState, worked: Forecast | None, now: datetime, outlook: Outlook) -> Level:
    return worked.level if worked else level_of(state, None, now, outlook.limits)


def _rank(state: PoolState, worked: Forecast | None) -> tuple[float, float, float, str]:
    run_out = worked.run_out if worked else None
    expected = run_out.expected.timestamp() if run_out and run_out.expected else float("inf")
    earliest = run_out.earliest.timestamp() if run_out else float("inf")
    return expected, earliest, -state.utilisation, state.pool


def _of_pools(raw: Raw, query: str, numbers: Sequence[int] | None, *params: object) -> list[Row]:
    """Run a query for some pools, at most 500 at a time, or (None) for all of them at once."""
    if numbers is None:
        return list(raw.all(query.format(pools="pool > 0"), *params))
    found: list[Row] = []
    for start in range(0, len(numbers), _MANY):
        chunk = numbers[start : start + _MANY]
        marks = ", ".join("?" * len(chunk))
        found += raw.all(query.format(pools=f"pool IN ({marks})"), *params, *chunk)
    return found


def _first_row(raw: Raw, start: int) -> int:
    """Return the first row taken since `start`: rows come in the order of time, so a few probes by key find it."""
    last = raw.one(_LAST_ROW)
    low, high = 1, int(last[0]) + 1 if last else 1
    while low < high:
        middle = (low + high) // 2
        row = raw.one(_FROM_ROW, middle)
        if row is None or row[1] >= start:
            high = middle
        else:
            low = int(row[0]) + 1
    return low


def _by_day(rows: Iterable[Row]) -> dict[int, dict[int, int]]:
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for pool, day, count in rows:
        found[pool][int(day)] = int(count)
    return found


_IDLE = Day()


def _days(
    taken: Mapping[int, int], released: Mapping[int, int], first: int, window: int
) -> tuple[Day, ...]:
    return tuple(
        Day(taken.get(n, 0), released.get(n, 0)) if n in taken or n in released else _IDLE
        for n in range(first, window)
    )


def _first_day(state: PoolState, start: datetime, window: int) -> int:
    """Return the first full day of the window on which the pool was there."""
    if state.created is None or state.created <= start:
        return 0
    return min(window, -((start - state.created) // timedelta(days=1)))


_GROUPS: Mapping[GroupBy, Callable[[PoolState], str]] = {
    "kind": lambda state: state.kind,
    "device": lambda state: state.scope.partition("/")[0],
    "domain": lambda state: state.domain or "none",
}


def _group(name: str, states: Sequence[PoolState], now: datetime, limits: Limits) -> Group:
    levels: dict[Level, int] = {"exhausted": 0, "critical": 0, "warning": 0, "ok": 0}
    for state in states:
        levels[level_of(state, None, now, limits)] += 1
    return Group(
        name=name,
        pools=len(states),
        capacity=sum(state.capacity for state in states),
        used=sum(state.used for state in states),
        quarantined=sum(state.quarantined for state in states),
        free=sum(state.free for state in states),
        levels=levels,
        fullest=max(states, key=lambda state: (state.utilisation, state.pool)).pool,
    )
