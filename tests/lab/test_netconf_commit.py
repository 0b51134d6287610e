"""Commit, confirmed commit and its traps (RFC 6241 §8.3, §8.4; bug trackers of real servers)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab.embedded.faults import parse_fault
from lab.embedded.netconf import device as netconf_device
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.rpcerror import Errors, RpcError
from tests.lab.netconf_bench import Client, bng, edit_config

NS = 'xmlns="urn:turnup:yang:turnup-bng"'


def policy(name: str, rate: int = 1000) -> str:
    return f"<policies {NS}><policy><name>{name}</name><rate>{rate}</rate></policy></policies>"


BROKEN = f"<subscriber-interfaces {NS}><subscriber-interface><name>x</name></subscriber-interface></subscriber-interfaces>"
QUICK = "<confirmed/><confirm-timeout>1</confirm-timeout>"


SPEED = 5


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NetconfDevice:
    """A BNG whose seconds are short."""
    monkeypatch.setattr(netconf_device, "_call_later", _soon)
    return bng(tmp_path, pool_ipv4="100.64.0.0/20")


def _soon(seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
    return asyncio.get_running_loop().call_later(seconds / SPEED, action)


def names(device: NetconfDevice) -> set[str]:
    return {key[0] for key in device.stores.running.branch("policies").listing("policy").entries}


async def refused(call: Awaitable[str]) -> RpcError:
    try:
        await call
    except RpcError as error:
        return error
    except Errors as errors:
        return errors.found[0]
    raise AssertionError("not refused")


async def soon(condition: Callable[[], bool], limit: float = 3.0) -> bool:
    for _ in range(int(limit / 0.02)):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return condition()


def test_commit_makes_the_candidate_running_and_nothing_else(device: NetconfDevice) -> None:
    client = Client(device)
    client.edit(policy("a"))
    assert names(device) == set()
    client.commit()
    assert names(device) == {"a"}
    assert device.stores.pending is None


def test_a_confirmed_commit_reverts_by_itself(device: NetconfDevice) -> None:
    client = Client(device)

    async def scenario() -> None:
        before = device.stores.running
        await client.asked(edit_config(policy("a")))
        await client.asked(f"<commit>{QUICK}<persist>b1</persist></commit>")
        assert names(device) == {"a"}
        assert await soon(lambda: names(device) == set())
        assert device.stores.running is before
        assert device.stores.candidate is before

    asyncio.run(scenario())


def test_timeout_is_seconds_and_600_when_not_given(device: NetconfDevice) -> None:
    """Trap: seconds or minutes (ncclient #238)."""
    client = Client(device)

    async def scenario() -> float:
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit><confirmed/></commit>")
        pending = device.stores.pending
        assert pending
        return pending.timer.when() - asyncio.get_running_loop().time()  # type: ignore[attr-defined,no-any-return]

    assert 599 < asyncio.run(scenario()) * SPEED <= 600


def test_another_session_confirms_by_name(device: NetconfDevice) -> None:
    first, second = Client(device, 1), Client(device, 2)

    async def scenario() -> None:
        await first.asked(edit_config(policy("a")))
        await first.asked(f"<commit>{QUICK}<persist>b1</persist></commit>")
        device.stores.end_session(1)
        await second.asked("<commit><persist-id>b1</persist-id></commit>")
        await asyncio.sleep(1.2 / SPEED)
        assert names(device) == {"a"}

    asyncio.run(scenario())


def test_a_second_confirmed_commit_keeps_the_first_backup(device: NetconfDevice) -> None:
    """Trap: netopeer2 #1207."""
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit><confirmed/><persist>b1</persist></commit>")
        await client.asked(edit_config(policy("b")))
        await client.asked(
            f"<commit>{QUICK}<persist>b2</persist><persist-id>b1</persist-id></commit>"
        )
        assert names(device) == {"a", "b"}
        assert (
            await refused(client.asked("<commit><persist-id>b1</persist-id></commit>"))
        ).tag == "invalid-value"
        assert await soon(lambda: names(device) == set())

    asyncio.run(scenario())


def test_a_follow_up_renews_the_timer(device: NetconfDevice) -> None:
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked(f"<commit>{QUICK}<persist>b1</persist></commit>")
        await asyncio.sleep(0.6 / SPEED)
        await client.asked(
            f"<commit>{QUICK}<persist>b1</persist><persist-id>b1</persist-id></commit>"
        )
        await asyncio.sleep(0.7 / SPEED)
        assert names(device) == {"a"}
        assert await soon(lambda: names(device) == set())

    asyncio.run(scenario())


@pytest.mark.parametrize("persist", ["", "<persist>b1</persist>"])
@pytest.mark.parametrize(
    "operation", ["<commit/>", "<commit><confirmed/></commit>", "<cancel-commit/>"]
)
def test_without_the_name_another_session_neither_confirms_nor_cancels(
    device: NetconfDevice, persist: str, operation: str
) -> None:
    """Trap: netopeer2 #1236."""
    first, second = Client(device, 1), Client(device, 2)

    async def scenario() -> None:
        await first.asked(edit_config(policy("a")))
        await first.asked(f"<commit><confirmed/>{persist}</commit>")
        pending = device.stores.pending
        assert (await refused(second.asked(operation))).tag == "in-use"
        assert device.stores.pending is pending

    asyncio.run(scenario())


def test_a_wrong_name_confirms_and_cancels_nothing(device: NetconfDevice) -> None:
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit><confirmed/><persist>b1</persist></commit>")
        for operation in ("commit", "cancel-commit"):
            error = await refused(
                client.asked(f"<{operation}><persist-id>b2</persist-id></{operation}>")
            )
            assert (error.tag, error.info["bad-element"]) == ("invalid-value", "persist-id")
        assert device.stores.pending

    asyncio.run(scenario())


def test_cancel_from_a_later_session_by_name(device: NetconfDevice) -> None:
    """Trap: netopeer2 #1372 crashed when the session that committed was gone."""
    first, second = Client(device, 1), Client(device, 2)

    async def scenario() -> None:
        await first.asked(edit_config(policy("a")))
        await first.asked("<commit><confirmed/><persist>b1</persist></commit>")
        device.stores.end_session(1)
        assert names(device) == {"a"}
        await second.asked("<cancel-commit><persist-id>b1</persist-id></cancel-commit>")
        assert names(device) == set()
        assert device.stores.pending is None

    asyncio.run(scenario())


def test_a_cancel_with_nothing_pending_is_refused(device: NetconfDevice) -> None:
    client = Client(device)
    assert client.refusal("<cancel-commit/>").tag == "operation-failed"
    assert (
        client.refusal("<cancel-commit><persist-id>b1</persist-id></cancel-commit>").tag
        == "invalid-value"
    )


def test_the_end_of_the_session_undoes_an_unnamed_commit(device: NetconfDevice) -> None:
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit><confirmed/></commit>")
        device.stores.end_session(1)
        assert names(device) == set()
        assert device.stores.pending is None

    asyncio.run(scenario())


def test_a_failed_confirmed_commit_arms_no_timer(device: NetconfDevice) -> None:
    """Trap: netopeer2 #1826."""
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(BROKEN))
        assert (await refused(client.asked(f"<commit>{QUICK}</commit>"))).tag == "data-missing"
        assert device.stores.pending is None
        await client.asked("<discard-changes/>")
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit/>")
        await asyncio.sleep(1.2 / SPEED)
        assert names(device) == {"a"}

    asyncio.run(scenario())


