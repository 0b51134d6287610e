"""The in-memory device: dialects, faults and the commit timer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from activation.drivers._dialects import LineDialect, Refusal, RestDialect, XmlDialect
from activation.drivers.base import (
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    Mode,
    SessionDropped,
)
from activation.drivers.memory import MemoryDevice, MemoryDriver

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
XML = XmlDialect(keys={"tag": "index"})


def xml(inner: str) -> str:
    return f'<t xmlns="urn:t">{inner}</t>'


def item(name: str, inner: str = "", operation: str = "") -> str:
    marked = f' xmlns:nc="{NC}" nc:operation="{operation}"' if operation else ""
    return f"<item{marked}><name>{name}</name>{inner}</item>"


def plain(text: str) -> str:
    return text.replace(f' xmlns:nc="{NC}"', "")


@pytest.mark.parametrize(
    ("running", "edit", "after"),
    [
        ("", xml(item("a")), xml(item("a"))),
        (xml(item("a", "<v>1</v>")), xml(item("a", "<v>2</v>")), xml(item("a", "<v>2</v>"))),
        (xml(item("a")), xml(item("b")), xml(item("a") + item("b"))),
        (xml(item("a") + item("b")), xml(item("a", operation="remove")), xml(item("b"))),
        (xml(item("a")), xml(item("a", operation="remove")), ""),
        (xml(item("a")), xml(item("b", operation="remove")), xml(item("a"))),
        (
            xml(item("a", "<v>1</v>")),
            xml(item("a", "<w>2</w>", "replace")),
            xml(item("a", "<w>2</w>")),
        ),
        (
            xml("<tag><index>0</index><id>1</id></tag>"),
            xml("<tag><index>1</index><id>2</id></tag>"),
            xml("<tag><index>0</index><id>1</id></tag><tag><index>1</index><id>2</id></tag>"),
        ),
    ],
)
def test_xml_edits(running: str, edit: str, after: str) -> None:
    assert plain(XML.apply(running, edit)) == after


@pytest.mark.parametrize(
    ("edit", "tag"),
    [
        (xml(item("b", operation="delete")), "data-missing"),
        (xml(item("a", operation="create")), "data-exists"),
        ("<t", "malformed-message"),
    ],
)
def test_xml_refusals(edit: str, tag: str) -> None:
    with pytest.raises(Refusal) as caught:
        XML.apply(xml(item("a")), edit)
    assert caught.value.message.tag == tag


@pytest.mark.parametrize(
    ("selection", "answer"),
    [
        ("", xml(item("a", "<v>1</v>") + item("b"))),
        (xml(""), xml(item("a", "<v>1</v>") + item("b"))),
        (xml(item("a")), xml(item("a", "<v>1</v>"))),
        (xml(item("a", "<v/>")), xml(item("a", "<v>1</v>"))),
        (xml("<item><name/></item>"), xml(item("a") + item("b"))),
        (xml(item("c")), ""),
        ('<u xmlns="urn:u"/>', ""),
    ],
)
def test_xml_selections(selection: str, answer: str) -> None:
    assert plain(XML.select(xml(item("a", "<v>1</v>") + item("b")), selection)) == answer


def test_lines() -> None:
    dialect = LineDialect()
    running = dialect.apply("hostname x", "vlan 7\n   name A\ninterface Ethernet1\n mtu 9000")
    assert running == "hostname x\ninterface Ethernet1\n   mtu 9000\nvlan 7\n   name A"
    assert dialect.apply(running, "") == running
    running = dialect.apply(running, "vlan 7\nname B\nno vlan 8\ninterface Ethernet1\nno mtu 9000")
    assert running == "hostname x\ninterface Ethernet1\nvlan 7\n   name B"
    assert dialect.apply(running, "no vlan 7\nno interface Ethernet1") == "hostname x"


def test_rest() -> None:
    dialect = RestDialect()
    put = json.dumps({"method": "PUT", "path": "/a", "body": {"x": 1, "y": 2}})
    patch = json.dumps({"method": "PATCH", "path": "/a", "body": {"x": None, "z": {"q": 1}}})
    running = dialect.apply(dialect.apply("", put), patch)
    assert json.loads(running) == {"/a": {"y": 2, "z": {"q": 1}}}
    assert json.loads(dialect.select(running, '["/a", "/b"]'))["/b"] is None
    assert dialect.apply(running, '{"method": "DELETE", "path": "/a"}') == "{}"
    with pytest.raises(Refusal):
        dialect.apply("", patch)


async def opened(device: MemoryDevice) -> MemoryDriver:
    driver = MemoryDriver(device)
    await driver.open()
    return driver


@pytest.mark.parametrize(("when", "active"), [("before", False), ("after", True)])
def test_drop_before_or_after(run: Callable[[Any], Any], when: Any, active: bool) -> None:
    async def test() -> None:
        device = MemoryDevice("d", Mode.IMMEDIATE, LineDialect())
        device.fail("apply", when=when)
        driver = await opened(device)
        with pytest.raises(SessionDropped):
            await driver.apply("vlan 7")
        assert ("vlan 7" in device.running) is active
        assert not driver.alive
        await (await opened(device)).apply("vlan 8")  # one fault, one failure

    run(test())


def test_skip_and_times(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        device = MemoryDevice("d", Mode.IMMEDIATE, LineDialect())
        device.fail("*", DeviceLocked, skip=1, times=2)
        driver = await opened(device)  # skipped
        for _ in range(2):
            with pytest.raises(DeviceLocked):
                await driver.apply("vlan 7")
        await driver.apply("vlan 7")
        device.fail("read", DeviceRejected)
        device.down = True
        with pytest.raises(DeviceUnreachable):
            await driver.read("")
        device.heal()
        assert await (await opened(device)).read("") == "vlan 7"

    run(test())


def test_timer_moves_with_the_clock(run: Callable[[Any], Any]) -> None:
    async def test() -> None:
        now = 0.0
        device = MemoryDevice("d", dialect=LineDialect(), clock=lambda: now)
        driver = await opened(device)
        await driver.lock("b1")
        await driver.stage("b1", ["vlan 7"])
        await driver.commit("b1", 60)
        assert device.pending == "b1"
        now = 61.0
        assert await driver.read("") == ""
        assert device.pending is None

    run(test())
