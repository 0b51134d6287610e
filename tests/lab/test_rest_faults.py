"""The lab's faults on nodes with HTTPS: REST systems and the EOS router."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.embedded.device import LocalLink
from lab.embedded.rest.bench import Bench, Node

SITE = "/wifi/v1/sites/site-1"
HOME = {"name": "Acacia", "serial": "HWTC1A2B3C01", "ssid": "SuperFibre"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def node(bench: Bench) -> Node:
    return bench.start("wifi-1", "wifi")


@pytest.fixture
def box(bench: Bench) -> Node:
    return bench.start("agg-1", "eos", links=[LocalLink("Ethernet1", "olt", "uplink-1")])


def client(bench: Bench, node: Node) -> httpx.Client:
    return httpx.Client(
        base_url=f"https://127.0.0.1:{node.port}",
        auth=("admin", "admin"),
        verify=ssl.create_default_context(cafile=bench.ca),
        trust_env=False,
        timeout=5,
    )


@pytest.fixture
def wifi(bench: Bench, node: Node) -> Iterator[httpx.Client]:
    with client(bench, node) as opened:
        yield opened


class Eapi:
    """A plain eAPI client: result, or (code, text of the last error)."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def run(self, *commands: str) -> Any:
        params = {"version": 1, "cmds": ["enable", *commands], "format": "json"}
        call = {"jsonrpc": "2.0", "method": "runCmds", "params": params, "id": "1"}
        answer = self._http.post("/command-api", json=call).json()
        if "error" in answer:
            return answer["error"]["code"], answer["error"]["data"][-1]["errors"][0]
        return answer["result"]

    def vlans(self) -> set[str]:
        return set(self.run("show vlan")[-1]["vlans"]) - {"1"}


@pytest.fixture
def eos(bench: Bench, box: Node) -> Iterator[Eapi]:
    with client(bench, box) as opened:
        yield Eapi(opened)


def test_down_refuses_and_the_device_lives_on(
    bench: Bench, node: Node, wifi: httpx.Client, box: Node, eos: Eapi
) -> None:
    wifi.put(SITE, json=HOME)
    eos.run("configure session s", "vlan 10")
    bench.arm(node, "down")
    bench.arm(box, "down")
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            wifi.get(SITE)
        with pytest.raises(httpx.TransportError):
            eos.run("show version")
    bench.clear(node)
    bench.clear(box)
    assert wifi.get(SITE).status_code == 200
    assert eos.run("configure session s commit") == [{}, {}]
    assert eos.vlans() == {"10"}


def test_a_commit_timer_runs_out_while_the_link_is_down(bench: Bench, box: Node, eos: Eapi) -> None:
    eos.run("configure session s", "vlan 10", "commit timer 00:00:01")
    assert eos.vlans() == {"10"}
    bench.arm(box, "down")
    time.sleep(1.1)
    bench.clear(box)
    assert eos.vlans() == set()


def test_latency(bench: Bench, node: Node, wifi: httpx.Client) -> None:
    wifi.get(SITE)
    bench.arm(node, "latency", ms=150)
    start = time.monotonic()
    wifi.get(SITE)
    assert time.monotonic() - start >= 0.15


def test_drop_before_executes_nothing(bench: Bench, node: Node, wifi: httpx.Client) -> None:
    bench.arm(node, "drop", rpc=2, when="before")
    assert wifi.get(SITE).status_code == 404
    with pytest.raises(httpx.RemoteProtocolError):
        wifi.put(SITE, json=HOME)
    assert wifi.get(SITE).status_code == 404


