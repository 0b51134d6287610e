"""Run-out of real pools by real orders: scheduled, ceased, cancelled; over HTTP and on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.api import LabInfo
from tests.e2e.conftest import ORDERS, Server, server_on, start_server
from tests.turnup.conftest import WIDTH, Run
from tmf.paths import BASE_PATHS
from turnup.orderfile import fill, json_object

__all__ = ["server_on"]
PRODUCT_ORDER = BASE_PATHS["622"] + "/productOrder"
FORECAST = "/turnup/v1/poolForecast"
SERIALS = "onu-serial@HG8245H"
Json = dict[str, Any]


@pytest.fixture
def server(tmp_path: Path, metro: tuple[LabInfo, Path], sqlite_template: Path) -> Iterator[Server]:
    """A server on a copy of an empty database: no migration for each test."""
    path = tmp_path / "turnup.db"
    shutil.copy(sqlite_template, path)
    yield from start_server(f"sqlite:///{path}", metro)


def ahead(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def body(name: str, begin: datetime, **values: str) -> Json:
    text = (ORDERS / f"superfibre-200-home.{name}.json").read_text(encoding="utf-8")
    order = json_object(fill(text, values, name), name)
    return {**order, "requestedStartDate": begin.isoformat()}


def book(
    server: Server, begin: datetime, place: str = "PL-1001", name: str = "new", **values: str
) -> str:
    order = body(name, begin, **values)
    if name == "new":
        order["productOrderItem"][0]["product"]["place"][0]["id"] = place
    return str(server.post(PRODUCT_ORDER, order, 201)["id"])


def look(server: Server, pool: str = SERIALS, **params: Any) -> Json:
    (found,) = server.get(FORECAST, pool=pool, **params)
    shown: Json = found
    return shown


def day(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_scheduled_orders_fill_a_pool_and_the_forecast_names_the_day_and_the_orders(
    server_on: Server,
) -> None:
    server = server_on
    _, product = server.new_line()
    days = [ahead(n) for n in (5, 6, 20)]
    orders = [book(server, begin) for begin in days]
    assert look(server)["free"] == 3
    assert {server.order(order)["state"] for order in orders} == {"acknowledged"}

    found = look(server)
    assert (found["level"], found["short"]) == ("warning", 0)
    assert [o["order"] for o in found["booked"]["orders"]] == orders
    assert day(found["runOut"]["expected"]) == days[2]
    assert orders[2] in found["because"]
    assert found["allocated"] + found["reserved"] + found["free"] == found["capacity"] == 4

    extra = book(server, ahead(30))
    assert look(server)["short"] == 1
    cease = book(server, ahead(10), name="cease", productId=product)
    moved = look(server)
    assert day(moved["runOut"]["expected"]) > days[2] + timedelta(days=5)
    assert moved["short"] == 0
    assert moved["booked"]["givebacks"] == 1
    assert {"order": cease, "givesBack": 1} in [
        {k: v for k, v in o.items() if k in ("order", "givesBack")}
        for o in moved["booked"]["orders"]
    ]

    cancel = {"productOrder": {"id": extra}, "cancellationReason": "moved away"}
    server.post(BASE_PATHS["622"] + "/cancelProductOrder", cancel, 201)
    assert server.follow(extra, until=("cancelled",))["state"] == "cancelled"
    assert look(server)["runOut"]["expected"] is None
    assert server.get(f"{FORECAST}/uncounted") == []


def test_a_port_is_chosen_later_so_all_that_reach_the_place_share_the_order(server: Server) -> None:
    order = book(server, ahead(3))
    ports = {f["scope"]: f for f in server.get(FORECAST, kind="onu-id", under="olt-east-07")}
    one, two = ports["olt-east-07/pon1"], ports["olt-east-07/pon2"]
    for port in (one, two):
        assert port["booked"]["takes"] == 1
        assert port["booked"]["takesExpected"] == 0.5
        assert port["booked"]["orders"][0]["order"] == order
    assert look(server, "ipv4@bng-1")["booked"]["takesExpected"] == 1
    assert look(server, "s-vlan@bng-1")["booked"]["takesExpected"] == 1


def test_an_order_begins_when_it_was_asked_to_and_leaves_the_book(server: Server) -> None:
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2.5)
    order = book(server, begin)
    assert look(server)["booked"]["takes"] == 1
    assert server.follow(order)["state"] == "completed"
    found = look(server)
    assert (found["booked"]["takes"], found["allocated"]) == (0, 1)
    assert day(server.get(f"/turnup/v1/trace/{order}")["root"]["tasks"][0]["started"]) >= begin


def test_orders_that_found_the_pool_empty_are_still_wanted(server: Server) -> None:
    pool = server.get("/turnup/v1/pools/" + SERIALS)
    server.post(f"/turnup/v1/pools/{SERIALS}/allocations", {"owner": "test", "count": pool["free"]})
    order = book(server, ahead(-1))
    assert server.follow(order)["state"] == "held"
    found = look(server)
    assert (found["level"], found["short"], found["booked"]["takes"]) == ("exhausted", 1, 1)


def test_the_order_below_is_counted_once_and_at_the_lowest_layer(server: Server) -> None:
    text = (ORDERS / "som.resource-order.json").read_text(encoding="utf-8")
    order = {**json_object(text, "ro"), "requestedStartDate": ahead(2).isoformat()}
    resource = server.post(BASE_PATHS["652"] + "/resourceOrder", order, 201)["id"]
    text = (ORDERS / "som.service-order.json").read_text(encoding="utf-8")
    order = {**json_object(text, "so"), "requestedStartDate": ahead(4).isoformat()}
    service = server.post(BASE_PATHS["641"] + "/serviceOrder", order, 201)["id"]
    assert [o["order"] for o in look(server)["booked"]["orders"]] == [resource, service]


def test_what_cannot_be_planned_is_named(server: Server) -> None:
    order = book(server, ahead(2), place="PL-1004")
    found = server.http.get(FORECAST, params={"pool": SERIALS})
    assert int(found.headers["X-Uncounted-Count"]) == 1
    (uncounted,) = server.get(f"{FORECAST}/uncounted")
    assert uncounted["order"] == order
    assert uncounted["why"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?pool=nope", 404, "POOL_NOT_FOUND"),
        ("?horizonDays=0", 400, "INVALID_INPUT"),
        ("?horizonDays=soon", 400, "INVALID_QUERY"),
        ("?windowDays=3", 400, "INVALID_INPUT"),
        ("?threshold=120", 400, "INVALID_INPUT"),
        ("?threshold=nan", 400, "INVALID_INPUT"),
        ("?level=dire", 400, "INVALID_QUERY"),
        ("?limit=501", 400, "INVALID_QUERY"),
        ("?offset=-1", 400, "INVALID_QUERY"),
        ("?pool=%00", 400, "INVALID_QUERY"),
        ("?kinds=ipv4", 400, "INVALID_QUERY"),
        ("/groups?by=colour", 400, "INVALID_QUERY"),
        ("/history", 400, "INVALID_QUERY"),
        ("/history?pool=nope", 404, "POOL_NOT_FOUND"),
    ],
)
def test_bad_questions(server: Server, query: str, status: int, code: str) -> None:
    answer = server.http.get(FORECAST + query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_start_that_is_no_date_is_refused_and_nothing_stored(server: Server) -> None:
    order = body("new", ahead(1)) | {"requestedStartDate": "2026-13-45"}
    answer = server.http.post(PRODUCT_ORDER, json=order)
    assert answer.status_code == 400
    assert server.get(PRODUCT_ORDER) == []


def test_pages_groups_history_and_metrics(server: Server) -> None:
    answer = server.http.get(FORECAST, params={"limit": 3, "offset": 1})
    everything = server.get(FORECAST)
    assert answer.json() == everything[1:4]
    assert int(answer.headers["X-Total-Count"]) == len(everything)
    groups = server.get(f"{FORECAST}/groups", by="device", under="olt-east-07")
    assert [group["name"] for group in groups] == ["olt-east-07"]
    server.new_line()
    history = server.get(f"{FORECAST}/history", pool=SERIALS, windowDays=7)
    assert history == [] or history[-1]["inUse"] == 1
    pool = server.get("/turnup/v1/pools/" + SERIALS)
    server.post(f"/turnup/v1/pools/{SERIALS}/allocations", {"owner": "test", "count": pool["free"]})
    metrics = server.http.get("/metrics").text
    assert f'turnup_pool_utilisation_percent{{pool="{SERIALS}"}} 100.0' in metrics
    assert "s-vlan@bng-1" not in metrics


def test_the_command(turnup: Run, server: Server) -> None:
    order = book(server, ahead(5))
    listed = turnup("pool", "forecast", "--kind", "onu-serial")
    assert all(len(line) <= WIDTH for line in listed.lines), listed.out
    assert SERIALS in listed.out
    one = turnup("pool", "forecast", SERIALS)
    assert all(len(line) <= WIDTH for line in one.lines), one.out
    assert order in one.out
    assert turnup("pool", "forecast", SERIALS, "--output", "json").json[0]["pool"] == SERIALS
    for options in (("--by", "kind"), (SERIALS, "--history"), ("--uncounted",)):
        assert turnup("pool", "forecast", *options).code == 0
    turnup("pool", "forecast", "nope").refused("POOL_NOT_FOUND")
    turnup("pool", "forecast", "--horizon", "0").refused("INVALID_INPUT")
    turnup("pool", "forecast", "--history").refused("WRONG_USAGE", 2)
