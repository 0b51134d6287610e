"""The connection plug-in and the ready-made tasks, as a plain Nornir script uses them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from nornir.core import Nornir
from nornir.core.plugins.connections import ConnectionPluginRegister
from nornir.core.state import GlobalState
from nornir.core.task import Task
from nornir.plugins.runners import SerialRunner, ThreadedRunner

from activation.credentials import CredentialError
from activation.drivers.base import DeviceRejected, Mode
from activation.drivers.loop import LoopThread
from activation.drivers.memory import LineDialect, MemoryNetwork, RestDialect
from activation.nornir_plugins.connection import NAME, Sessions, TurnupConnection, device
from activation.nornir_plugins.inventory import TurnupInventory
from activation.nornir_plugins.runner import AsyncRunner
from activation.nornir_plugins.tasks import configure, read_config, read_state, save

ENDPOINTS = [{"protocol": "netconf", "host": "127.0.0.1", "port": 830, "username": "u"}]
EDIT = "vlan 7\nname SV7"


@pytest.fixture
def network() -> MemoryNetwork:
    network = MemoryNetwork()
    network.add("a", mode=Mode.CONFIRMED, dialect=LineDialect(), running="hostname a")
    network.add("b", mode=Mode.CANDIDATE, dialect=LineDialect(), running="hostname b")
    return network


@pytest.fixture
def sessions(network: MemoryNetwork) -> Iterator[Sessions]:
    loop = LoopThread("test-tasks")
    sessions = Sessions(network.driver, loop=loop)
    yield sessions
    sessions.close()
    loop.stop()


def nornir(
    sessions: Sessions, names: str = "ab", *, dry_run: bool = False, **extras: object
) -> Nornir:
    ConnectionPluginRegister.register(NAME, TurnupConnection)
    devices = [{"name": name, "host": name, "endpoints": ENDPOINTS} for name in names]
    inventory = TurnupInventory(devices, extras={"sessions": sessions, **extras}).load()
    runner = AsyncRunner(deadline_s=10, loop=sessions.loop)
    return Nornir(inventory=inventory, runner=runner, data=GlobalState(dry_run=dry_run))


def test_read(sessions: Sessions, network: MemoryNetwork) -> None:
    network["a"].state = "up"
    result = nornir(sessions).run(read_config, selection="")
    assert [result[name][0].result for name in "ab"] == ["hostname a", "hostname b"]
    assert nornir(sessions).run(read_state)["a"][0].result == "up"


@pytest.mark.parametrize("runner", [SerialRunner(), ThreadedRunner()])
def test_sync_task_under_nornirs_own_runners(
    sessions: Sessions, runner: SerialRunner | ThreadedRunner
) -> None:
    def task(task: Task) -> str:
        return device(task).run(lambda driver: driver.read(""))

    result = nornir(sessions).with_runner(runner).run(task)
    assert result["b"][0].result == "hostname b"


def test_configure_confirms(sessions: Sessions, network: MemoryNetwork) -> None:
    result = nornir(sessions).run(configure, edits=[EDIT], change="window-1")
    assert not result.failed
    assert result["a"][0].changed
    for name in "ab":
        assert "SV7" in network[name].running
        assert network[name].locked_by is None
    assert network["a"].pending is None
    assert ("confirm", "window-1") in network["a"].calls


def test_dry_run_only_asks(sessions: Sessions, network: MemoryNetwork) -> None:
    result = nornir(sessions, dry_run=True).run(configure, edits=[EDIT])
    assert not result.failed
    assert [call for call, _ in network["a"].calls] == ["lock", "stage", "validate", "unlock"]
    assert "SV7" not in network["a"].running


def test_refused_edit_leaves_no_lock(sessions: Sessions, network: MemoryNetwork) -> None:
    result = nornir(sessions).run(configure, edits=["% nonsense"])
    assert isinstance(result["a"][0].exception, DeviceRejected)
    assert network["a"].locked_by is None


def test_mode_c(sessions: Sessions, network: MemoryNetwork) -> None:
    network.add("a", mode=Mode.IMMEDIATE, dialect=RestDialect())
    edit = '{"method": "PUT", "path": "/x", "body": 1}'
    dry = nornir(sessions, "a", dry_run=True).run(configure, edits=[edit])
    assert isinstance(dry["a"][0].exception, DeviceRejected)
    assert network["a"].running == ""
    result = nornir(sessions, "a").run(configure, edits=[edit])
    assert result["a"][0].changed
    assert network["a"].running == '{"/x": 1}'


def test_save(sessions: Sessions, network: MemoryNetwork) -> None:
    nornir(sessions).run(save)
    assert network["a"].startup == "hostname a"


def test_password_of_the_host_wins_over_the_reference(sessions: Sessions) -> None:
    nr = nornir(sessions, "a", credential_ref="env:TURNUP_TEST_NOT_SET")
    seen: list[str] = []

    def task(task: Task) -> None:
        seen.append(device(task).endpoint.password)

    failed = nr.run(task)
    assert isinstance(failed["a"][0].exception, CredentialError)
    nr.inventory.hosts["a"].password = "by-hand"
    nr.data.reset_failed_hosts()
    assert not nr.run(task).failed
    assert seen == ["by-hand"]


def test_closed_connection_says_so(sessions: Sessions) -> None:
    nr = nornir(sessions, "a")
    host = nr.inventory.hosts["a"]
    host.get_connection(NAME, nr.config)
    plugin = host.connections[NAME]
    host.close_connections()
    with pytest.raises(RuntimeError, match="closed"):
        _ = plugin.connection
