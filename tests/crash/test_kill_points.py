"""kill -9 at every persisted step of new, modify and cease, against a lab that lives on.

One round: order (the server kills itself at the n-th commit), start it again, the order completes; the same for the
speed change and for the cease. Afterwards nothing may have been done twice and no trace may be left. `make crash`
goes through all n, before and after the commit, and writes a table; `make test` tries a handful.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab import api as lab
from turnup.orderfile import API, fill

ROOT = Path(__file__).resolve().parents[2]
METRO = ROOT / "topologies" / "metro.clab.yml"
ORDERS = ROOT / "examples" / "orders"
ENDED = ("completed", "failed", "partial", "cancelled", "rejected", "held")
FEW = ((3, "after"), (9, "before"), (17, "after"), (26, "before"))
MAX_POINTS = 200
Json = dict[str, Any]


class Zygote:
    """Talks to the process that forks servers (tests/crash/zygote.py)."""

    def __init__(self) -> None:
        program = ROOT / "tests" / "crash" / "zygote.py"
        command = [sys.executable, "-P", str(program)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **command: Any) -> Json:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer: Json = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@dataclass
class Box:
    """One lab, one database, and a server that is killed and started again."""

    folder: Path
    zygote: Zygote
    port: int = 0
    pid: int = 0
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, at: int = 0, when: str = "after") -> None:
        """Start the server; with `at` it will kill itself at that commit once it is armed."""
        self.port = _free_port()
        (self.folder / "armed").unlink(missing_ok=True)
        args = [
            "serve",
            "--port",
            str(self.port),
            "--database",
            f"sqlite:///{self.folder}/turnup.db",
        ]
        args += ["--topology", str(METRO), "--state-dir", str(self.folder / "state")]
        names = {name: str(self.folder / name) for name in ("armed", "count")}
        how = {
            "args": args,
            "log": str(self.folder / "server.log"),
            "at": at,
            "when": when,
            **names,
        }
        self.pid = self.zygote.ask(start=how)["pid"]
        self._ready()

    def arm(self) -> None:
        (self.folder / "armed").touch()

    def ended(self) -> int | None:
        return self.zygote.ask(status=self.pid)["ended"] if self.pid else 0

    def killed(self, limit: float = 10) -> bool:
        """Wait for the end and tell whether it was SIGKILL."""
        deadline = time.monotonic() + limit
        while (code := self.ended()) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return code == -signal.SIGKILL

    def stop(self) -> None:
        if self.pid and self.ended() is None:
            self.zygote.ask(term=self.pid)
            assert not self.killed(30), "the server did not end cleanly"
        self.pid = 0

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = self.http.request(method, self.url + path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def log(self) -> str:
        return (self.folder / "server.log").read_text()[-3000:]

    def _ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.ended() is None, self.log()
            try:
                if self.http.get(self.url + "/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(self.log())


@contextmanager
def boxed(folder: Path) -> Iterator[Box]:
    """A lab that lives on, and a database with catalog and devices (`clean.db`) that each round copies."""
    info = lab.up(METRO, folder / "state", owner_pid=os.getpid())
    zygote = Zygote()
    box = Box(folder, zygote)
    try:
        box.start()
        box.stop()
        (folder / "turnup.db").rename(folder / "clean.db")
        yield box
    finally:
        zygote.close()
        box.http.close()
        lab.down(info.name, folder / "state")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One box for the handful."""
    with boxed(tmp_path_factory.mktemp("crash")) as found:
        yield found


@pytest.mark.parametrize(("at", "when"), FEW)
def test_a_handful_of_kill_points(box: Box, at: int, when: str) -> None:
    assert _round(box, at, when)["killed"]


@pytest.mark.crash
def test_every_kill_point(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not request.config.getoption("--crash-all"):
        pytest.skip("make crash goes through all kill points")
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(_all_points, tmp_path / when, when) for when in ("before", "after")]
        rows = sorted(
            (row for half in halves for row in half.result()),
            key=lambda r: (r["commit"], r["when"]),
        )
    _table(rows)
    assert len([row for row in rows if row["killed"]]) > 2 * len(FEW)


