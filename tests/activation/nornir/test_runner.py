"""The runner: async and sync tasks, deadlines, and that every host is in the result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from nornir.core import Nornir
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.processor import Processor
from nornir.core.task import AggregatedResult, MultiResult, Result, Task

from activation.drivers.base import SessionDropped
from activation.drivers.loop import LoopThread
from activation.nornir_plugins.runner import AsyncRunner, run_subtask


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread("test-loop")
    yield thread
    thread.stop()


def nornir(loop: LoopThread, count: int = 3, **options: Any) -> Nornir:
    hosts = Hosts({f"h{n}": Host(name=f"h{n}") for n in range(count)})
    return Nornir(inventory=Inventory(hosts=hosts), runner=AsyncRunner(loop=loop, **options))


async def name_of(task: Task, suffix: str = "") -> str:
    await asyncio.sleep(0)
    return str(task.host.name) + suffix


def test_async_task(loop: LoopThread) -> None:
    result = nornir(loop).run(name_of, suffix="!")
    assert {name: answer[0].result for name, answer in result.items()} == {
        "h0": "h0!",
        "h1": "h1!",
        "h2": "h2!",
    }
    assert not result.failed


def test_async_tasks_run_side_by_side(loop: LoopThread) -> None:
    async def wait(task: Task) -> str:
        await asyncio.sleep(0.1)
        return threading.current_thread().name

    began = time.monotonic()
    result = nornir(loop, 500).run(wait)
    assert time.monotonic() - began < 2.0  # one after the other: 50 s
    assert {answer[0].result for answer in result.values()} == {"test-loop"}


def test_concurrency_is_bounded(loop: LoopThread) -> None:
    now, most = 0, 0

    async def count(task: Task) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1

    nornir(loop, 20, concurrency=4).run(count)
    assert most == 4


def test_sync_task_runs_in_a_thread_of_its_own(loop: LoopThread) -> None:
    def work(task: Task) -> Result:
        return Result(host=task.host, result=threading.current_thread().name, changed=True)

    result = nornir(loop).run(work)
    assert result["h1"][0].result == "nornir-h1"
    assert result["h1"].changed


def test_sync_subtasks_work_as_always(loop: LoopThread) -> None:
    def inner(task: Task, n: int) -> int:
        return n * 2

    def outer(task: Task) -> str:
        return f"got {task.run(inner, n=21)[0].result}"

    result = nornir(loop).run(outer)
    assert result["h0"][0].result == "got 42"
    assert result["h0"][1].result == 42


def test_async_subtasks(loop: LoopThread) -> None:
    async def outer(task: Task) -> str:
        return f"got {(await run_subtask(task, name_of, suffix='?'))[0].result}"

    result = nornir(loop).run(outer)
    assert [entry.result for entry in result["h0"]] == ["got h0?", "h0?"]


def test_failed_async_subtask_fails_the_task(loop: LoopThread) -> None:
    async def inner(task: Task) -> None:
        msg = "broken"
        raise ValueError(msg)

    async def outer(task: Task) -> None:
        await run_subtask(task, inner)

    result = nornir(loop).run(outer)
    assert result.failed
    assert isinstance(result["h0"][1].exception, ValueError)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_any_error_of_one_host_leaves_the_others(
    loop: LoopThread, error: BaseException, asynchronous: bool
) -> None:
    async def later(task: Task) -> str:
        return now(task)

    def now(task: Task) -> str:
        if task.host.name == "h1":
            raise error
        return "fine"

    result = nornir(loop).run(later if asynchronous else now)
    assert result["h1"][0].exception is error
    assert result["h0"][0].result == result["h2"][0].result == "fine"
    assert list(result.failed_hosts) == ["h1"]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_deadline_ends_only_the_slow_host(loop: LoopThread, asynchronous: bool) -> None:
    release = threading.Event()

    async def later(task: Task) -> str:
        await asyncio.sleep(60 if task.host.name == "h1" else 0)
        return "fine"

    def now(task: Task) -> str:
        if task.host.name == "h1":
            release.wait(60)
        return "fine"

    began = time.monotonic()
    result = nornir(loop, deadline_s=0.2).run(later if asynchronous else now)
    release.set()
    assert time.monotonic() - began < 5
    assert isinstance(result["h1"][0].exception, SessionDropped)
    assert result["h2"][0].result == "fine"


def test_task_that_ignores_its_cancellation_is_left_behind(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activation.nornir_plugins.runner.GRACE_S", 0.1)

    async def stubborn(task: Task) -> None:
        for _ in range(20):
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    began = time.monotonic()
    result = nornir(loop, 1, deadline_s=0.1).run(stubborn)
    assert time.monotonic() - began < 0.9
    assert isinstance(result["h0"][0].exception, SessionDropped)


def test_run_from_inside_the_loop_says_so(loop: LoopThread) -> None:
    async def nested(task: Task) -> None:
        task.nornir.run(name_of)

    result = nornir(loop, 1).run(nested)
    assert "use await" in str(result["h0"][0].exception)


class Heard(Processor):
    def __init__(self) -> None:
        self.events: list[str] = []

    def task_started(self, task: Task) -> None:
        self.events.append("started")

    def task_completed(self, task: Task, result: AggregatedResult) -> None:
        self.events.append("completed")

    def task_instance_started(self, task: Task, host: Host) -> None:
        self.events.append(f"{host.name} started")

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        self.events.append(f"{host.name} {result[0].result}")

    def subtask_instance_started(self, task: Task, host: Host) -> None:
        self.events.append(f"{host.name} sub started")

    def subtask_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:
        self.events.append(f"{host.name} sub {result[0].result}")


def test_processors_hear_of_async_tasks(loop: LoopThread) -> None:
    async def outer(task: Task) -> str:
        await run_subtask(task, name_of)
        return "done"

    heard = Heard()
    nornir(loop, 1).with_processors([heard]).run(outer)
    assert heard.events == [
        "started",
        "h0 started",
        "h0 sub started",
        "h0 sub h0",
        "h0 done",
        "completed",
    ]
