"""One event-loop thread that owns all device sessions of a process; everything else is sync threads."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
STOP_S = 5.0
"""How long `stop` waits for tasks that do not want to end."""


class LoopThread:
    """An asyncio event loop in a daemon thread of its own, started at the first call."""

    def __init__(self, name: str = "turnup-devices") -> None:
        self._name = name
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start `work` in the loop and return a future that any thread may wait for."""
        return asyncio.run_coroutine_threadsafe(work, self._running())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the loop, wait for it and return its result.

        Raises:
            RuntimeError: called from the loop's own thread, where waiting would never end.
        """
        if self.inside():
            work.close()
            msg = "called from the device loop itself: use await there"
            raise RuntimeError(msg)
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C in the waiting thread must not leave the work running
            raise

    def inside(self) -> bool:
        """Return whether the caller is the loop's own thread."""
        return self._thread is threading.current_thread()

    def stop(self) -> None:
        """Cancel what runs and end the thread; the next call starts a new one."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


async def _cancel_all() -> None:
    current = asyncio.current_task()
    tasks = [task for task in asyncio.all_tasks() if task is not current]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=STOP_S)
    await asyncio.get_running_loop().shutdown_asyncgens()


_shared = LoopThread()
atexit.register(_shared.stop)


def shared_loop() -> LoopThread:
    """Return the loop thread of this process."""
    return _shared
