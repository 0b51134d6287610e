"""The REST driver: preconditions, and answers that are not what one hopes for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from activation.drivers.base import (
    AuthenticationRefused,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    HostKeyMismatch,
    SessionDropped,
)
from activation.drivers.rest import RestDriver
from lab.embedded.rest.bench import Bench, Node

SITE = "/wifi/v1/sites/site-1"


def site(ssid: str, *, method: str = "PUT") -> str:
    body: dict[str, Any] = {"ssid": ssid}
    if method == "PUT":
        body |= {"name": "n", "serial": "HWTC1A2B3C01", "band": "2.4+5", "enabled": True}
    return json.dumps({"method": method, "path": SITE, "body": body})


DELETE = json.dumps({"method": "DELETE", "path": SITE})


@pytest.fixture(scope="module")
def node(bench: Bench) -> Node:
    return bench.start("wifi-1", "wifi")


@pytest.fixture
def endpoint(bench: Bench, node: Node) -> Iterator[Endpoint]:
    yield Endpoint(
        device="wifi-1",
        platform="wifi",
        protocol="rest",
        host="127.0.0.1",
        port=node.port,
        username="admin",
        password="admin",
        ca_path=str(bench.ca),
        timeout_s=2,
    )
    bench.clear(node)


@contextlib.asynccontextmanager
async def opened(endpoint: Endpoint) -> AsyncIterator[RestDriver]:
    driver = RestDriver(endpoint)
    await driver.open()
    try:
        yield driver
    finally:
        with contextlib.suppress(DriverError):
            if driver.alive:
                driver._etags.clear()
                await driver.apply(DELETE)
        await driver.close()


async def ssid(driver: RestDriver) -> Any:
    found = json.loads(await driver.read(json.dumps([SITE])))[SITE]
    return found and found["ssid"]


def test_life_of_a_resource(endpoint: Endpoint, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened(endpoint) as driver:
            assert await ssid(driver) is None
            await driver.apply(site("one"))
            await driver.apply(site("two"))  # the ETag of the first answer is carried on
            await driver.apply(site("three", method="PATCH"))
            assert await ssid(driver) == "three"
            await driver.apply(DELETE)
            await driver.apply(DELETE)
            assert await ssid(driver) is None

    run(test())


def test_change_by_others_between_look_and_write_is_refused(
    endpoint: Endpoint, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened(endpoint) as ours, opened(endpoint) as theirs:
            await ours.apply(site("one"))
            assert await ssid(ours) == "one"
            await theirs.apply(site("theirs"))
            with pytest.raises(DeviceRejected) as caught:
                await ours.apply(site("ours"))
            assert caught.value.messages[0].tag == "412"
            assert await ssid(ours) == "theirs"
            await ours.apply(site("ours"))

    run(test())


def test_creation_by_others_between_look_and_write_is_refused(
    endpoint: Endpoint, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened(endpoint) as ours, opened(endpoint) as theirs:
            assert await ssid(ours) is None
            await theirs.apply(site("theirs"))
            with pytest.raises(DeviceRejected) as caught:
                await ours.apply(site("ours"))
            assert caught.value.messages[0].tag == "412"

    run(test())


def test_refusal_carries_the_server_words(endpoint: Endpoint, run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        async with opened(endpoint) as driver:
            with pytest.raises(DeviceRejected) as caught:
                await driver.apply(site("x" * 33))
            (message,) = caught.value.messages
            assert "ssid" in message.message
            assert message.path == SITE

    run(test())


def test_lab_faults(
    bench: Bench, node: Node, endpoint: Endpoint, run: Callable[[Any], Any]
) -> None:
    async def test() -> None:
        async with opened(endpoint) as driver:
            bench.arm(node, "lock")
            with pytest.raises(DeviceLocked):
                await driver.apply(site("one"))
            bench.clear(node)
            bench.arm(node, "commit-fail", times=1)
            with pytest.raises(DeviceUnreachable, match="busy"):
                await driver.apply(site("one"))
            bench.clear(node)
            bench.arm(node, "drop", rpc=1, when="after")
            with pytest.raises(SessionDropped):
                await driver.apply(site("one"))
            assert not driver.alive
            bench.clear(node)
        async with opened(endpoint) as driver:
            assert await ssid(driver) == "one"

    run(test())


@pytest.mark.parametrize(
    "edit",
    [
        "",
        "no json",
        "[]",
        '{"path": "/x"}',
        '{"method": "GET", "path": "/x"}',
        '{"method": "PUT"}',
        '{"method": "PUT", "path": "https://elsewhere/x"}',
        '{"method": "PUT", "path": 7}',
    ],
)
def test_what_is_no_edit_is_not_sent(
    endpoint: Endpoint, run: Callable[[Any], Any], edit: str
) -> None:
    async def test() -> None:
        async with opened(endpoint) as driver:
            with pytest.raises(DeviceRejected, match="nothing was sent"):
                await driver.apply(edit)

    run(test())


@pytest.mark.parametrize("selection", ["no json", "{}", "[1]"])
def test_what_is_no_selection(
    endpoint: Endpoint, run: Callable[[Any], Any], selection: str
) -> None:
    async def test() -> None:
        async with opened(endpoint) as driver:
            with pytest.raises(DeviceRejected, match="list of paths"):
                await driver.read(selection)

    run(test())


def http(status: str, body: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http("500 Oops", "it broke"), SessionDropped),
        (http("502 Bad"), SessionDropped),
        (http("503 Busy"), DeviceUnreachable),
        (http("429 Slow"), DeviceUnreachable),
        (http("401 Who"), AuthenticationRefused),
        (http("423 Locked"), DeviceLocked),
        (http("409 Conflict", '{"message": "taken"}'), DeviceRejected),
        (http("403 No", '["odd"]'), DeviceRejected),
        (http("301 Gone"), DeviceRejected),
        (b"", SessionDropped),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\nhalf", SessionDropped),
        (b"SSH-2.0-what\r\n", SessionDropped),
    ],
)
def test_answers(
    bench: Bench,
    endpoint: Endpoint,
    run: Callable[[Any], Any],
    tls_server: Any,
    answer: bytes,
    kind: type[DriverError],
) -> None:
    async def test() -> None:
        with tls_server(bench, answer) as port:
            driver = RestDriver(replace(endpoint, port=port))
            await driver.open()
            with pytest.raises(kind) as caught:
                await driver.apply(site("one"))
            assert type(caught.value) is kind
            await driver.close()

    run(test())


def test_read_that_is_no_json(
    bench: Bench, endpoint: Endpoint, run: Callable[[Any], Any], tls_server: Any
) -> None:
    async def test() -> None:
        with tls_server(bench, http("200 OK", "<html>")) as port:
            driver = RestDriver(replace(endpoint, port=port))
            await driver.open()
            with pytest.raises(SessionDropped, match="no JSON"):
                await driver.read('["/x"]')
            await driver.close()

    run(test())


def test_ca_file_that_is_not_there(endpoint: Endpoint, run: Callable[[Any], Any]) -> None:
    driver = RestDriver(replace(endpoint, ca_path="/nowhere/ca.pem"))
    with pytest.raises(HostKeyMismatch, match="cannot be used"):
        run(driver.open())


def test_proxies_of_the_environment_are_not_used(
    endpoint: Endpoint, run: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    async def test() -> None:
        async with opened(endpoint) as driver:
            assert await ssid(driver) is None

    run(test())
