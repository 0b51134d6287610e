"""Locks and sessions (RFC 6241 §7.5, §7.8, §7.9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.embedded.faults import LOCK_HOLDER, parse_fault
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.rpcerror import RpcError
from tests.lab.netconf_bench import Client, bng, edit_config
from tests.lab.test_netconf_commit import NS, policy

LOCK = "<lock><target><candidate/></target></lock>"
UNLOCK = "<unlock><target><candidate/></target></unlock>"


@pytest.fixture
def device(tmp_path: Path) -> NetconfDevice:
    return bng(tmp_path)


@pytest.fixture
def first(device: NetconfDevice) -> Client:
    return Client(device, 1)


@pytest.fixture
def second(device: NetconfDevice) -> Client:
    return Client(device, 2)


def test_the_second_lock_names_the_holder(first: Client, second: Client) -> None:
    first.ask(LOCK)
    error = second.refusal(LOCK)
    assert (error.tag, error.info) == ("lock-denied", {"session-id": "1"})
    assert first.refusal(LOCK).tag == "lock-denied"
    first.ask(UNLOCK)
    second.ask(LOCK)


@pytest.mark.parametrize(
    "operation",
    [
        edit_config(policy("a")),
        "<commit/>",
        "<discard-changes/>",
        "<copy-config><target><candidate/></target><source><startup/></source></copy-config>",
    ],
)
def test_a_lock_keeps_others_from_the_candidate(
    first: Client, second: Client, operation: str
) -> None:
    first.ask(LOCK)
    assert second.refusal(operation).tag == "in-use"
    first.ask(operation)


def test_a_changed_candidate_is_not_locked(first: Client, second: Client) -> None:
    first.edit(policy("a"))
    error = second.refusal(LOCK)
    assert (error.tag, error.info) == ("lock-denied", {"session-id": "0"})
    first.ask("<discard-changes/>")
    second.ask(LOCK)


def test_unlock_discards_what_was_not_committed(first: Client) -> None:
    first.ask(LOCK)
    first.edit(policy("a"))
    first.ask(UNLOCK)
    assert "policy" not in first.read(source="candidate")


def test_the_end_of_a_session_frees_its_locks_and_discards(
    device: NetconfDevice, first: Client, second: Client
) -> None:
    first.ask(LOCK)
    first.edit(policy("a"))
    device.stores.end_session(1)
    second.ask(LOCK)
    assert "policy" not in second.read(source="candidate")


def test_only_the_holder_unlocks(first: Client, second: Client) -> None:
    first.ask(LOCK)
    assert second.refusal(UNLOCK).tag == "operation-failed"
    assert second.refusal(LOCK).tag == "lock-denied"


def test_running_is_not_locked_while_another_session_has_a_commit_to_confirm(
    first: Client, second: Client
) -> None:
    async def scenario() -> None:
        await first.asked("<commit><confirmed/></commit>")
        stores = second.device.stores
        with pytest.raises(RpcError, match="held by session 1"):
            stores.lock(2, "running")
        stores.lock(1, "running")

    first.run(scenario())


def test_an_armed_lock_is_held_by_somebody_else(device: NetconfDevice, first: Client) -> None:
    device.faults.arm(parse_fault("lock", {}))
    error = first.refusal(LOCK)
    assert (error.tag, error.info) == ("lock-denied", {"session-id": str(LOCK_HOLDER)})
    for operation in (edit_config(policy("a")), "<commit/>"):
        assert first.refusal(operation).tag == "in-use"
    device.faults.clear()
    first.ask(LOCK)


@pytest.mark.parametrize("who", ["1", "77", "x", ""])
def test_only_another_session_can_be_killed(first: Client, who: str) -> None:
    error = first.refusal(f"<kill-session><session-id>{who}</session-id></kill-session>")
    assert (error.tag, error.info) == ("invalid-value", {"bad-element": "session-id"})


@pytest.mark.parametrize(
    ("operation", "tag", "bad"),
    [
        ("<make-coffee/>", "operation-not-supported", None),
        ("<lock/>", "missing-element", "target"),
        ("<lock><target><disk/></target></lock>", "bad-element", "disk"),
        ("<get-config/>", "missing-element", "source"),
        ("<get-config><source><running/></source><filter type='xpath' select='/'/></get-config>", "bad-attribute", "filter"),
        ("<edit-config><target><candidate/></target></edit-config>", "missing-element", "config"),
        (edit_config("", default_operation="create"), "invalid-value", "default-operation"),
        (edit_config("", error_option="continue-on-error"), "operation-not-supported", None),
        (edit_config("").replace("candidate", "running"), "operation-not-supported", None),
        ("<delete-config><target><running/></target></delete-config>", "operation-not-supported", None),
        ("<copy-config><target><candidate/></target><source><url>file:x</url></source></copy-config>", "operation-not-supported", "url"),
        ("<commit><persist>p</persist></commit>", "invalid-value", "persist"),
    ],
)  # fmt: skip
def test_malformed_requests_are_told_what_is_wrong(
    first: Client, operation: str, tag: str, bad: str | None
) -> None:
    error = first.refusal(operation)
    assert (error.tag, error.info.get("bad-element")) == (tag, bad)


def test_validate_takes_a_datastore_or_a_document(first: Client) -> None:
    broken = f"<config><subscriber-interfaces {NS}><subscriber-interface><name>x</name></subscriber-interface></subscriber-interfaces></config>"
    first.ask("<validate><source><startup/></source></validate>")
    error = first.refusal(f"<validate><source>{broken}</source></validate>")
    assert error.tag == "data-missing"
    assert str(error.path).endswith("[tbng:name='x']/tbng:s-vlan")
