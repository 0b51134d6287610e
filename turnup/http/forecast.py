"""Utilisation and run-out: `/turnup/v1/poolForecast…`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from inventory.counting.runout import Booked, Day, Forecast, Level, Limits, Rate
from inventory.counting.utilisation import (
    Group,
    GroupBy,
    Outlook,
    Which,
    check,
    histories,
    reserved,
    roll_up,
    states,
)
from orders.wire import instant, moment
from store import Database
from tmf.errors import InvalidQuery
from tmf.web import TmfResponse
from turnup.forecast import Forecaster
from turnup.http.strict import known_parameters

Json = dict[str, Any]
MOST = 500
"""Longest page."""
SHOWN_ORDERS = 50
"""How many orders of a pool are named; the counts are over all."""


def _which(
    pool: str | None = None,
    kind: str | None = None,
    scope: str | None = None,
    under: str | None = None,
    domain: str | None = None,
) -> Which:
    if any("\x00" in (name or "") for name in (pool, kind, scope, under, domain)):
        raise InvalidQuery("A name with a NUL character names nothing that can be.")
    return Which(pool, kind, scope, under, domain)


def _outlook(
    horizon: Annotated[int, Query(alias="horizonDays")] = 90,
    window: Annotated[int, Query(alias="windowDays")] = 30,
    threshold: float = 80.0,
    critical: float = 95.0,
) -> Outlook:
    return Outlook(horizon, window, Limits(threshold, critical))


WhichPools = Annotated[Which, Depends(_which)]
LookAhead = Annotated[Outlook, Depends(_outlook)]


def router(database: Database, forecaster: Forecaster) -> APIRouter:
    """Return the routes."""
    api = APIRouter(
        prefix="/turnup/v1/poolForecast",
        tags=["forecast"],
        dependencies=[Depends(known_parameters)],
    )

    @api.get("")
    def list_forecasts(
        which: WhichPools,
        outlook: LookAhead,
        level: Level | None = None,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    ) -> Response:
        found = forecaster.forecasts(which, outlook, level=level, offset=offset, limit=limit)
        with database.read() as rx:
            held = reserved(rx, [one.state.number for one in found.forecasts])
        shown = [forecast_body(one, held.get(one.state.number, 0)) for one in found.forecasts]
        headers = {
            "X-Total-Count": str(found.total),
            "X-Result-Count": str(len(shown)),
            "X-Uncounted-Count": str(len(found.uncounted)),
        }
        return TmfResponse(shown, headers=headers)

    @api.get("/uncounted")
    def list_uncounted() -> list[Json]:
        return [{"order": one.order, "why": one.why} for one in forecaster.uncounted()]

    @api.get("/groups")
    def list_groups(which: WhichPools, outlook: LookAhead, by: GroupBy = "kind") -> list[Json]:
        check(outlook)
        with database.read() as rx:
            groups = roll_up(states(rx, which), by, rx.now, outlook.limits)
        return [group_body(group) for group in groups]

    @api.get("/history")
    def show_history(
        pool: str, window: Annotated[int, Query(alias="windowDays")] = 30
    ) -> list[Json]:
        check(Outlook(window_days=window))
        with database.read() as rx:
            (state,) = states(rx, _which(pool))
            days = histories(rx, [state], window)[state.number]
            return history_body(days, state.used, state.capacity, rx.now)

    return api


def forecast_body(found: Forecast, held: int) -> Json:
    """Return a forecast as JSON; `held` of the values in use are reserved only."""
    state, demand, trend = found.state, found.demand, found.trend
    takes = [_order(one, "takes") for one in demand.takes]
    gives = [_order(one, "givesBack") for one in demand.gives]
    orders = sorted(takes + gives, key=lambda order: (order["at"], order["order"]))
    return {
        "pool": state.pool,
        "kind": state.kind,
        "scope": state.scope,
        "capacity": state.capacity,
        "allocated": state.used - held,
        "reserved": held,
        "quarantined": state.quarantined,
        "free": state.free,
        "utilisation": round(state.utilisation, 1),
        "trendPerDay": None if trend is None else round(trend.net, 3),
        "trend": None
        if trend is None
        else {"days": trend.days, "takes": _rate(trend.takes), "releases": _rate(trend.releases)},
        "booked": {
            "takes": sum(one.count for one in demand.takes),
            "takesExpected": round(sum(one.share * one.count for one in demand.takes), 3),
            "givebacks": sum(one.count for one in demand.gives),
            "orders": orders[:SHOWN_ORDERS],
        },
        "runOut": None
        if found.run_out is None
        else {
            "earliest": instant(found.run_out.earliest),
            "expected": moment(found.run_out.expected),
            "until": moment(found.run_out.until),
        },
        "short": found.short,
        "level": found.level,
        "because": found.because,
    }


def group_body(group: Group) -> Json:
    """Return a roll-up as JSON."""
    return {
        "name": group.name,
        "pools": group.pools,
        "capacity": group.capacity,
        "used": group.used,
        "quarantined": group.quarantined,
        "free": group.free,
        "utilisation": round(group.utilisation, 1),
        "levels": dict(group.levels),
        "fullest": group.fullest,
    }


def history_body(days: Sequence[Day], used: int, capacity: int, now: datetime) -> list[Json]:
    """Return the days, oldest first, with what was in use at the end of each, reckoned back from `used`."""
    changes = [day.released - day.taken for day in reversed(days)]
    in_use = list(accumulate(changes, initial=used))
    return [
        {
            "until": instant(now - timedelta(days=ago)),
            "taken": day.taken,
            "released": day.released,
            "inUse": in_use[ago],
            "utilisation": round(100 * in_use[ago] / capacity, 1) if capacity else 100.0,
        }
        for ago, day in reversed(list(enumerate(reversed(days))))
    ]


def _order(one: Booked, verb: str) -> Json:
    return {
        "order": one.order,
        "at": instant(one.at),
        verb: one.count,
        "share": round(one.share, 3),
    }


def _rate(rate: Rate) -> Json:
    return {
        "perDay": round(rate.middle, 3),
        "low": round(rate.low, 3),
        "high": round(rate.high, 3),
    }
