"""The session pool: what is kept, what is cut, what is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from activation.drivers.base import DeviceRejected, DeviceUnreachable, Endpoint, SessionDropped
from activation.drivers.memory import LineDialect, MemoryDriver, MemoryNetwork
from activation.drivers.pool import Session, SessionPool

A = Endpoint("a", "p", "memory", "", 0, "u", "p")


class Made:
    """A factory that remembers what it made."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.network.add("a", dialect=LineDialect())
        self.sessions: list[MemoryDriver] = []

    def __call__(self, endpoint: Endpoint) -> Session:
        self.sessions.append(self.network.driver(endpoint))
        return self.sessions[-1]


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (DeviceRejected("a", "no"), True),
        (DeviceUnreachable("a", "gone"), True),
        (SessionDropped("a", "dropped"), False),
        (ValueError("bug"), False),
    ],
)
def test_what_costs_the_session(run: Callable[[Any], Any], error: Exception, kept: bool) -> None:
    async def test() -> None:
        made = Made()
        pool = SessionPool(made)
        with pytest.raises(type(error)):
            async with pool.session(A):
                raise error
        async with pool.session(A) as session:
            assert session.alive
        assert len(made.sessions) == (1 if kept else 2)
        await pool.close()

    run(test())


def test_cancelled_borrower_costs_the_session(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        made = Made()
        pool = SessionPool(made)

        async def borrow() -> None:
            async with pool.session(A) as session:
                await session.lock("b1")
                await asyncio.sleep(60)

        task = asyncio.ensure_future(borrow())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not made.sessions[0].alive
        assert made.network["a"].locked_by is None

    run(test())


def test_failed_open_is_not_kept(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        made = Made()
        pool = SessionPool(made)
        made.network["a"].down = True
        for _ in range(2):
            with pytest.raises(DeviceUnreachable):
                await pool.session(A).__aenter__()
        made.network["a"].down = False
        async with pool.session(A):
            pass
        assert pool.open_sessions == 1
        await pool.close()

    run(test())


def test_dead_session_is_opened_anew(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        made = Made()
        pool = SessionPool(made)
        async with pool.session(A):
            pass
        made.sessions[0].abort()
        async with pool.session(A) as session:
            assert session is made.sessions[1]
        await pool.close()

    run(test())


@pytest.mark.parametrize(("hold_s", "kept"), [(60.0, True), (0.1, False)])
def test_abandoned_lock_is_not_held_for_ever(
    run: Callable[[Any], Any], hold_s: float, kept: bool
) -> None:
    async def test() -> None:
        made = Made()
        pool = SessionPool(made, idle_s=0.05, hold_s=hold_s)
        async with pool.session(A) as session:
            await session.lock("b1")
        await asyncio.sleep(0.4)
        assert (made.network["a"].locked_by is not None) is kept
        assert pool.open_sessions == int(kept)
        await pool.close()
        assert made.network["a"].locked_by is None

    run(test())


def test_logins_at_the_same_time_are_bounded(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        network = MemoryNetwork()
        now = most = 0

        class Slow(MemoryDriver):
            async def open(self) -> None:
                nonlocal now, most
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.01)
                now -= 1
                await super().open()

        def make(endpoint: Endpoint) -> Session:
            return Slow(network.add(endpoint.device, dialect=LineDialect()))

        pool = SessionPool(make, max_opens=3)

        async def borrow(name: str) -> None:
            async with pool.session(Endpoint(name, "p", "memory", "", 0, "u", "p")):
                pass

        await asyncio.gather(*(borrow(f"d{n}") for n in range(12)))
        assert most == 3
        assert pool.open_sessions == 12
        await pool.close()
        assert pool.open_sessions == 0

    run(test())
