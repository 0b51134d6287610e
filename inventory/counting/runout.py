"""Pure: when a pool runs out, from what is free, what comes back, what is booked and what was usual.

What is free at a later moment is

    free now + what comes back by itself - takes + give-backs

where takes and give-backs are known twice: as booked orders and as the rate of the past days. The book is the
near part of the trend, so the expected course counts the larger of the two, never both; the earliest course adds
them up, puts every order on the pool it might come to, and trusts in no give-back and in no reservation's expiry.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Literal

Level = Literal["ok", "warning", "critical", "exhausted"]
LEVELS: tuple[Level, ...] = ("exhausted", "critical", "warning", "ok")
WEEK = 7
"""Days that are summed up before medians are taken: one bulk load is no trend, weekends are no drop."""
DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = 1e-9
_PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Returning:
    """Values that come back by themselves; `certain`: from quarantine, not from a reservation that may be confirmed."""

    at: datetime
    count: int
    certain: bool = True


@dataclass(frozen=True, slots=True)
class PoolState:
    """How full a pool is now, outside its reserved bands."""

    number: int
    pool: str
    kind: str
    scope: str
    capacity: int
    free: int
    quarantined: int = 0
    quarantine_seconds: int = 0
    domain: str | None = None
    draining: bool = False
    created: datetime | None = None
    returns: tuple[Returning, ...] = ()

    @property
    def used(self) -> int:
        """Return how many values somebody holds, for certain or reserved."""
        return self.capacity - self.free - self.quarantined

    @property
    def utilisation(self) -> float:
        """Return the share of values that cannot be taken now, in percent."""
        return _PERCENT if not self.capacity else _PERCENT * (1 - self.free / self.capacity)


@dataclass(frozen=True, slots=True)
class Day:
    """What happened to a pool in 24 hours."""

    taken: int = 0
    released: int = 0


@dataclass(frozen=True, slots=True)
class Booked:
    """An order that will take a value, or give one back; `share`: how likely it is this pool's (1 = certainly)."""

    at: datetime
    order: str
    share: float = 1.0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Demand:
    """What the order book holds for one pool."""

    takes: tuple[Booked, ...] = ()
    gives: tuple[Booked, ...] = ()


NO_DEMAND = Demand()


@dataclass(frozen=True, slots=True)
class Rate:
    """Values a day: median and quartiles of the sums of seven days, divided by seven."""

    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Trend:
    """What was usual in the past days."""

    days: int
    takes: Rate
    releases: Rate

    @property
    def net(self) -> float:
        """Return by how much a day the pool fills up."""
        return self.takes.middle - self.releases.middle


@dataclass(frozen=True, slots=True)
class RunOut:
    """When nothing is free: at the earliest, as expected (None: not within the horizon), and until when."""

    earliest: datetime
    expected: datetime | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a pool is told of: percent in use, or days before it is expected to run out."""

    warning: float = 80.0
    critical: float = 95.0
    soon_days: int = 7


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of a pool within the horizon. `short`: values that the book wants and the pool will not have."""

    state: PoolState
    demand: Demand
    trend: Trend | None
    run_out: RunOut | None
    short: int
    level: Level
    made: datetime

    @property
    def because(self) -> str:
        """Return the reasons in words, parted by semicolons."""
        return _because(self)


def trend_of(days: Sequence[Day]) -> Trend | None:
    """Return what was usual in these days, oldest first; None with less than a week of them."""
    if len(days) < WEEK:
        return None
    taken, released = [day.taken for day in days], [day.released for day in days]
    return Trend(len(days), _rate(taken), _rate(released))


def forecast(
    state: PoolState,
    days: Sequence[Day],
    demand: Demand,
    now: datetime,
    *,
    horizon_days: int = 90,
    limits: Limits = DEFAULT_LIMITS,
) -> Forecast:
    """Return when a pool runs out, and why.

    Args:
        state: how it stands, with what comes back.
        days: what happened in the past days, oldest first (24 hours each, the last ends now).
        demand: what the order book holds for it.
        now: the present instant.
        horizon_days: how far to look.
        limits: what counts as warning and critical.

    """
    trend = trend_of(days)
    run_out, short = None, 0
    if not state.draining:
        run_out, short = _ahead(state, trend, demand, now, horizon_days)
    level = level_of(state, run_out, now, limits)
    return Forecast(state, demand, trend, run_out, short, level, now)


def _ahead(
    state: PoolState, trend: Trend | None, demand: Demand, now: datetime, horizon: int
) -> tuple[RunOut | None, int]:
    worst = _course(_Earliest(state, trend, demand, now), horizon)
    if (
        worst.empty is None
    ):  # then the expected course, which never lies below it, does not end either
        return None, 0
    likely = _course(_Expected(state, trend, demand, now), horizon)
    expected = None if likely.empty is None else _instant(now, likely.empty)
    until = None if likely.again is None else _instant(now, likely.again)
    short = math.ceil(max(0.0, -likely.least) - _NOTHING)
    return RunOut(_instant(now, worst.empty), expected, until), short


