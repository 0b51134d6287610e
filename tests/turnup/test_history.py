"""What was there, when, and by which order: asked of a real server after a new line, a change and a cease."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.api import LabInfo
from tests.e2e.conftest import Server, metro, server, start_server
from tests.turnup.conftest import Ended, Run

__all__ = ["metro", "server"]
Json = dict[str, Any]
V1 = "/turnup/v1"
PORT = "olt-east-07/pon1"
TIMES = ("before", "new", "modified", "ceased")


class Life:
    """A server on which one line lived and ended; `at` are instants between its orders."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.at = {"before": _now()}
        self.orders: dict[str, Json] = {}
        self.orders["new"], self.product = server.new_line()
        self.at["new"] = _now()
        self.composites = {one["id"]: one for one in server.inventory("639", line=self.product)}
        self.pipe = server.get(f"{V1}/impact", node=PORT)
        changed = server.submit("superfibre-200-home.modify.json", productId=self.product)
        self.orders["modified"] = server.follow(changed["id"])
        self.at["modified"] = _now()
        self.orders["ceased"] = server.cease(self.product)
        self.at["ceased"] = _now()

    def instance(self, id_: str, moment: str | None = None) -> Json:
        params = {"at": self.at[moment]} if moment else {}
        found: Json = self.server.get(f"{V1}/instances/{quote(id_, safe='')}", **params)
        return found

    def history(self, id_: str) -> Json:
        found: Json = self.server.get(f"{V1}/instances/{quote(id_, safe='')}/history")
        return found

    def composite(self, spec: str) -> str:
        specs: dict[str, str] = {
            str(one.get("resourceSpecification", {}).get("id")): id_
            for id_, one in self.composites.items()
        }
        return specs[spec]


