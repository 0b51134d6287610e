"""The fleet and a plain Nornir script over a lab that runs in a process of its own: every device, every dialect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from activation.credentials import Credentials
from activation.drivers.base import DeviceUnreachable, Driver, DriverError, Mode
from activation.nornir_plugins.fleet import NornirFleet
from inventory.devices import Device

if TYPE_CHECKING:
    from lab.pytest_plugin import Lab

ROOT = Path(__file__).parents[3]
REMOVE = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"'
OLT = (
    '<subscriber-profiles xmlns="urn:bbf:yang:bbf-subscriber-profiles"><subscriber-profile{}>'
    "<name>sub-fleet</name></subscriber-profile></subscriber-profiles>"
)
BNG = (
    '<policies xmlns="urn:turnup:yang:turnup-bng"><policy{}><name>rate-fleet</name>{}</policy>'
    "</policies>"
)
ADD = {
    "olt-east-07": OLT.format(""),
    "bng-1": BNG.format("", "<rate>200000000</rate><burst>1000</burst>"),
    "agg-1": "vlan 1999\nname FLEET",
}
UNDO = {
    "olt-east-07": OLT.format(f" {REMOVE}"),
    "bng-1": BNG.format(f" {REMOVE}", ""),
    "agg-1": "no vlan 1999",
}
MARK = {"olt-east-07": "sub-fleet", "bng-1": "rate-fleet", "agg-1": "FLEET"}
REST = {"acs-1": '["/acs/v1/endpoints"]', "wifi-1": '["/wifi/v1/sites"]'}


@pytest.fixture
def registry(lab: Lab) -> dict[str, Device]:
    return {
        node.name: Device(
            name=node.name,
            platform=node.platform,
            role=node.role,
            host=node.host or "",
            endpoints=tuple(
                {
                    "protocol": access.protocol,
                    "host": access.host,
                    "port": access.port,
                    "username": access.username,
                }
                for access in node.access
            ),
            credential_ref="lab:admin",
            host_key=lab.info.host_key,
            ca_path=str(lab.info.ca_path),
        )
        for node in lab.info.nodes
        if node.access
    }


@pytest.fixture
def fleet(registry: dict[str, Device]) -> Iterator[NornirFleet]:
    def lookup(names: Sequence[str]) -> list[Device]:
        return [registry[name] for name in names if name in registry]

    fleet = NornirFleet(lookup, Credentials(lab={"admin": "admin"}))
    yield fleet
    fleet.stop()


async def read(name: str, driver: Driver) -> str:
    return await driver.read(REST.get(name, ""))


def test_every_device_of_the_lab_answers(fleet: NornirFleet, registry: dict[str, Device]) -> None:
    answers = fleet.run(read, sorted(registry), deadline_s=30)
    assert {name: answer for name, answer in answers.items() if not isinstance(answer, str)} == {}
    assert {name: str(fleet.mode(device)) for name, device in registry.items()} == {
        name: "C" if name in REST else "A" for name in registry
    }


def test_one_change_over_three_dialects_in_phases(fleet: NornirFleet) -> None:
    async def stage(name: str, driver: Driver) -> None:
        await driver.lock("fleet-batch")
        await driver.stage("fleet-batch", [ADD[name]])
        await driver.validate("fleet-batch")

    async def commit(name: str, driver: Driver) -> Mode:
        await driver.commit("fleet-batch", 60)
        return driver.mode

    async def confirm(name: str, driver: Driver) -> None:
        await driver.confirm("fleet-batch")
        await driver.unlock("fleet-batch")

    async def marked(name: str, driver: Driver) -> bool:
        return MARK[name] in await driver.read("")

    async def undo(name: str, driver: Driver) -> None:
        await driver.apply(UNDO[name])

    names = sorted(ADD)
    assert fleet.run(stage, names, deadline_s=30) == dict.fromkeys(names)
    assert fleet.run(marked, names, deadline_s=30) == dict.fromkeys(names, False)
    assert fleet.run(commit, names, deadline_s=30) == dict.fromkeys(names, Mode.CONFIRMED)
    assert fleet.run(marked, names, deadline_s=30) == dict.fromkeys(names, True)
    assert fleet.run(confirm, names, deadline_s=30) == dict.fromkeys(names)
    assert fleet.run(undo, names, deadline_s=30) == dict.fromkeys(names)
    assert fleet.run(marked, names, deadline_s=30) == dict.fromkeys(names, False)


def test_cancel_from_another_process_all_or_nothing(
    fleet: NornirFleet, registry: dict[str, Device]
) -> None:
    async def provisional(name: str, driver: Driver) -> None:
        await driver.lock("dead-batch")
        await driver.stage("dead-batch", [ADD[name]])
        await driver.commit("dead-batch", 60)

    async def recover(name: str, driver: Driver) -> bool:
        await driver.cancel("dead-batch")
        return MARK[name] in await driver.read("")

    names = sorted(ADD)
    died = NornirFleet(lambda _: registry.values(), Credentials(lab={"admin": "admin"}))
    assert died.run(provisional, names, deadline_s=30) == dict.fromkeys(names)
    died.stop()
    assert fleet.run(recover, names, deadline_s=30) == dict.fromkeys(names, False)


def test_device_that_goes_down_and_comes_back(fleet: NornirFleet, lab: Lab) -> None:
    names = ["bng-1", "olt-east-07"]
    fleet.run(read, names, deadline_s=30)
    lab.fault("olt-east-07", "down")
    try:
        began = time.monotonic()
        answers = fleet.run(read, names, deadline_s=30)
        assert time.monotonic() - began < 5
        assert isinstance(answers["olt-east-07"], DeviceUnreachable)
        assert isinstance(answers["bng-1"], str)
    finally:
        lab.clear_faults("olt-east-07")
    assert isinstance(fleet.run(read, names, deadline_s=30)["olt-east-07"], str)


def test_sessions_outlive_a_reboot(fleet: NornirFleet, lab: Lab) -> None:
    fleet.run(read, ["bng-1"], deadline_s=30)
    lab.reboot("bng-1")
    answer: str | DriverError = ""
    for _ in range(2):  # the first may find the old session dead only when it is used
        answer = fleet.run(read, ["bng-1"], deadline_s=30)["bng-1"]
        if isinstance(answer, str):
            break
    assert isinstance(answer, str)


def test_example_script(lab: Lab, tmp_path: Path) -> None:
    from lab import api

    listed = tmp_path / "lab.json"
    listed.write_text(json.dumps(api.inspect(lab.info.name, lab.state_dir)))
    script = [sys.executable, str(ROOT / "examples" / "nornir_script.py")]
    environment = {**os.environ, "TURNUP_DEVICE_PASSWORD": "admin"}
    done = subprocess.run(
        [*script, str(listed), str(lab.info.ca_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert set(lines) == {"olt-east-07", "olt-west-02", "agg-1", "bng-1", "acs-1", "wifi-1"}
    assert lines["olt-east-07"].startswith("mode A")
    assert lines["acs-1"].startswith("mode C")
    assert not (tmp_path / "nornir.log").exists()


def test_example_script_says_when_a_device_refuses(lab: Lab, tmp_path: Path) -> None:
    from lab import api

    listed = tmp_path / "lab.json"
    listed.write_text(json.dumps(api.inspect(lab.info.name, lab.state_dir)))
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "nornir_script.py"), str(listed)],
        env={**os.environ, "TURNUP_DEVICE_PASSWORD": "wrong-one"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "login refused" in done.stdout
    assert "wrong-one" not in done.stdout + done.stderr