def level_of(
    state: PoolState, run_out: RunOut | None, now: datetime, limits: Limits = DEFAULT_LIMITS
) -> Level:
    """Return how urgent a pool is; one that is being drained is emptied on purpose, so never."""
    if state.draining:
        return "ok"
    if state.free <= 0:
        return "exhausted"
    expected = run_out.expected if run_out else None
    soon = expected is not None and expected <= now + limits.soon_days * DAY
    if soon or state.utilisation >= limits.critical:
        return "critical"
    return "warning" if expected or state.utilisation >= limits.warning else "ok"


def cannot_run_out(
    state: PoolState, taken: Sequence[int], demand: Demand, horizon_days: int
) -> bool:
    """Tell, without working it out, that what is free outlasts the book and the usual takes of all days ahead.

    Args:
        state: how it stands.
        taken: values taken on each of the past days.
        demand: what the order book holds for it.
        horizon_days: how far to look.

    """
    booked = sum(one.count for one in demand.takes)
    if state.free > booked + sum(taken) * (horizon_days / WEEK):
        return True
    usual = _rate(taken).high if len(taken) >= WEEK else 0.0
    return state.free > booked + usual * horizon_days


# -- the course of what is free ---------------------------------------------------------------------


class _Flow:
    """Values in or out, cumulated over days: booked steps, and a rate from some day on."""

    def __init__(
        self,
        steps: Sequence[tuple[float, float]],
        rate: float = 0.0,
        delay: float = 0.0,
        *,
        both: bool = False,
    ) -> None:
        ordered = sorted(steps)
        self.days = [max(0.0, day) for day, _ in ordered]
        self._sums = [0.0, *accumulate(amount for _, amount in ordered)]
        self._rate, self._delay, self._both = rate, delay, both

    @property
    def moves(self) -> bool:
        """Return whether anything ever comes."""
        return self._rate > 0 or bool(self.days)

    def at(self, day: float, *, before: bool = False) -> float:
        """Return how many came by a day, or until just before it."""
        stepped = self._sums[(bisect_left if before else bisect_right)(self.days, day)]
        flowed = self._rate * max(0.0, day - self._delay)
        return stepped + flowed if self._both else max(stepped, flowed)

    def bends(self) -> list[float]:
        """Return the days at which it jumps or changes its slope."""
        bends = [*self.days, self._delay]
        if self._rate > 0 and not self._both:
            bends += [self._delay + total / self._rate for total in self._sums]
        return bends


@dataclass(frozen=True, slots=True)
class _Course:
    """`empty`: the day on which nothing is free, `again`: on which something is; `least`: the lowest (below 0: lack)."""

    empty: float | None
    again: float | None
    least: float


class _Sums:
    """What is free over time; days are counted from now."""

    def __init__(self, free: int, gains: Sequence[_Flow], losses: Sequence[_Flow]) -> None:
        self._free = free
        self._gains = [flow for flow in gains if flow.moves]
        self._losses = [flow for flow in losses if flow.moves]

    def levels(self, horizon: float) -> list[tuple[float, float, float]]:
        """Return (day, free just before, free then) wherever the course jumps or bends, and at both ends."""
        flows = (*self._gains, *self._losses)
        bends = {day for flow in flows for day in flow.bends() if 0.0 < day < horizon}
        jumps = {day for flow in flows for day in flow.days}
        return [self._level(day, day in jumps) for day in sorted({0.0, float(horizon)} | bends)]

    def _level(self, day: float, jumps: bool) -> tuple[float, float, float]:
        then = self._at(day, before=False)
        return day, self._at(day, before=True) if jumps else then, then

    def _at(self, day: float, *, before: bool) -> float:
        level = float(self._free)
        for flow in self._gains:
            level += flow.at(day, before=before)
        for flow in self._losses:
            level -= flow.at(day, before=before)
        return level


class _Expected(_Sums):
    def __init__(
        self, state: PoolState, trend: Trend | None, demand: Demand, now: datetime
    ) -> None:
        rest = state.quarantine_seconds / DAY.total_seconds()
        returns = _Flow([(_day(now, one.at), one.count) for one in state.returns])
        takes = [(_day(now, one.at), one.share * one.count) for one in demand.takes]
        gives = [(_day(now, one.at) + rest, one.share * one.count) for one in demand.gives]
        released = trend.releases.middle if trend else 0.0
        gains = (returns, _Flow(gives, released, rest))
        super().__init__(state.free, gains, (_Flow(takes, trend.takes.middle if trend else 0.0),))