def _now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def life(
    request: pytest.FixtureRequest,
    metro: tuple[LabInfo, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Life]:
    from shutil import copy

    from tests.conftest import _postgres_database

    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("history") / "turnup.db"
        copy(request.getfixturevalue("sqlite_template"), path)
        urls = iter((f"sqlite:///{path}",))
    else:
        urls = _postgres_database(request.getfixturevalue("postgres_template"))
    servers = start_server(next(urls), metro)
    yield Life(next(servers))
    next(servers, None)
    next(urls, None)


def test_an_instance_is_as_it_was_at_any_time(life: Life) -> None:
    states = [life.instance(life.product, moment)["state"] for moment in TIMES[1:]]
    assert states == ["active", "active", "terminated"]
    speeds = [
        life.instance(life.product, moment)["characteristics"]["downstreamMbps"]
        for moment in TIMES[1:]
    ]
    assert speeds == [200, 100, 100]
    qos = life.composite("RES-QoS-Profile")
    assert life.instance(qos, "new")["characteristics"]["down"] == 200
    assert life.instance(qos, "modified")["characteristics"]["down"] == 100
    before = life.server.http.get(f"{V1}/instances/{qos}", params={"at": life.at["before"]})
    assert (before.status_code, before.json()["code"]) == (404, "INSTANCE_NOT_FOUND")
    assert life.instance(qos)["state"] == "released"


def test_history_names_the_order_item_behind_every_version(life: Life) -> None:
    access = life.composite("RES-Fibre-Access")
    versions = life.history(access)["versions"]
    assert [version["state"] for version in versions if _changed(version, "state")] == [
        "inUse",
        "released",
    ]
    assert versions[0]["state"] == "assigned"
    assert versions[0]["changes"] == []
    assert all(version["layer"] == "rom" and version["item"] for version in versions)
    orders = list(dict.fromkeys(version["order"] for version in versions))
    asked = [life.server.order(order)["id"] for order in orders]
    assert asked == orders
    assert len(orders) == 2
    ends = [one["validTo"] for one in versions]
    assert ends == [*(one["validFrom"] for one in versions[1:]), None]
    qos = life.history(life.composite("RES-QoS-Profile"))["versions"]
    (speed,) = [c for v in qos for c in v["changes"] if c["attribute"] == "characteristics.down"]
    assert (speed["from"], speed["to"]) == (200, 100)


def test_history_comes_in_pages(life: Life) -> None:
    path = f"{V1}/instances/{life.product}/history"
    whole = life.server.http.get(path)
    versions = whole.json()["versions"]
    assert int(whole.headers["X-Total-Count"]) == len(versions) > 2
    pages = [
        life.server.get(path, offset=offset, limit=1)["versions"] for offset in range(len(versions))
    ]
    assert [one for page in pages for one in page] == versions


def _changed(version: Json, attribute: str) -> bool:
    return any(change["attribute"] == attribute for change in version["changes"])


def test_a_port_and_its_device_work_while_they_have_a_customer(life: Life) -> None:
    for id_ in (PORT, "olt-east-07"):
        states = [life.instance(id_, moment)["state"] for moment in TIMES]
        assert states == ["commissioned", "inService", "inService", "commissioned"]
    lived = [version["state"] for version in life.history(PORT)["versions"]]
    assert lived == ["commissioned", "inService", "commissioned"]
    access = life.instance(life.composite("RES-Fibre-Access"), "new")
    ont = access["characteristics"]["serial"]
    stock = [life.instance(ont, moment)["state"] for moment in TIMES]
    assert stock == ["inStock", "inService", "inService", "inStock"]


def test_relations_end_with_the_order_that_ended_them(life: Life) -> None:
    access = life.composite("RES-Fibre-Access")
    related = {
        (one["type"], one["direction"], one["instance"])
        for one in life.instance(access, "new")["relations"]
    }
    assert ("isComposedOf", "to", PORT) in related
    (service,) = [one for kind, way, one in related if (kind, way) == ("realizedBy", "from")]
    assert life.instance(service, "new")["specification"] == "RFS-Fibre-Access"
    assert life.instance(access)["relations"] == []
    ended = life.history(access)["relations"]
    assert {one["instance"] for one in ended} == {PORT, service}
    for one in ended:
        assert one["endedBy"]["order"] != one["order"]
        assert life.server.order(one["endedBy"]["order"])


def test_impact_answers_for_the_past_and_in_both_directions(life: Life) -> None:
    then = life.server.get(f"{V1}/impact", node=PORT, at=life.at["new"])
    for kind in ("products", "services", "resources", "parties"):
        assert {one["id"] for one in then[kind]} == {one["id"] for one in life.pipe[kind]}
        assert then["total"][kind] == len(then[kind])
    assert [one["id"] for one in then["products"]] == [life.product]
    assert "CUST-4821" in {one["id"] for one in then["parties"]}
    assert life.server.get(f"{V1}/impact", node=PORT)["products"] == []
    for question in ({"party": "CUST-4821"}, {"resource": "CUST-4821"}, {"resource": life.product}):
        down = life.server.get(f"{V1}/impact", **question, at=life.at["new"])
        below = down["standsOn"]
        assert [one["id"] for one in below["ports"]] == [PORT], question
        assert {"olt-east-07", "agg-1", "bng-1"} <= set(below["nodes"])
        assert [one["id"] for one in down["products"]] == [life.product]
        assert set(life.composites) <= {one["id"] for one in below["resources"]}
    refused = life.server.http.get(f"{V1}/impact", params={"party": "CUST-4821"})
    assert (refused.status_code, refused.json()["code"]) == (404, "PARTY_NOT_FOUND")


def test_intent_is_as_it_was_across_a_change_and_a_cease(life: Life) -> None:
    def intended(moment: str) -> str:
        answer = life.server.get(f"{V1}/devices/bng-1/config", view="intended", at=life.at[moment])
        return "\n".join(fragment["text"] for fragment in answer["fragments"])

    texts = {moment: intended(moment) for moment in TIMES}
    address = life.instance(life.composite("RES-IP-Profile"), "new")["characteristics"]["ipv4"]
    assert address not in texts["before"]
    assert address in texts["new"]
    assert address in texts["modified"]
    assert texts["new"] != texts["modified"]
    assert texts["ceased"] == texts["before"]


def test_devices_ports_and_links_keep_their_past(life: Life) -> None:
    http, devices = life.server.http, f"{V1}/devices"
    before = life.server.get(f"{devices}/wifi-1")
    ports = life.server.get(f"{devices}/wifi-1/ports")
    then = _now()
    assert http.patch(f"{devices}/wifi-1", json={"adminState": "maintenance"}).is_success
    assert life.instance("wifi-1")["state"] == "maintenance"
    assert http.delete(f"{devices}/wifi-1").status_code == 204
    assert life.instance("wifi-1")["state"] == "decommissioned"
    assert http.get(f"{devices}/wifi-1").json()["code"] == "DEVICE_NOT_FOUND"
    assert life.server.get(f"{devices}/wifi-1", at=then) == before
    assert life.server.get(f"{devices}/wifi-1/ports", at=then) == ports
    assert before in life.server.get(devices, at=then)
    assert before not in life.server.get(devices)
    history = life.server.get(f"{devices}/wifi-1/history")
    assert [one["by"] for one in history] == ["lab metro", "API: device patch"]
    assert history[-1]["endedBy"] == "API: device delete"
    assert [c["attribute"] for c in history[-1]["changes"]] == ["adminState"]
    assert http.post(devices, json=before).status_code == 201
    assert life.instance("wifi-1")["state"] == "commissioned"


@pytest.mark.parametrize(
    "at",
    [
        "yesterday",
        "2026-11-24",
        "2026-11-24T22:30:00",
        "",
        "0001-01-01T00:00:00+14:00",
        "T",
        "\x00",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/instances/olt-east-07",
        "/devices",
        "/devices/bng-1",
        "/devices/bng-1/ports",
        "/devices/bng-1/config",
        "/impact?node=bng-1",
    ],
)
def test_a_time_that_is_none_is_refused(life: Life, path: str, at: str) -> None:
    answer = life.server.http.get(
        V1 + path.split("?", maxsplit=1)[0], params={"node": "bng-1", "at": at}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")


def test_a_time_to_come_is_as_now_and_an_offset_need_not_be_escaped(life: Life) -> None:
    later = datetime.now(UTC) + timedelta(days=900)
    path = f"{V1}/instances/{life.product}"
    assert life.server.get(path, at=later.isoformat()) == life.server.get(path)
    then = datetime.fromisoformat(life.at["new"]).astimezone(
        datetime.strptime("+0530", "%z").tzinfo
    )
    raw = life.server.http.get(f"{path}?at={then.isoformat()}").json()
    assert raw["state"] == "active"
    refused = life.server.http.get(
        f"{V1}/devices/bng-1/config", params={"view": "running", "at": life.at["new"]}
    )
    assert refused.json()["code"] == "INVALID_QUERY"


def test_the_command_line_shows_it_too(
    life: Life, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNUP_SERVER", life.server.url)

    def shown(*arguments: str) -> Ended:
        ended = run(*arguments)
        assert ended.code == 0, ended.err
        return ended

    new = life.at["new"]
    assert "inService" in shown("instance", "show", PORT, "--at", new).out
    assert "isComposedOf" in shown("instance", "show", PORT, "--at", new).out
    history = shown("instance", "history", PORT).out
    assert "state: commissioned → inService" in history
    assert "(rom)" in history
    assert shown("instance", "history", PORT, "--output", "json").json == life.history(PORT)
    assert "olt-east-07" in shown("device", "list", "--at", new).out
    assert "DEVICE_NOT_FOUND" in run("device", "show", "bng-1", "--at", "2001-01-01").err
    assert "bng-1" in shown("device", "show", "bng-1", "--at", new).out
    assert "split-e1" in shown("device", "ports", "olt-east-07", "--at", new).out
    assert "lab metro" in shown("device", "history", "bng-1").out
    down = shown("impact", "CUST-4821", "--at", new).out
    assert PORT in down
    assert "stands on" in down
    run("instance", "show", PORT, "--at", "soon").refused("WRONG_USAGE", exit_code=2)
    run("instance", "show", "nothing").refused("INSTANCE_NOT_FOUND")