def _all_points(folder: Path, when: str) -> list[Json]:
    folder.mkdir()
    rows = []
    with boxed(folder) as box:
        for at in range(1, MAX_POINTS):
            row = {"commit": at, "when": when, **_round(box, at, when)}
            if not row["killed"]:
                break
            rows.append(row)
    return rows


def _round(box: Box, at: int, when: str) -> Json:
    """One life of a line with a kill in each of its three orders; raises when anything is not as it must be."""
    for suffix in ("", "-wal", "-shm"):
        (box.folder / f"turnup.db{suffix}").unlink(missing_ok=True)
    shutil.copy(box.folder / "clean.db", box.folder / "turnup.db")
    killed: list[str] = []
    product = ""
    before: dict[str, str] = {}
    for step in ("new", "modify", "cease"):
        box.start(at, when)
        before = before or _running(box)
        order = _order(box, step, product)
        if not order:
            killed.append(step)
            box.start()
            order = _resume(box, step, product)
        assert order["state"] == "completed", (step, at, when, order)
        product = order["productOrderItem"][0]["product"]["id"]
        _check(box, step)
        if step == "cease":
            assert _running(box) == before, (at, when)
        box.stop()
    return {"killed": killed, "result": "completed, nothing twice, no trace"}


def _order(box: Box, step: str, product: str) -> Json:
    """Submit and follow until it ends or the server is dead."""
    body = json.loads(
        fill(
            (ORDERS / f"superfibre-200-home.{step}.json").read_text(), {"productId": product}, step
        )
    )
    box.arm()
    try:
        box.call("POST", API["productOrder"], body)
        return _follow(box)
    except httpx.TransportError:
        assert box.killed(), "the server ended in another way"
        return {}


def _resume(box: Box, step: str, product: str) -> Json:
    """After the restart: follow the order that is there; when the kill was before it was kept, order again."""
    wanted = {"new": "add", "modify": "modify", "cease": "delete"}[step]
    orders = box.call("GET", API["productOrder"])
    if not [o for o in orders if o["productOrderItem"][0]["action"] == wanted]:
        return _order(box, step, product)
    assert len([o for o in orders if o["productOrderItem"][0]["action"] == wanted]) == 1
    return _follow(box)


def _follow(box: Box) -> Json:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        order: Json = box.call("GET", API["productOrder"])[0]
        if order["state"] in ENDED:
            return order
        for task in box.call("GET", "/turnup/v1/externalTasks?state=waiting"):
            box.http.post(
                f"{box.url}/turnup/v1/externalTasks/{task['id']}/complete",
                json=task["example"],
            )
        time.sleep(0.03)
    raise AssertionError(box.call("GET", f"/turnup/v1/trace/{order['id']}"))


def _check(box: Box, step: str) -> None:
    """Every device as intended; every value once; one order per layer and step."""
    for device in box.call("GET", "/turnup/v1/devices"):
        report = box.call("POST", f"/turnup/v1/devices/{device['name']}/audit")
        assert report["verdict"] == "pass", report
    orders = {layer: len(box.call("GET", path)) for layer, path in API.items()}
    count = {"new": 1, "modify": 2, "cease": 3}[step]
    assert set(orders.values()) == {count}, orders
    held = {
        p["kind"]: p["allocated"] for p in box.call("GET", "/turnup/v1/pools") if p["allocated"]
    }
    assert all(number == 1 for number in held.values()), held
    reserved = [p["id"] for p in box.call("GET", "/turnup/v1/pools") if p["reserved"]]
    assert not reserved, reserved
    assert bool(held) == (step != "cease"), held


def _running(box: Box) -> dict[str, str]:
    devices = [d["name"] for d in box.call("GET", "/turnup/v1/devices")]
    return {
        d: box.call("GET", f"/turnup/v1/devices/{d}/config?view=running")["text"] for d in devices
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _table(rows: list[Json]) -> None:
    lines = ["| commit | when | killed in | result |", "|---|---|---|---|"]
    lines += [
        f"| {r['commit']} | {r['when']} | {', '.join(r['killed']) or '-'} | {r['result']} |"
        for r in rows
    ]
    target = ROOT / "build" / "kill-points.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