def test_a_failed_follow_up_leaves_the_first_as_it_was(device: NetconfDevice) -> None:
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked(f"<commit>{QUICK}<persist>b1</persist></commit>")
        pending = device.stores.pending
        await client.asked(edit_config(BROKEN))
        await refused(client.asked("<commit><persist-id>b1</persist-id></commit>"))
        assert device.stores.pending is pending
        assert await soon(lambda: names(device) == set())

    asyncio.run(scenario())


@pytest.mark.parametrize("datastore", ["running", "candidate"])
def test_a_commit_while_another_session_holds_a_lock_is_refused(
    device: NetconfDevice, datastore: str
) -> None:
    """Trap: sysrepo #3017."""
    first, second = Client(device, 1), Client(device, 2)
    second.ask(f"<lock><target><{datastore}/></target></lock>")
    if datastore == "running":
        first.edit(policy("a"))
    assert first.refusal("<commit/>").tag == "in-use"
    assert names(device) == set()


def test_a_commit_that_outlasts_the_timer_confirms_nothing(device: NetconfDevice) -> None:
    """The revert happens while the confirming commit is being worked on: it must then fail."""
    client = Client(device)

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked(f"<commit>{QUICK}<persist>b1</persist></commit>")
        device.faults.arm(parse_fault("slow-commit", {"ms": 400}))
        error = await refused(client.asked("<commit><persist-id>b1</persist-id></commit>"))
        assert error.tag == "invalid-value"
        assert names(device) == set()

    asyncio.run(scenario())


def test_running_cannot_be_saved_before_it_is_confirmed(device: NetconfDevice) -> None:
    """RFC 6241 §8.4.1: a reboot before the confirmation brings back what was before."""
    client = Client(device)
    save = "<copy-config><target><startup/></target><source><running/></source></copy-config>"

    async def scenario() -> None:
        await client.asked(edit_config(policy("a")))
        await client.asked("<commit><confirmed/><persist>b1</persist></commit>")
        assert (await refused(client.asked(save))).tag == "in-use"
        await client.asked("<commit><persist-id>b1</persist-id></commit>")
        await client.asked(save)

    asyncio.run(scenario())
    device.stores.boot(device._read_startup())
    assert names(device) == {"a"}


@pytest.mark.parametrize("saved", [True, False])
def test_power_loss_keeps_what_was_saved(device: NetconfDevice, saved: bool) -> None:
    client = Client(device)
    client.edit(policy("a"))
    client.commit()
    if saved:
        client.ask(
            "<copy-config><target><startup/></target><source><running/></source></copy-config>"
        )
    device.stores.power_off()
    device.stores.boot(device._read_startup())
    assert names(device) == ({"a"} if saved else set())


@pytest.mark.parametrize("timeout", ["0", "-1", "ten", ""])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    device: NetconfDevice, timeout: str
) -> None:
    error = Client(device).refusal(
        f"<commit><confirmed/><confirm-timeout>{timeout}</confirm-timeout></commit>"
    )
    assert (error.tag, error.info["bad-element"]) == ("invalid-value", "confirm-timeout")


def test_commit_failures_are_counted(device: NetconfDevice) -> None:
    client = Client(device)
    device.faults.arm(parse_fault("commit-fail", {"times": "2"}))
    client.edit(policy("a"))
    for _ in range(2):
        assert client.refusal("<commit/>").tag == "operation-failed"
        assert names(device) == set()
    client.commit()
    assert names(device) == {"a"}


def test_a_killed_session_commits_nothing_more(device: NetconfDevice) -> None:
    first = Client(device, 1)

    async def scenario() -> None:
        await first.asked(edit_config(policy("a")))
        device.faults.arm(parse_fault("slow-commit", {"ms": 200}))
        commit = asyncio.ensure_future(refused(first.asked("<commit/>")))
        await asyncio.sleep(0.05)
        device._sessions.pop(1)
        device.stores.end_session(1)
        assert (await commit).message == "the session was killed"
        assert names(device) == set()

    asyncio.run(scenario())
