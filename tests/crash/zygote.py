"""A process that has everything imported and forks real servers on demand: a start costs what it costs, minus imports.

Commands are JSON lines on stdin: {"start": {args, log, armed, count, at, when}} → {"pid"}; {"status": pid} →
{"ended": null | return code (negative: signal)}; {"term": pid}. Each server kills itself (SIGKILL) just before or just
after its n-th commit, counted from when the file `armed` exists. Product code has no hooks: the commit is wrapped here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import napalm.eos  # noqa: F401  (imported here, so that the forked servers need not)

import turnup.server  # noqa: F401
from store.database import Tx
from turnup.cli.app import app

Json = dict[str, Any]


def main() -> None:
    """Serve commands until stdin is closed; then end what still runs."""
    running: dict[int, int | None] = {}
    for line in sys.stdin:
        command = json.loads(line)
        if "start" in command:
            pid = _fork(command["start"])
            running[pid] = None
            _answer({"pid": pid})
        elif "status" in command:
            _answer({"ended": _status(running, command["status"])})
        else:
            os.kill(command["term"], signal.SIGTERM)
            _answer({})
    for pid, ended in running.items():
        if ended is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _status(running: dict[int, int | None], pid: int) -> int | None:
    if running[pid] is None:
        done, status = os.waitpid(pid, os.WNOHANG)
        running[pid] = os.waitstatus_to_exitcode(status) if done else None
    return running[pid]


def _fork(how: Json) -> int:
    pid = os.fork()
    if pid:
        return pid
    log = os.open(how["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _wrap_commit(how)
    try:
        app(how["args"], standalone_mode=False)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    raise AssertionError("not reached")


def _wrap_commit(how: Json) -> None:
    commit, lock, seen = Tx.commit, threading.Lock(), [0]
    armed, count = Path(how["armed"]), Path(how["count"])

    def counted(self: Tx) -> None:
        if not armed.exists():
            commit(self)
            return
        with lock:
            seen[0] += 1
            mine = seen[0]
            count.write_text(str(mine))
        if mine == how["at"] and how["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)
        if mine == how["at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    Tx.commit = counted  # type: ignore[method-assign]


def _answer(body: Json) -> None:
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
