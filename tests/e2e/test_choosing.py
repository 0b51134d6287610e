"""A second catalog whose ports are filled, limited and kept apart: from the customer's order to the trace."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server
from tmf.paths import BASE_PATHS
from turnup.catalogs import check_folders
from turnup.cli._errors import reported
from turnup.cli.app import app

CATALOG = Path(__file__).parent / "catalog_business"
PRODUCT_ORDER = BASE_PATHS["622"] + "/productOrder"
EAST, WEST = "olt-east-07/pon1", "olt-west-02/pon1"
Json = dict[str, Any]


def _body(mbps: int, place: str = "PL-1003", product: str | None = None) -> Json:
    values = [{"name": "mbps", "value": mbps}]
    wanted: Json = {"productCharacteristic": values, "place": [{"id": place}]}
    item = {"id": "1", "action": "add", "productOffering": {"id": "PO-BIZ"}, "product": wanted}
    if product is not None:
        item["action"] = "modify"
        item["product"] = {"id": product, "productCharacteristic": values}
    return {"productOrderItem": [item]}


def _order(server: Server, body: Json) -> Json:
    return server.follow(server.post(PRODUCT_ORDER, body, 201)["id"])


def _product(order: Json) -> str:
    assert order["state"] == "completed", order.get("errorMessage")
    return str(order["productOrderItem"][0]["product"]["id"])


def _rom(server: Server, order: Json) -> Json:
    (rom,) = server.get(f"/turnup/v1/trace/{order['id']}")["root"]["children"][0]["children"]
    return dict(rom)


def _access(rom: Json, spec: str) -> Json:
    (item,) = (item for item in rom["items"] if item["specification"] == spec)
    return dict(item)


@pytest.fixture
def business(server_on: Server) -> Server:
    server_on.post("/turnup/v1/catalogs", {"folders": [str(CATALOG)]}, 201)
    return server_on


def test_the_catalog_has_no_findings() -> None:
    assert check_folders([CATALOG]) == []


def test_ports_are_filled_kept_apart_and_bounded(business: Server) -> None:
    first = _order(business, _body(400))
    rom = _rom(business, first)
    main, backup = _access(rom, "RES-BIZ-Main"), _access(rom, "RES-BIZ-Backup")
    assert (main["after"]["ponPort"], backup["after"]["ponPort"]) == (EAST, WEST)
    assert main["reasons"]["ponPort"] == {
        "rule": "RES-BIZ-Main@1.0/ponPort",
        "policy": "fill",
        "chosen": EAST,
        "because": "first in order (room for 2 more within its limit of 2) of 2 reachable ports with room",
        "considered": 2,
        "path": ["PL-1003", "split-e1", EAST],
        "rejected": [
            {
                "port": WEST,
                "code": "LATER_IN_ORDER",
                "why": "room for 2 more within its limit of 2, but later in order than the chosen port",
            }
        ],
    }
    assert main["reasons"]["acs"]["because"] == (
        "the only device of role acs that may be used (0 in use)"
    )
    assert backup["reasons"]["ponPort"]["rejected"] == [
        {"port": EAST, "code": "AFFINITY_NOT_MET", "why": "is not away from main (device)"}
    ]
    product = _product(first)

    second = _rom(business, _order(business, _body(600)))
    assert _access(second, "RES-BIZ-Main")["after"]["ponPort"] == EAST
    assert _access(second, "RES-BIZ-Backup")["after"]["ponPort"] == WEST

    # the line may not grow: its port is at its ceiling
    grown = _order(business, _body(401, product=product))
    assert grown["state"] == "held"
    (fallout,) = business.get("/turnup/v1/fallouts")
    assert fallout["code"] == "NO_PORT_FITS"
    assert "cannot carry 1 more mbps" in fallout["explanation"]
    business.post(
        BASE_PATHS["622"] + "/cancelProductOrder",
        {"productOrder": {"id": grown["id"]}, "cancellationReason": "too much"},
        201,
    )
    business.follow(grown["id"], until=("cancelled",))

    # both ports have two customers: the main access of a third line finds none
    third = _order(business, _body(1))
    assert third["state"] == "held"
    (fallout,) = business.get("/turnup/v1/fallouts")
    assert fallout["code"] == "NO_PORT_FITS"
    listed = {one["port"]: one["code"] for one in fallout["details"]["rejected"]}
    assert listed == {EAST: "LIMIT_REACHED", WEST: "LIMIT_REACHED"}

    # one line goes, the work queue is retried, and the order gets the place
    _cease(business, product)
    business.post(f"/turnup/v1/fallouts/{fallout['id']}/retry")
    done = business.follow(third["id"], until=("completed",))
    assert _access(_rom(business, done), "RES-BIZ-Main")["after"]["ponPort"] == EAST


def _cease(server: Server, product: str) -> None:
    item = {"id": "1", "action": "delete", "product": {"id": product}}
    _product(_order(server, {"productOrderItem": [item]}))


def test_a_plan_tells_why_and_its_hash_does_not_depend_on_it(business: Server) -> None:
    body = _body(100)
    shown = business.post("/turnup/v1/simulations", {"productOrder": body}, 200)
    assert {(one["characteristic"], one["chosen"]) for one in shown["reasons"]} == {
        ("ponPort", EAST),
        ("ponPort", WEST),
        ("acs", "acs-1"),
    }
    assert all("reason" not in one and "reasons" not in one for one in shown["allocations"])
    order = _order(business, body | {"planHash": shown["planHash"]})
    assert order["state"] == "completed", order.get("errorMessage")


def test_who_looks_at_a_value_or_a_trace_is_told_why(
    business: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = _order(business, _body(100))
    main = _access(_rom(business, order), "RES-BIZ-Main")
    (held,) = business.get(f"/turnup/v1/pools/onu-id@{EAST}/allocations")
    assert held["reason"] == {
        "rule": "RES-BIZ-Main@1.0/onuId",
        "on": EAST,
        "see": f"{main['instance']} ponPort",
    }
    (stored,) = business.inventory("639", id=main["instance"])
    assert stored["reasons"]["ponPort"] == main["reasons"]["ponPort"]
    monkeypatch.setenv("COLUMNS", "200")
    told = _command(capsys, "trace", order["id"], "--server", business.url)
    because = (
        "first in order (room for 2 more within its limit of 2) of 2 reachable ports with room"
    )
    assert f"why ponPort {EAST}: {because}\n" in told
    assert f"turned down {WEST}: room for 2 more" in told
    assert f"onuId = 0 of onu-id@{EAST} — on {EAST}: {because}\n" in told
    assert f"turned down {EAST}: is not away from main (device)\n" in told


def _command(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run: Callable[[], Any] = partial(app, list(arguments), prog_name="turnup")
    capsys.readouterr()
    assert reported(run) == 0
    return capsys.readouterr().out
