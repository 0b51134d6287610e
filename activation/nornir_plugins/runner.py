"""Runner plug-in `turnup_async`: async tasks side by side in the device loop, ordinary sync tasks in threads.

What Nornir's own runners lack: a deadline per host, every host in the result whatever happened to another,
and no BaseException of one task that loses the results of all.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from nornir.core.exceptions import NornirSubTaskError
from nornir.core.inventory import Host
from nornir.core.task import DEFAULT_SEVERITY_LEVEL, AggregatedResult, MultiResult, Result, Task

from activation.drivers.base import DriverError, SessionDropped
from activation.drivers.loop import LoopThread, shared_loop

log = logging.getLogger(__name__)
GRACE_S = 2.0
"""How long a cancelled task may tidy up before it is left behind."""


class AsyncRunner:
    """Nornir runner.

    `deadline_s`: seconds per host from its start; then its result is SessionDropped.
    `concurrency`: hosts at the same time for async tasks; `threads`: for sync ones.
    A sync task that overruns its deadline cannot be stopped: its thread is left to end by itself.
    """

    def __init__(
        self,
        deadline_s: float = 60.0,
        concurrency: int = 1000,
        threads: int = 32,
        loop: LoopThread | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._concurrency = concurrency
        self._threads = threads
        self._loop = loop or shared_loop()

    def run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        """Run a copy of `task` on each host; every host is in the result."""
        return self._loop.run(self._run(task, hosts))

    async def _run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        asynchronous = is_async(task.task)
        limit = asyncio.Semaphore(self._concurrency if asynchronous else self._threads)
        start = start_async if asynchronous else _start_in_thread

        async def one(host: Host) -> MultiResult:
            async with limit:
                return await self._bounded(task.copy(), host, start)

        results = await asyncio.gather(*(one(host) for host in hosts))
        answer = AggregatedResult(task.name)
        answer.update(zip((host.name for host in hosts), results, strict=True))
        return answer

    async def _bounded(
        self, task: Task, host: Host, start: Callable[[Task, Host], Awaitable[MultiResult]]
    ) -> MultiResult:
        work = asyncio.ensure_future(start(task, host))
        try:
            done, _ = await asyncio.wait({work}, timeout=self._deadline_s)
            if done:
                return work.result()
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=GRACE_S)
        error = SessionDropped(
            host.name,
            f"{task.name}: not done within {self._deadline_s:g} s; what it did is not known",
        )
        return failed(task, host, error)


def is_async(task: Any) -> bool:
    """Return whether a Nornir task function must be awaited."""
    return inspect.iscoroutinefunction(task) or inspect.iscoroutinefunction(
        getattr(task, "__call__", None)  # noqa: B004 - an object whose __call__ is a coroutine function
    )


def failed(task: Task, host: Host, error: BaseException) -> MultiResult:
    """Return the failed result of `task` on `host`."""
    answer = MultiResult(task.name)
    answer.append(_result(task, Result(host, result=str(error), exception=error, failed=True)))
    return answer


async def start_async(task: Task, host: Host) -> MultiResult:
    """Do for a coroutine function what `Task.start` does for a function, processors and all."""
    task.host = host
    _started(task, host)
    result = await _awaited(task, host)
    task.results.insert(0, _result(task, result))
    _completed(task, host)
    return task.results


async def run_subtask(
    parent: Task, work: Callable[..., Awaitable[Any]], **params: Any
) -> MultiResult:
    """Run an async subtask, as `task.run` runs a sync one.

    Raises:
        NornirSubTaskError: the subtask failed.
    """
    task = Task(
        work,
        parent.nornir,
        global_dry_run=parent.global_dry_run,
        processors=parent.processors,
        parent_task=parent,
        **params,
    )
    results = await start_async(task, parent.host)
    parent.results.append(results[0] if len(results) == 1 else results)  # type: ignore[arg-type]  # as Nornir does
    if results.failed:
        raise NornirSubTaskError(task=task, result=results)
    return results


async def _awaited(task: Task, host: Host) -> Result:
    try:
        answer = await task.task(task, **task.params)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        if not isinstance(error, DriverError):
            log.warning("host %s: task %s failed", host.name, task.name, exc_info=error)
        return Result(host, result=str(error), exception=error, failed=True)
    return answer if isinstance(answer, Result) else Result(host=host, result=answer)


async def _start_in_thread(task: Task, host: Host) -> MultiResult:
    # Daemon threads, not an executor: the interpreter would wait for an executor's stuck thread at exit.
    loop = asyncio.get_running_loop()
    done: asyncio.Future[MultiResult] = loop.create_future()

    def tell(result: MultiResult) -> None:
        if not done.done():
            done.set_result(result)

    def work() -> None:
        try:
            result = task.start(host)
        except BaseException as error:  # noqa: BLE001 - Task.start catches only Exception
            result = failed(task, host, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, result)

    threading.Thread(target=work, name=f"nornir-{host.name}", daemon=True).start()
    return await done


def _result(task: Task, result: Result) -> Result:
    result.name = task.name  # type: ignore[assignment]  # Nornir types it None and assigns str
    if result.severity_level == DEFAULT_SEVERITY_LEVEL:
        result.severity_level = logging.ERROR if result.failed else task.severity_level
    return result


def _started(task: Task, host: Host) -> None:
    if task.parent_task is None:
        task.processors.task_instance_started(task, host)
    else:
        task.processors.subtask_instance_started(task, host)


def _completed(task: Task, host: Host) -> None:
    if task.parent_task is None:
        task.processors.task_instance_completed(task, host, task.results)
    else:
        task.processors.subtask_instance_completed(task, host, task.results)
