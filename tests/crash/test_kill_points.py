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
from dataclasses import dataclass
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


@dataclass
class Box:
    """One lab, one database, and a server that is killed and started again."""

    folder: Path
    info: Any
    port: int = 0
    server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, at: int = 0, when: str = "after") -> None:
        """Start the server; with `at` it will kill itself at that commit once it is armed."""
        self.port = _free_port()
        (self.folder / "armed").unlink(missing_ok=True)
        environment = {
            **os.environ,
            "CRASH_ARMED": str(self.folder / "armed"),
            "CRASH_COUNT": str(self.folder / "count"),
            "CRASH_AT": str(at),
            "CRASH_WHEN": when,
        }
        program = ROOT / "tests" / "crash" / "launcher.py"
        command = [sys.executable, "-P", str(program), "serve", "--port", str(self.port)]
        command += ["--database", f"sqlite:///{self.folder}/turnup.db", "--topology", str(METRO)]
        command += ["--state-dir", str(self.folder / "state"), "--owner-pid", str(os.getpid())]
        with (self.folder / "server.log").open("ab") as log:
            self.server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self._ready()

    def arm(self) -> None:
        (self.folder / "armed").touch()

    def dead(self) -> bool:
        return self.server is not None and self.server.poll() == -signal.SIGKILL

    def stop(self) -> None:
        if self.server and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(20)

    def call(self, method: str, path: str, body: Json | None = None) -> Any:
        answer = httpx.request(method, self.url + path, json=body, timeout=20)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def _ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.server is not None
            assert self.server.poll() is None, (self.folder / "server.log").read_text()[-3000:]
            try:
                if httpx.get(self.url + "/readyz", timeout=1).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError((self.folder / "server.log").read_text()[-3000:])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A database with catalog and devices, copied for every round."""
    folder = tmp_path_factory.mktemp("crash-template")
    info = lab.up(METRO, folder / "state", owner_pid=os.getpid())
    box = Box(folder, info)
    box.start()
    box.stop()
    (folder / "turnup.db").rename(folder / "clean.db")
    yield folder
    lab.down(info.name, folder / "state")


@pytest.mark.parametrize(("at", "when"), FEW)
def test_a_handful_of_kill_points(template: Path, at: int, when: str) -> None:
    _round(template, at, when)


@pytest.mark.crash
def test_every_kill_point(template: Path, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--crash-all"):
        pytest.skip("make crash runs all kill points")
    rows = []
    for at in range(1, MAX_POINTS):
        outcomes = [_round(template, at, when) for when in ("before", "after")]
        rows += [
            {"commit": at, "when": when, **outcome}
            for when, outcome in zip(("before", "after"), outcomes, strict=True)
        ]
        if not any(row["killed"] for row in rows[-2:]):
            break
    _table(rows)
    assert all(row["result"] == "completed, nothing twice, no trace" for row in rows)


def _round(template: Path, at: int, when: str) -> Json:
    """One life of a line with a kill in each of its three orders; raises when anything is not as it must be."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{template}/turnup.db{suffix}").unlink(missing_ok=True)
    shutil.copy(template / "clean.db", template / "turnup.db")
    box = Box(template, None)
    killed: list[str] = []
    product = ""
    before: dict[str, str] = {}
    try:
        for step in ("new", "modify", "cease"):
            box.start(at, when)
            before = before or _running(box)
            order = _order(box, step, product)
            if box.dead():
                killed.append(step)
                box.start()
                order = _resume(box, step, product)
            assert order["state"] == "completed", (step, at, when, order)
            product = order["productOrderItem"][0]["product"]["id"]
            _check(box, step)
            box.stop()
        box.start()
        assert _running(box) == before, (at, when)
        assert not [
            p["id"] for p in box.call("GET", "/turnup/v1/pools") if p["allocated"] or p["reserved"]
        ]
    finally:
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
        assert box.server is not None
        box.server.wait(10)
        assert box.dead(), "the server ended in another way"
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
            httpx.post(
                f"{box.url}/turnup/v1/externalTasks/{task['id']}/complete",
                json=task["example"],
                timeout=20,
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
