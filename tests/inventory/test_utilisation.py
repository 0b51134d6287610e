"""Run-out forecast: the pure planner by properties and by hand, the readers on both stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from inventory import allocator, pools, reshape
from inventory.counting.runout import (
    Booked,
    Day,
    Demand,
    Forecast,
    Limits,
    PoolState,
    Returning,
    cannot_run_out,
    forecast,
    trend_of,
)
from inventory.counting.utilisation import (
    Outlook,
    Which,
    forecasts,
    fullest,
    histories,
    returning,
    roll_up,
    states,
)
from inventory.errors import PoolNotFound
from store import Database, ManualClock
from store.errors import InvalidInput

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DAY = timedelta(days=1)
FAR = datetime.max.replace(tzinfo=UTC)
SECOND = timedelta(seconds=1)


def pool(free: int, capacity: int | None = None, **more: object) -> PoolState:
    size = capacity if capacity is not None else max(free, 1)
    return replace(PoolState(1, "p", "s-vlan", "x", size, free), **more)  # type: ignore[arg-type]


def booked(*days: float, order: str = "po", share: float = 1.0) -> tuple[Booked, ...]:
    return tuple(Booked(NOW + day * DAY, f"{order}-{n}", share) for n, day in enumerate(days, 1))


def look(state: PoolState, days: tuple[Day, ...] = (), demand: Demand | None = None) -> Forecast:
    return forecast(state, days, demand or Demand(), NOW)


def ends(found: Forecast) -> tuple[datetime, datetime]:
    run_out = found.run_out
    return (run_out.earliest, run_out.expected or FAR) if run_out else (FAR, FAR)


# -- by hand ----------------------------------------------------------------------------------------


def test_booked_orders_name_the_day_and_the_order() -> None:
    found = look(pool(3), demand=Demand(booked(2, 5, 9, 20)))
    assert found.run_out is not None
    assert found.run_out.expected == NOW + 9 * DAY
    assert found.short == 1
    assert found.level == "warning"
    assert "2026-12-04" in found.because
    assert "po-3 takes the last" in found.because


def test_a_booked_cease_moves_it_but_only_after_quarantine_and_never_the_earliest() -> None:
    takes = booked(2, 5, 9, 20)
    early = look(pool(3), demand=Demand(takes, booked(4, order="cease")))
    assert ends(early) == (NOW + 9 * DAY, NOW + 20 * DAY)
    resting = pool(3, quarantine_seconds=10 * 86_400)
    late = look(resting, demand=Demand(takes, booked(4, order="cease")))
    assert late.run_out is not None
    assert (late.run_out.expected, late.run_out.until) == (NOW + 9 * DAY, NOW + 14 * DAY)


def test_the_trend_alone_ends_a_pool_on_the_day_it_says() -> None:
    found = look(pool(30), (Day(taken=2),) * 30)
    assert ends(found) == (NOW + 15 * DAY, NOW + 15 * DAY)
    assert found.trend is not None
    assert found.trend.net == 2


def test_what_is_booked_is_the_near_part_of_the_trend_and_not_counted_twice() -> None:
    days, takes = (Day(taken=1),) * 30, booked(*range(1, 11))
    found = look(pool(20), days, Demand(takes))
    assert ends(found) == (NOW + 10 * DAY, NOW + 20 * DAY)


def test_one_bulk_load_is_no_trend() -> None:
    found = look(pool(1000), (*(Day(),) * 12, Day(taken=5000), *(Day(),) * 17))
    assert found.trend is not None
    assert found.trend.takes.middle == 0
    assert found.run_out is None or found.run_out.expected is None


def test_one_take_a_week_is_a_trend() -> None:
    found = look(pool(2), tuple(Day(taken=int(n % 7 == 3)) for n in range(28)))
    assert ends(found)[1] == NOW + 14 * DAY


def test_less_than_a_week_is_no_trend() -> None:
    assert trend_of((Day(9),) * 6) is None
    assert "no trend" in look(pool(5), (Day(9),) * 6).because


def test_values_in_quarantine_come_back_at_their_instants() -> None:
    state = pool(1, 3, quarantined=2, returns=(Returning(NOW + 2 * DAY, 2),))
    found = look(state, demand=Demand(booked(1, 3, 4, 5)))
    assert found.run_out is not None
    assert found.run_out.expected == NOW + DAY
    assert found.run_out.until == NOW + 2 * DAY
    assert found.short == 1


def test_a_reservation_may_be_confirmed_so_the_earliest_does_not_count_on_its_expiry() -> None:
    lapsing = (Returning(NOW + DAY, 1, certain=False),)
    found = look(pool(1, 2, returns=lapsing), demand=Demand(booked(3)))
    assert ends(found) == (NOW + 3 * DAY, FAR)


def test_orders_that_may_come_elsewhere_count_by_their_share() -> None:
    found = look(pool(2), demand=Demand(booked(1, 2, 3, 4, share=0.5)))
    assert ends(found) == (NOW + 2 * DAY, NOW + 4 * DAY)
    assert "up to 4 (2 expected)" in found.because


def test_levels() -> None:
    soon, far = Demand(booked(3)), Demand(booked(30))
    assert look(pool(0, 9)).level == "exhausted"
    assert look(pool(0, 0)).level == "exhausted"
    assert look(pool(1, 9), demand=soon).level == "critical"
    assert look(pool(1, 2), demand=far).level == "warning"
    assert look(pool(4, 100)).level == "critical"
    assert look(pool(15, 100)).level == "warning"
    assert look(pool(50, 100)).level == "ok"
    assert forecast(pool(50, 100), (), Demand(), NOW, limits=Limits(warning=40)).level == "warning"
    drained = look(pool(0, 9, draining=True), demand=soon)
    assert (drained.level, drained.run_out, drained.short) == ("ok", None, 0)


# -- properties -------------------------------------------------------------------------------------

COUNTS = some.lists(some.builds(Day, some.integers(0, 9), some.integers(0, 9)), max_size=20)
BOOKED = some.lists(
    some.builds(
        Booked,
        some.integers(-5, 60 * 24).map(lambda hours: NOW + timedelta(hours=hours)),
        some.just("po"),
        some.sampled_from((1.0, 0.5, 0.25)),
    ),
    max_size=8,
)
RETURNS = some.lists(
    some.builds(
        Returning,
        some.integers(1, 60 * 24).map(lambda hours: NOW + timedelta(hours=hours)),
        some.integers(1, 5),
        some.booleans(),
    ),
    max_size=5,
)
STATES = some.builds(
    lambda free, rest, returns: pool(
        free, free + 50, quarantine_seconds=rest, returns=tuple(returns)
    ),
    some.integers(0, 40),
    some.sampled_from((0, 3600, 5 * 86_400)),
    RETURNS,
)
DEMANDS = some.builds(lambda takes, gives: Demand(tuple(takes), tuple(gives)), BOOKED, BOOKED)


def not_later(one: Forecast, other: Forecast) -> bool:
    return all(
        a <= b + SECOND if b < FAR else True for a, b in zip(ends(one), ends(other), strict=True)
    )


@settings(max_examples=300, deadline=None)
@given(STATES, COUNTS, DEMANDS, BOOKED)
def test_more_demand_never_postpones(
    state: PoolState, days: list[Day], demand: Demand, more: list[Booked]
) -> None:
    wanted = replace(demand, takes=demand.takes + tuple(more))
    less, greater = look(state, tuple(days), demand), look(state, tuple(days), wanted)
    assert not_later(greater, less)
    assert greater.short >= less.short


@settings(max_examples=300, deadline=None)
@given(STATES, COUNTS, DEMANDS, some.integers(1, 30))
def test_more_free_never_brings_it_forward(
    state: PoolState, days: list[Day], demand: Demand, more: int
) -> None:
    roomier = replace(state, free=state.free + more, capacity=state.capacity + more)
    assert not_later(look(state, tuple(days), demand), look(roomier, tuple(days), demand))


@settings(max_examples=200, deadline=None)
@given(STATES, COUNTS, DEMANDS, BOOKED)
def test_more_give_backs_never_bring_it_forward(
    state: PoolState, days: list[Day], demand: Demand, more: list[Booked]
) -> None:
    given_back = replace(demand, gives=demand.gives + tuple(more))
    less, greater = look(state, tuple(days), demand), look(state, tuple(days), given_back)
    assert not_later(less, greater)


@settings(max_examples=200, deadline=None)
@given(STATES.filter(lambda state: state.free > 0), some.integers(0, 9), some.integers(0, 30))
def test_without_demand_and_with_a_flat_trend_nothing_runs_out(
    state: PoolState, rate: int, days: int
) -> None:
    at_once = replace(state, quarantine_seconds=0)
    assert look(at_once, (Day(rate, rate),) * days).run_out is None


@settings(max_examples=300, deadline=None)
@given(STATES, COUNTS, DEMANDS)
def test_the_earliest_is_never_after_the_expected_and_both_are_ahead(
    state: PoolState, days: list[Day], demand: Demand
) -> None:
    found = look(state, tuple(days), demand)
    earliest, expected = ends(found)
    assert NOW <= earliest <= expected
    if found.run_out and found.run_out.until and found.run_out.expected:
        assert found.run_out.until >= found.run_out.expected


@settings(max_examples=300, deadline=None)
@given(STATES, COUNTS, DEMANDS)
def test_what_is_left_out_for_speed_does_not_run_out(
    state: PoolState, days: list[Day], demand: Demand
) -> None:
    if cannot_run_out(state, [day.taken for day in days], demand, 90):
        assert look(state, tuple(days), demand).run_out is None


# -- the readers ------------------------------------------------------------------------------------


def make(base: Database, scope: str = "bng-1", last: int = 9, quarantine: int = 7200) -> str:
    with base.write() as tx:
        made = pools.create_pool(
            tx, "s-vlan", scope, first=1, last=last, quarantine_seconds=quarantine
        )
    return made.id


def take(base: Database, owner: str, scope: str = "bng-1", ttl: int | None = None) -> None:
    with base.write() as tx:
        allocator.take(
            tx,
            kind="s-vlan",
            scope=scope,
            owner=owner,
            ttl_seconds=ttl,
            state="reserved" if ttl else "active",
        )


def release(base: Database, owner: str) -> None:
    with base.write() as tx:
        allocator.release(tx, owner)


def test_states_add_up_and_say_what_comes_back(base: Database, clock: ManualClock) -> None:
    name = make(base)
    for owner in ("a", "b", "c"):
        take(base, owner)
    take(base, "cart", ttl=600)
    take(base, "gone", ttl=10)
    release(base, "a")
    clock.advance(timedelta(seconds=60))
    with base.read() as rx:
        (state,) = states(rx, Which(pool=name))
        back = returning(rx, [state.number])[state.number]
        shown = pools.pool(rx, name)
    assert (state.capacity, state.used, state.quarantined, state.free) == (9, 3, 1, 5)
    assert (shown.free, shown.quarantined) == (state.free, state.quarantined)
    assert shown.allocated + shown.reserved == state.used
    lapse, rest = back
    assert (lapse.count, lapse.certain, rest.count, rest.certain) == (1, False, 1, True)
    assert rest.at == clock.now() + timedelta(seconds=7140)


def test_history_is_counted_by_day_for_as_long_as_the_pool_was_there(
    base: Database, clock: ManualClock
) -> None:
    make(base, "old", 99)
    clock.advance(timedelta(days=20))
    make(base, "young", 99)
    for day in range(10):
        take(base, f"o{day}", "old")
        take(base, f"y{day}", "young")
        if day >= 5:
            release(base, f"o{day - 5}")
        clock.advance(timedelta(days=1))
    with base.read() as rx:
        found = {state.scope: state for state in states(rx)}
        days = histories(rx, list(found.values()), 12)
    old, young = days[found["old"].number], days[found["young"].number]
    assert [day.taken for day in old] == [0, 0] + [1] * 10
    assert [day.released for day in old] == [0] * 7 + [1] * 5
    assert [day.taken for day in young] == [1] * 10


def test_forecasts_come_soonest_first_and_in_pages(base: Database, clock: ManualClock) -> None:
    for scope, last in (("calm", 100), ("busy", 12), ("booked", 3), ("full", 1)):
        make(base, scope, last)
    take(base, "last one", "full")
    for day in range(8):
        clock.advance(timedelta(days=1))
        take(base, f"b{day}", "busy")
    clock.advance(timedelta(hours=1))
    later = clock.now() + timedelta(days=2)
    book = {("s-vlan", "booked"): Demand(tuple(Booked(later, f"po-{n}") for n in range(3)))}
    with base.read() as rx:
        found, total = forecasts(rx, book)
        page, _ = forecasts(rx, book, offset=1, limit=2)
        warned, count = forecasts(rx, book, level="critical")
    assert [one.state.scope for one in found] == ["full", "booked", "busy", "calm"]
    assert [one.level for one in found] == ["exhausted", "critical", "critical", "ok"]
    assert found[1].run_out is not None
    assert found[1].run_out.expected == later
    assert total == 4
    assert page == found[1:3]
    assert (warned, count) == (found[1:3], 2)


def test_which_pools(base: Database) -> None:
    for scope in ("olt-1", "olt-1/pon1", "olt-1/pon2", "olt-10/pon1", "olt-2"):
        make(base, scope)
    with base.read() as rx:
        assert {s.scope for s in states(rx, Which(under="olt-1"))} == {
            "olt-1",
            "olt-1/pon1",
            "olt-1/pon2",
        }
        assert [s.scope for s in states(rx, Which(kind="s-vlan", scope="olt-2"))] == ["olt-2"]
        assert states(rx, Which(kind="ipv4")) == []
        with pytest.raises(PoolNotFound):
            states(rx, Which(pool="s-vlan@nowhere"))


def test_roll_up_adds_pools_together(base: Database) -> None:
    for scope, last in (("olt-1/pon1", 4), ("olt-1/pon2", 1), ("olt-2/pon1", 10)):
        make(base, scope, last)
    take(base, "x", "olt-1/pon2")
    with base.read() as rx:
        found = roll_up(states(rx), "device", rx.now)
        (all_,) = roll_up(states(rx), "kind", rx.now)
        over = fullest(rx, 80, 5)
    assert [(g.name, g.pools, g.capacity, g.used, g.free) for g in found] == [
        ("olt-1", 2, 5, 1, 4),
        ("olt-2", 1, 10, 0, 10),
    ]
    assert found[0].levels == {"exhausted": 1, "critical": 0, "warning": 0, "ok": 1}
    assert found[0].fullest == "s-vlan@olt-1/pon2"
    assert (all_.name, all_.capacity, round(all_.utilisation, 2)) == ("s-vlan", 15, 6.67)
    assert [state.scope for state in over] == ["olt-1/pon2"]


@pytest.mark.parametrize(
    "outlook",
    [
        Outlook(horizon_days=0),
        Outlook(horizon_days=367),
        Outlook(window_days=6),
        Outlook(limits=Limits(warning=101)),
    ],
)
def test_bounds(base: Database, outlook: Outlook) -> None:
    with base.read() as rx, pytest.raises(InvalidInput):
        forecasts(rx, {}, outlook=outlook)


def test_reserved_bands_are_left_out_and_a_drained_pool_is_no_alarm(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "banded", first=1, last=10, bands={"static": "8-10"})
        pools.create_pool(tx, "s-vlan", "drained", first=1, last=1)
    take(base, "x", "drained")
    with base.write() as tx:
        reshape.drain(tx, "s-vlan@drained")
    with base.read() as rx:
        found = {one.state.scope: one for one in forecasts(rx, {})[0]}
        assert [state.scope for state in fullest(rx, 80, 5)] == []
    assert (found["banded"].state.capacity, found["banded"].state.free) == (7, 7)
    assert (found["drained"].level, found["drained"].run_out) == ("ok", None)
    assert "being drained" in found["drained"].because
