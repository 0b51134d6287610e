"""ACS and Wi-Fi controller over HTTPS: resources, preconditions, refusals, faults, power cuts."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.embedded.pon import Line, Ont, PonPort
from lab.embedded.rest.bench import Bench, Node

SERIAL = "HWTC1A2B3C01"
ENDPOINTS = "/acs/v1/endpoints"
ENDPOINT = f"{ENDPOINTS}/{SERIAL}"
SITE = "/wifi/v1/sites/site-1"
CPE: dict[str, Any] = {
    "serial": SERIAL,
    "model": "HG8245H",
    "profile": "residential",
    "connection": {"ipv4": "100.64.0.2", "ipv6Prefix": "2001:db8:4000::/56"},
    "parameters": {"InternetGatewayDevice.Layer3Forwarding.X": "1", "vlan": 101, "on": True},
}
HOME: dict[str, Any] = {
    "siteId": "site-1",
    "name": "Acacia",
    "serial": SERIAL,
    "ssid": "SuperFibre",
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def acs_node(bench: Bench) -> Node:
    return bench.start("acs-1", "acs")


@pytest.fixture
def wifi_node(bench: Bench) -> Node:
    return bench.start("wifi-1", "wifi")


def client(bench: Bench, node: Node, password: str = "admin") -> httpx.Client:
    return httpx.Client(
        base_url=f"https://127.0.0.1:{node.port}",
        auth=("admin", password),
        verify=ssl.create_default_context(cafile=bench.ca),
        trust_env=False,
        timeout=5,
    )


@pytest.fixture
def acs(bench: Bench, acs_node: Node) -> Iterator[httpx.Client]:
    with client(bench, acs_node) as opened:
        yield opened


@pytest.fixture
def wifi(bench: Bench, wifi_node: Node) -> Iterator[httpx.Client]:
    with client(bench, wifi_node) as opened:
        yield opened


def refusal(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"code", "message"}
    assert body["message"]
    return response.status_code, body["code"]


def test_life_of_an_endpoint(acs: httpx.Client) -> None:
    assert acs.get(ENDPOINTS).json() == []
    assert refusal(acs.get(ENDPOINT)) == (404, "NOT_FOUND")
    created = acs.put(ENDPOINT, json=CPE)
    assert (created.status_code, created.headers["location"]) == (201, ENDPOINT)
    assert created.json() == CPE
    read = acs.get(ENDPOINT)
    assert read.json() == CPE
    assert read.headers["etag"] == created.headers["etag"]
    assert acs.get(ENDPOINTS).json() == [CPE]
    replaced = acs.put(ENDPOINT, json=CPE | {"profile": "business"})
    assert replaced.status_code == 200
    assert replaced.headers["etag"] != created.headers["etag"]
    gone = acs.delete(ENDPOINT)
    assert (gone.status_code, gone.content) == (204, b"")
    assert refusal(acs.delete(ENDPOINT)) == (404, "NOT_FOUND")


def test_defaults_are_explicit(acs: httpx.Client, wifi: httpx.Client) -> None:
    small = {"model": "HG8245H", "profile": "residential", "connection": {"ipv4": "100.64.0.2"}}
    assert acs.put(ENDPOINT, json=small).json() == small | {
        "serial": SERIAL,
        "connection": {"ipv4": "100.64.0.2", "ipv6Prefix": None},
        "parameters": {},
    }
    assert wifi.put(SITE, json=HOME).json() == HOME | {"band": "2.4+5", "enabled": True}


def test_merge_patch(acs: httpx.Client) -> None:
    assert refusal(acs.patch(ENDPOINT, json={})) == (404, "NOT_FOUND")
    acs.put(ENDPOINT, json=CPE)
    patched = acs.patch(
        ENDPOINT,
        content=json.dumps({"connection": {"ipv4": None}, "parameters": {"vlan": None, "x": "y"}}),
        headers={"content-type": "application/merge-patch+json"},
    )
    assert patched.status_code == 200
    assert patched.json()["connection"] == {"ipv4": None, "ipv6Prefix": "2001:db8:4000::/56"}
    assert "vlan" not in patched.json()["parameters"]
    assert patched.json()["parameters"]["x"] == "y"
    assert acs.get(ENDPOINT).json() == patched.json()
    assert refusal(acs.patch(ENDPOINT, json={"model": None})) == (400, "INVALID_BODY")
    assert acs.get(ENDPOINT).json() == patched.json()


def test_preconditions(acs: httpx.Client) -> None:
    first = acs.put(ENDPOINT, json=CPE, headers={"if-none-match": "*"})
    assert first.status_code == 201
    etag = first.headers["etag"]
    again = acs.put(ENDPOINT, json=CPE, headers={"if-none-match": "*"})
    assert refusal(again) == (412, "PRECONDITION_FAILED")
    assert acs.get(ENDPOINT, headers={"if-none-match": etag}).status_code == 304
    second = acs.put(ENDPOINT, json=CPE | {"profile": "business"}, headers={"if-match": etag})
    assert second.status_code == 200
    for lost in (
        acs.put(ENDPOINT, json=CPE, headers={"if-match": etag}),
        acs.patch(ENDPOINT, json={"profile": "residential"}, headers={"if-match": etag}),
        acs.delete(ENDPOINT, headers={"if-match": etag}),
        acs.put(f"{ENDPOINTS}/ABCD00000001", json={}, headers={"if-match": "*"}),
    ):
        assert refusal(lost) == (412, "PRECONDITION_FAILED")
    assert acs.get(ENDPOINT).json()["profile"] == "business"
    listed = f'"none", {second.headers["etag"]}'
    assert acs.delete(ENDPOINT, headers={"if-match": listed}).status_code == 204


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"model": "HG9999"}, (422, "INVALID_VALUE")),
        ({"profile": "gold"}, (422, "INVALID_VALUE")),
        ({"serial": "ABCD00000001"}, (422, "INVALID_VALUE")),
        ({"connection": {"ipv4": "100.64.0.256"}}, (422, "INVALID_VALUE")),
        ({"connection": {"ipv6Prefix": "2001:db8::1/56"}}, (422, "INVALID_VALUE")),
        ({"connection": {"ipv4": 1}}, (400, "INVALID_BODY")),
        ({"connection": {"ipv5": "x"}}, (400, "INVALID_BODY")),
        ({"connection": None}, (400, "INVALID_BODY")),
        ({"parameters": {"a": [1]}}, (400, "INVALID_BODY")),
        ({"parameters": []}, (400, "INVALID_BODY")),
        ({"colour": "red"}, (400, "INVALID_BODY")),
    ],
)
def test_endpoints_are_checked(
    acs: httpx.Client, change: dict[str, Any], wanted: tuple[int, str]
) -> None:
    assert refusal(acs.put(ENDPOINT, json=CPE | change)) == wanted
    assert acs.get(ENDPOINT).status_code == 404


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"ssid": ""}, 422),
        ({"ssid": "x" * 33}, 422),
        ({"ssid": "é" * 17}, 422),
        ({"ssid": "é" * 16}, 201),
        ({"band": "6"}, 422),
        ({"band": "2.4", "channel": 36}, 422),
        ({"band": "5", "channel": 36}, 201),
        ({"channel": 37}, 422),
        ({"channel": -1}, 422),
        ({"channel": True}, 400),
        ({"channel": 6.5}, 400),
        ({"enabled": 1}, 400),
        ({"enabled": False}, 201),
        ({"serial": "hwtc1a2b3c01"}, 422),
    ],
)
def test_sites_are_checked(wifi: httpx.Client, change: dict[str, Any], wanted: int) -> None:
    assert wifi.put(SITE, json=HOME | change).status_code == wanted


def test_a_serial_belongs_to_one_site(wifi: httpx.Client) -> None:
    wifi.put(SITE, json=HOME)
    other = wifi.put("/wifi/v1/sites/site-2", json=HOME | {"siteId": "site-2"})
    assert refusal(other) == (409, "SERIAL_IN_USE")
    assert wifi.put(SITE, json=HOME | {"ssid": "New"}).status_code == 200
    wifi.delete(SITE)
    assert wifi.put("/wifi/v1/sites/site-2", json=HOME | {"siteId": "site-2"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "INVALID_JSON"),
        (b"{", "INVALID_JSON"),
        (b"\xff{}", "INVALID_JSON"),
        (b'{"model": "HG8245H", "model": "HG8245H"}', "INVALID_JSON"),
        (b'{"parameters": {"x": NaN}}', "INVALID_JSON"),
        (b"[" * 100_000, "INVALID_JSON"),
        (b"[]", "INVALID_BODY"),
        (b"{}", "INVALID_BODY"),
    ],
)
def test_bodies_are_strict_json(acs: httpx.Client, body: bytes, code: str) -> None:
    response = acs.put(ENDPOINT, content=body, headers={"content-type": "application/json"})
    assert refusal(response) == (400, code)


def test_media_types_methods_paths_and_credentials(
    bench: Bench, acs_node: Node, acs: httpx.Client
) -> None:
    text = acs.put(ENDPOINT, content=b"{}", headers={"content-type": "text/plain"})
    assert refusal(text) == (415, "UNSUPPORTED_MEDIA_TYPE")
    merge = {"content-type": "application/merge-patch+json"}
    assert acs.put(ENDPOINT, content=b"{}", headers=merge).status_code == 415
    post = acs.post(ENDPOINT, json={})
    assert refusal(post) == (405, "METHOD_NOT_ALLOWED")
    assert post.headers["allow"] == "GET, PUT, PATCH, DELETE"
    assert acs.delete(ENDPOINTS).headers["allow"] == "GET"
    for path in ("/", "/acs/v1", f"{ENDPOINTS}/", f"{ENDPOINT}/more", "/wifi/v1/sites"):
        assert refusal(acs.get(path)) == (404, "NOT_FOUND")
    with client(bench, acs_node, password="wrong") as stranger:
        response = stranger.get(ENDPOINTS)
        assert refusal(response) == (401, "UNAUTHORIZED")
        assert response.headers["www-authenticate"].startswith("Basic ")


def test_head_answers_without_body(acs: httpx.Client) -> None:
    acs.put(ENDPOINT, json=CPE)
    head = acs.head(ENDPOINT)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == acs.get(ENDPOINT).headers["etag"]


def test_what_was_answered_survives_a_power_cut(
    bench: Bench, acs_node: Node, acs: httpx.Client
) -> None:
    etag = acs.put(ENDPOINT, json=CPE).headers["etag"]
    acs.put(f"{ENDPOINTS}/ABCD00000001", json=CPE | {"serial": "ABCD00000001"})
    acs.delete(f"{ENDPOINTS}/ABCD00000001")
    bench.call(acs_node.simulator.stop())
    with pytest.raises(httpx.TransportError):
        acs.get(ENDPOINT)
    bench.call(acs_node.simulator.start())
    assert acs.get(ENDPOINT).headers["etag"] == etag
    assert acs.get(ENDPOINTS).json() == [CPE]


def test_an_ont_informs_when_it_is_up_and_known(
    bench: Bench, acs_node: Node, acs: httpx.Client
) -> None:
    inform = f"{ENDPOINT}/inform"
    assert refusal(acs.get(inform)) == (404, "NOT_FOUND")
    acs.put(ENDPOINT, json=CPE)
    assert acs.get(inform).json() == {"lastInform": None}
    port = PonPort("olt-east-07", "pon1")
    bench.pon.add_ont(Ont("ont-1", SERIAL))
    bench.pon.plug(SERIAL, port)
    assert acs.get(inform).json() == {"lastInform": None}
    bench.pon.provision("olt-east-07", [Line(SERIAL, port, "vani-pon1-7")])
    first = acs.get(inform).json()["lastInform"]
    assert first.endswith("Z")
    bench.pon.unplug(SERIAL)
    assert acs.get(inform).json()["lastInform"] == first, "the last inform stays known"
    bench.call(acs_node.simulator.stop())
    bench.call(acs_node.simulator.start())
    with client(bench, acs_node) as reborn:
        assert reborn.get(inform).json()["lastInform"] == first
    assert refusal(acs.put(inform, json={})) == (405, "METHOD_NOT_ALLOWED")
    acs.delete(ENDPOINT)
    assert acs.get(inform).status_code == 404


def test_an_ont_that_was_up_before_its_endpoint_informs_at_once(
    bench: Bench, acs: httpx.Client
) -> None:
    port = PonPort("olt-east-07", "pon1")
    bench.pon.provision("olt-east-07", [Line(SERIAL, port, "vani-pon1-7")])
    bench.pon.plug(SERIAL, port)
    acs.put(ENDPOINT, json=CPE)
    assert acs.get(f"{ENDPOINT}/inform").json()["lastInform"] is not None


def test_an_acs_without_power_hears_nothing(bench: Bench, acs_node: Node) -> None:
    port = PonPort("olt-east-07", "pon1")
    with client(bench, acs_node) as acs:
        acs.put(ENDPOINT, json=CPE)
    bench.call(acs_node.simulator.stop())
    bench.pon.provision("olt-east-07", [Line(SERIAL, port, "vani-pon1-7")])
    bench.pon.plug(SERIAL, port)
    bench.pon.unplug(SERIAL)
    bench.call(acs_node.simulator.start())
    with client(bench, acs_node) as acs:
        assert acs.get(f"{ENDPOINT}/inform").json() == {"lastInform": None}


def test_a_cpe_that_stays_up_informs_again(bench: Bench) -> None:
    node = bench.start("acs-3", "acs", labels={"sim-inform-interval": "0.05"})
    port = PonPort("olt-east-07", "pon1")
    with client(bench, node) as acs:
        acs.put(ENDPOINT, json=CPE)
        bench.pon.provision("olt-east-07", [Line(SERIAL, port, "vani-pon1-7")])
        bench.pon.plug(SERIAL, port)
        first = acs.get(f"{ENDPOINT}/inform").json()["lastInform"]
        time.sleep(0.12)
        assert acs.get(f"{ENDPOINT}/inform").json()["lastInform"] > first


def test_models_and_profiles_come_from_labels(bench: Bench) -> None:
    node = bench.start("acs-2", "acs", labels={"sim-acs-models": "A,B", "sim-acs-profiles": "P"})
    with client(bench, node) as acs:
        assert acs.put(ENDPOINT, json=CPE).status_code == 422
        assert acs.put(ENDPOINT, json=CPE | {"model": "B", "profile": "P"}).status_code == 201