def test_drop_after_has_executed(bench: Bench, node: Node, wifi: httpx.Client) -> None:
    bench.arm(node, "drop", rpc=1, when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        wifi.put(SITE, json=HOME)
    assert wifi.get(SITE).status_code == 200


def test_drop_after_on_a_commit_of_eos(bench: Bench, box: Node, eos: Eapi) -> None:
    eos.run("configure session s", "vlan 10")
    bench.arm(box, "drop", rpc=1, when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        eos.run("configure session s commit timer 00:01:00")
    assert eos.vlans() == {"10"}
    assert eos.run("configure session s abort") == [{}, {}]
    assert eos.vlans() == set()


def test_reject(bench: Bench, node: Node, wifi: httpx.Client) -> None:
    bench.arm(node, "reject", path="site-1")
    refused = wifi.put(SITE, json=HOME)
    assert (refused.status_code, refused.json()["code"]) == (422, "REJECTED")
    other = wifi.put("/wifi/v1/sites/site-2", json=HOME)
    assert other.status_code == 201
    bench.clear(node)
    assert wifi.put(SITE, json=HOME | {"serial": "HWTC1A2B3C02"}).status_code == 201


def test_reject_on_eos(bench: Bench, box: Node, eos: Eapi) -> None:
    bench.arm(box, "reject", path="ip route")
    code, message = eos.run("configure session s", "vlan 10", "ip route 10.0.0.0/8 Null0")
    assert code == 1000
    assert "reject" in message
    assert eos.run("configure session s commit") == [{}, {}]
    assert eos.vlans() == {"10"}


def test_commit_fail_a_number_of_times(
    bench: Bench, node: Node, wifi: httpx.Client, box: Node, eos: Eapi
) -> None:
    bench.arm(node, "commit-fail", times=1)
    failed = wifi.put(SITE, json=HOME)
    assert (failed.status_code, failed.json()["code"]) == (503, "UNAVAILABLE")
    assert wifi.get(SITE).status_code == 404
    assert wifi.put(SITE, json=HOME).status_code == 201
    bench.arm(box, "commit-fail", times=1)
    code, message = eos.run("configure session s", "vlan 10", "commit timer 00:01:00")
    assert (code, message.startswith("Commit failed")) == (1000, True)
    assert eos.vlans() == set()
    assert eos.run("configure session s commit") == [{}, {}]
    assert eos.vlans() == {"10"}


def test_lock(bench: Bench, node: Node, wifi: httpx.Client, box: Node, eos: Eapi) -> None:
    bench.arm(node, "lock")
    locked = wifi.put(SITE, json=HOME)
    assert (locked.status_code, locked.json()["code"]) == (423, "LOCKED")
    assert wifi.get("/wifi/v1/sites").json() == []
    eos.run("configure session s", "vlan 10")
    bench.arm(box, "lock")
    sessions = eos.run("show configuration sessions detail")[-1]
    assert sessions["commitTimerSessionName"] == "noc-change-1"
    assert eos.run("configure session t")[0] == 1000
    assert eos.run("configure terminal", "vlan 11")[0] == 1000
    assert eos.run("configure session s commit")[0] == 1000
    bench.clear(box)
    assert "commitTimerSessionName" not in eos.run("show configuration sessions detail")[-1]
    assert eos.run("configure session s commit") == [{}, {}]


def test_slow_commit_is_carried_out_though_the_client_has_gone(
    bench: Bench, node: Node, wifi: httpx.Client
) -> None:
    bench.arm(node, "slow-commit", ms=300)
    with pytest.raises(httpx.ReadTimeout):
        wifi.put(SITE, json=HOME, timeout=0.1)
    assert wifi.get(SITE).status_code == 404
    deadline = time.monotonic() + 3
    while wifi.get(SITE).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert wifi.get(SITE).status_code == 200


def test_writes_wait_for_each_other(bench: Bench, node: Node, wifi: httpx.Client) -> None:
    """Two creations with If-None-Match: * at once: one of them loses."""
    bench.arm(node, "slow-commit", ms=100)
    statuses: list[int] = []

    def create() -> None:
        with client(bench, node) as own:
            answer = own.put(SITE, json=HOME, headers={"if-none-match": "*"})
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 412]


def raw(bench: Bench, node: Node, sent: bytes) -> bytes:
    import socket

    context = ssl.create_default_context(cafile=bench.ca)
    with (
        socket.create_connection(("127.0.0.1", node.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(sent)
        parts = []
        while part := tls.recv(65536):
            parts.append(part)
            if part.endswith(b"}") or b" 100 " in part or b"content-length: 0" in part.lower():
                break
        return b"".join(parts)


LOGIN = b"Authorization: Basic " + base64.b64encode(b"admin:admin") + b"\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"GET /wifi/v1/sites HTTP/1.1\r\n\r\n", b"400"),
        (
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 17000000\r\n\r\n" + b" " * 17_000_000,
            b"413",
        ),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n" + LOGIN + b"\r\n", b"404"),
        (b"GET http://x/wifi/v1/none HTTP/1.1\r\nHost: x\r\n" + LOGIN + b"\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic !!\r\n\r\n", b"401"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Digest x\r\n\r\n", b"401"),
    ],
)
def test_odd_requests_are_answered(bench: Bench, node: Node, sent: bytes, status: bytes) -> None:
    assert raw(bench, node, sent).split(b" ")[1] == status


def test_expect_continue(bench: Bench, node: Node) -> None:
    head = b"PUT " + SITE.encode() + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + LOGIN
    answer = raw(bench, node, head + b"Content-Length: 5\r\nContent-Type: a/b\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 100")
