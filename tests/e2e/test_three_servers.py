"""Each layer behind its port: COM, SOM and ROM as three servers with three databases, joined by HTTP only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.api import LabInfo
from tests.e2e.conftest import ORDERS, Server, start_server
from tmf.http_ports import HttpResourceOrdering, HttpServiceOrdering
from tmf.paths import BASE_PATHS
from turnup.application import Below

Three = tuple[Server, Server, Server]


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, metro: tuple[LabInfo, Path]) -> Iterator[Three]:
    """A chain of three servers, each listening to the hub of the one below."""
    tmp_path = tmp_path_factory.mktemp("three")
    with (
        _server(tmp_path / "rom.db", metro) as rom,
        HttpResourceOrdering(rom.url, "SOM") as resource_ordering,
        _server(tmp_path / "som.db", metro, Below(rom=resource_ordering)) as som,
        HttpServiceOrdering(som.url, "COM") as service_ordering,
        _server(tmp_path / "com.db", metro, Below(som=service_ordering)) as com,
    ):
        rom.post(
            f"{BASE_PATHS['652']}/hub", {"callback": f"{som.url}/turnup/v1/listeners/652"}, 201
        )
        som.post(
            f"{BASE_PATHS['641']}/hub", {"callback": f"{com.url}/turnup/v1/listeners/641"}, 201
        )
        yield com, som, rom


def test_new_and_cease_through_three_servers(three: Three) -> None:
    com, som, rom = three
    before = rom.running_configs()
    done = _follow(com, rom, com.submit("superfibre-200-home.new.json")["id"])
    assert done["state"] == "completed", done.get("errorMessage")
    assert [len(s.inventory(a)) for s, a in ((com, "637"), (som, "638"))] == [1, 10]
    assert com.inventory("638") == []
    assert set(rom.audit_all().values()) == {"pass"}
    product = done["productOrderItem"][0]["product"]["id"]
    ceased = _follow(
        com, rom, com.submit("superfibre-200-home.cease.json", productId=product)["id"]
    )
    assert ceased["state"] == "completed", ceased.get("errorMessage")
    assert rom.running_configs() == before


def test_held_below_is_mirrored_above_and_cancel_goes_down(three: Three) -> None:
    com, _, rom = three
    rom.fault("olt-east-07", "down")
    order = com.submit("superfibre-200-home.new.json")
    held = com.follow(order["id"], until=("held",), deliver=False)
    assert held["errorMessage"][0]["code"] == "DEVICE_UNREACHABLE"
    assert com.get("/turnup/v1/fallouts") == []
    assert len(rom.get("/turnup/v1/fallouts")) == 1
    rom.clear_faults()
    com.post(f"{BASE_PATHS['622']}/cancelProductOrder", {"productOrder": {"id": order["id"]}}, 201)
    ended = com.follow(order["id"], until=("cancelled",), deliver=False)
    assert ended["state"] == "cancelled"
    assert rom.used_pools() == []


def test_a_simulation_reaches_the_devices_through_all(three: Three) -> None:
    com, _, rom = three
    body = json.loads((ORDERS / "superfibre-200-home.new.json").read_text(encoding="utf-8"))
    shown = com.post("/turnup/v1/simulations", {"productOrder": body}, 200)
    assert {d["device"] for d in shown["devices"]} >= {"olt-east-07", "bng-1", "agg-1"}
    assert shown["planHash"]
    assert rom.used_pools() == []


@contextmanager
def _server(
    path: Path, metro: tuple[LabInfo, Path], below: Below | None = None
) -> Iterator[Server]:
    yield from start_server(f"sqlite:///{path}", metro, below)


def _follow(com: Server, rom: Server, order_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        order = com.order(order_id)
        if order["state"] in ("completed", "held", "cancelled"):
            return order
        assert time.monotonic() < deadline, rom.get("/turnup/v1/fallouts")
        rom.deliver()
        time.sleep(0.05)