class _Earliest(_Sums):
    def __init__(
        self, state: PoolState, trend: Trend | None, demand: Demand, now: datetime
    ) -> None:
        rest = state.quarantine_seconds / DAY.total_seconds()
        certain = [(_day(now, one.at), one.count) for one in state.returns if one.certain]
        takes = [(_day(now, one.at), float(one.count)) for one in demand.takes]
        gains = (_Flow(certain), _Flow((), trend.releases.low if trend else 0.0, rest))
        super().__init__(
            state.free, gains, (_Flow(takes, trend.takes.high if trend else 0.0, both=True),)
        )


def _course(sums: _Sums, horizon: float) -> _Course:
    levels = sums.levels(horizon)
    empty = again = None
    for (left, _, here), (right, there, _) in pairwise(levels):
        if empty is None:
            empty = _crossing(left, here, right, there, sinking=True)
        if empty is not None and again is None and left >= empty:
            again = _crossing(left, here, right, there, sinking=False)
    if empty is None and levels[-1][2] <= _NOTHING:
        empty = levels[-1][0]
    return _Course(empty, again, min(min(before, after) for _, before, after in levels))


def _crossing(
    left: float, here: float, right: float, there: float, *, sinking: bool
) -> float | None:
    """Return the day of a segment from which on nothing (`sinking`), or something, is free."""
    if (here <= _NOTHING) is sinking:
        return left
    if (there <= _NOTHING) is not sinking or here == there:
        return None
    return left + (right - left) * here / (here - there)


def _rate(counts: Sequence[int]) -> Rate:
    sums = list(accumulate(counts, initial=0))
    weeks = sorted((sums[n + WEEK] - sums[n]) / WEEK for n in range(len(counts) - WEEK + 1))
    quarter = (len(weeks) - 1) // 4
    return Rate(weeks[quarter], statistics.median(weeks), weeks[-1 - quarter])


def _day(now: datetime, at: datetime) -> float:
    return max(0.0, (at - now) / DAY)


def _instant(now: datetime, day: float) -> datetime:
    """Return the instant of a day, to the millisecond: what floats leave behind it is noise."""
    exact = now + timedelta(microseconds=round(day * (DAY / _MICROSECOND)))
    return max(
        now,
        exact
        + timedelta(microseconds=500)
        - timedelta(microseconds=(exact.microsecond + 500) % 1000),
    )


# -- in words ---------------------------------------------------------------------------------------


def _because(found: Forecast) -> str:
    state, demand, now = found.state, found.demand, found.made
    parts = [f"{state.free} of {state.capacity} free"]
    if state.quarantined:
        back = [one.at for one in state.returns if one.certain]
        until = f" (the last until {_when(max(back))})" if back else ""
        parts.append(f"{state.quarantined} rest in quarantine{until}")
    lapsing = sum(one.count for one in state.returns if not one.certain)
    if lapsing:
        parts.append(f"{lapsing} reservations expire unless confirmed")
    parts += [_booked(demand.takes, "take", now), _booked(demand.gives, "give back", now)]
    parts.append(_usual(found.trend))
    drained = "it is being drained: nothing new is taken from it"
    parts.append(drained if state.draining else _end(found.run_out, demand, now))
    return "; ".join(part for part in parts if part)


def _booked(booked: Sequence[Booked], verb: str, now: datetime) -> str:
    if not booked:
        return ""
    expected = sum(one.share * one.count for one in booked)
    most = sum(one.count for one in booked)
    span = f"up to {most} ({expected:.3g} expected)" if most - expected > _NOTHING else f"{most}"
    orders = len({one.order for one in booked})
    last = max(one.at for one in booked)
    when = f"the last on {_when(last)}" if last > now else "due now"
    return f"booked orders ({orders}) {verb} {span}, {when}"


def _usual(trend: Trend | None) -> str:
    if trend is None:
        return f"no trend: less than {WEEK} days of history"
    takes, released = trend.takes, trend.releases
    return (
        f"usual are {takes.middle:.3g} takes a day (quartiles {takes.low:.3g} to {takes.high:.3g}) and "
        f"{released.middle:.3g} releases ({released.low:.3g} to {released.high:.3g}), by the median of "
        f"{WEEK}-day sums over {trend.days} days"
    )


def _end(run_out: RunOut | None, demand: Demand, now: datetime) -> str:
    if run_out is None:
        return "no run-out within the horizon"
    if run_out.expected is None:
        return f"at worst nothing is free from {_when(run_out.earliest)}, which is not expected"
    again = f" until {_when(run_out.until)}" if run_out.until else ""
    return f"nothing is free from {_when(run_out.expected)}{again}{_taker(run_out.expected, demand, now)}"


def _taker(moment: datetime, demand: Demand, now: datetime) -> str:
    orders = [one.order for one in demand.takes if abs(max(one.at, now) - moment) < _SECOND]
    match list(dict.fromkeys(orders)):
        case []:
            return ""
        case [order]:
            return f" (order {order} takes the last)"
        case several:
            return f" ({len(several)} orders come then, the first is {several[0]})"


def _when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ")
