"""A process that dies just before or just after any commit: `run` of the same request brings the change to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from activation.model import ChangeRequest
from store import Database, Tx
from tests.activation.bench import (
    World,
    build_world,
    endpoint,
    line,
    request,
    route,
    withdrawn,
)

NEW = [*line(), route(), endpoint()]
MODIFY = [c for c in line(up=20, down=100) if c.role == "qos"] + [endpoint(profile="business")]
COMMITS = 7
"""One more than a change has that uses all three modes; the last case shows that none was forgotten."""


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int, when: str) -> Iterator[None]:
    real, count = Tx.commit, 0

    def commit(tx: Tx) -> None:
        nonlocal count
        count += 1
        if count == number and when == "before":
            raise Killed
        real(tx)
        if count == number:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Tx, "commit", commit)
        yield


def crash(
    world: World, monkeypatch: pytest.MonkeyPatch, wanted: ChangeRequest, number: int, when: str
) -> bool:
    """Run `wanted` and die at the number-th commit; False when there are not so many."""
    with killed_at(monkeypatch, number, when):
        try:
            world.activation.run(wanted)
        except Killed:
            world.activation.stop()
            world.activation = world.make()
            return True
    return False


@pytest.fixture
def calm(sqlite_template: Any, tmp_path: Any) -> Iterator[World]:
    """One store is enough: what is committed is the same on both."""
    import shutil

    shutil.copy(sqlite_template, tmp_path / "turnup.db")
    database = Database(f"sqlite:///{tmp_path / 'turnup.db'}")
    yield from build_world(database)
    database.close()


def assert_settled(world: World, wanted: ChangeRequest) -> None:
    outcome = world.activation.run(wanted)
    assert outcome.ok, outcome
    for device in world.network:
        assert device.pending is None
        assert device.locked_by is None
        audit = world.activation.audit(device.name)
        assert audit["verdict"] == "pass", audit
    with world.database.read() as rx:
        assert [b["state"] for b in world.activation.batches(rx, state="confirmed")]
        leases = rx.cursor().execute("SELECT COUNT(*) FROM device_lease").fetchone()
    assert leases == (0,)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
@pytest.mark.parametrize("what", ["new", "modify", "cease"])
def test_every_kill_point_converges(
    calm: World, monkeypatch: pytest.MonkeyPatch, what: str, number: int, when: str
) -> None:
    wanted = {
        "new": request("o1:line", NEW),
        "modify": request("o2:line", MODIFY),
        "cease": request("o2:line", withdrawn(NEW)),
    }[what]
    if what != "new":
        assert calm.activation.run(request("o1:line", NEW)).ok
    died = crash(calm, monkeypatch, wanted, number, when)
    assert_settled(calm, wanted)
    with calm.database.read() as rx:
        done = [b["change"] for b in calm.activation.batches(rx, state="confirmed")]
    assert done.count(wanted.id) == 1
    assert died == (number < COMMITS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, COMMITS + 1))
def test_every_kill_point_of_an_undo_converges(
    calm: World, monkeypatch: pytest.MonkeyPatch, number: int, when: str
) -> None:
    from activation.drivers.base import DeviceRejected

    calm.network["acs-1"].fail("apply", DeviceRejected)
    wanted = request("o1:line", NEW)
    died = crash(calm, monkeypatch, wanted, number, when)
    outcome = calm.activation.run(wanted)
    if not outcome.ok:
        assert outcome.code == "DEVICE_REJECTED"
    assert_settled(calm, wanted)
    assert died == (number < COMMITS)


@pytest.mark.parametrize("number", [2, 4, 6])
def test_the_timer_runs_out_while_the_process_is_down(
    calm: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    wanted = request("o1:line", NEW)
    assert crash(calm, monkeypatch, wanted, number, "after")
    for device in calm.network:
        device.revert()
    assert_settled(calm, wanted)


def test_an_order_that_never_returns_does_not_hold_its_devices(
    calm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert crash(calm, monkeypatch, request("o1:line", NEW), 3, "after")
    assert calm.activation.run(request("o2:line", line(8))).ok
    assert_settled(calm, request("o2:line", line(8)))
    assert_settled(calm, request("o1:line", NEW))
