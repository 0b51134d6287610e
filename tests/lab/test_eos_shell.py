"""The EOS command line and its sessions on a clock of the test's own, without network."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from lab.embedded.eos.box import STARTUP, Box, Identity, factory_startup
from lab.embedded.eos.eapi import RpcError, answer, read_call
from lab.embedded.eos.errors import CannotRun, CliError
from lab.embedded.eos.shell import Shell

PORTS = ("Ethernet1", "Management1")


class Planned:
    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due, self.callback, self.cancelled = due, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.planned: list[Planned] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Planned:
        self.planned.append(Planned(self.now + delay, callback))
        return self.planned[-1]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self.planned if one.due <= self.now and not one.cancelled]
        for one in due:
            self.planned.remove(one)
            one.callback()


class Memory(dict[str, str]):
    def read(self, name: str) -> str | None:
        return self.get(name)

    def write(self, name: str, text: str) -> None:
        self[name] = text


class NoFaults:
    async def entering(self) -> None: ...
    async def editing(self, line: str) -> None: ...
    async def committing(self, *, confirming: bool) -> None: ...
    def locked_by(self) -> str | None:
        return None


class Terminal:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.files = Memory({STARTUP: factory_startup("agg-1", PORTS, "127.64.0.5")})
        self.box = self.boot()

    def boot(self) -> Box:
        self.box = Box(Identity("agg-1", "4.33.1F", PORTS), self.files, self.clock)
        return self.box

    def run(self, *commands: str, encoding: str = "json") -> list[dict[str, Any]]:
        shell = Shell(self.box, NoFaults(), "admin")

        async def all_of_them() -> list[dict[str, Any]]:
            outputs = [await shell.run(command) for command in ("enable", *commands)]
            return [o.data if encoding == "json" and o.data else {"text": o.text} for o in outputs]

        return asyncio.run(all_of_them())[1:]

    def refused(self, *commands: str) -> tuple[int, str]:
        with pytest.raises(CliError) as caught:
            self.run(*commands)
        return caught.value.code, caught.value.message

    @property
    def vlans(self) -> str:
        return ",".join(line.words[1] for line in self.box.running.section("vlan"))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_a_session_changes_nothing_before_its_commit(terminal: Terminal) -> None:
    terminal.run("configure session s", "vlan 10", "end")
    assert terminal.vlans == ""
    terminal.run("configure session s", "vlan 11")
    terminal.run("configure session s", "commit")
    assert terminal.vlans == "10,11"


def test_a_commit_overwrites_what_others_committed_meanwhile(terminal: Terminal) -> None:
    terminal.run("configure session early", "vlan 10")
    terminal.run("configure session late", "vlan 11", "commit")
    terminal.run("configure session early commit")
    assert terminal.vlans == "10"


def test_the_timer_reverts_at_its_time_and_takes_later_changes_with_it(terminal: Terminal) -> None:
    terminal.run("configure session s", "vlan 10", "commit timer 00:02:00")
    terminal.run("configure terminal", "vlan 20")
    terminal.clock.advance(119)
    assert terminal.vlans == "10,20"
    terminal.clock.advance(1)
    assert terminal.vlans == ""
    assert terminal.run("show configuration sessions")[0]["sessions"] == {}
    assert terminal.refused("configure session s commit")[0] == 1000


def test_a_second_commit_timer_of_the_same_session_renews(terminal: Terminal) -> None:
    terminal.run("configure session s", "vlan 10", "commit timer 00:01:00")
    terminal.clock.advance(50)
    terminal.run("configure session s commit timer 00:01:00")
    terminal.clock.advance(59)
    assert terminal.vlans == "10"
    terminal.clock.advance(1)
    assert terminal.vlans == "", "back to before the first commit"


def test_confirmed_is_for_good(terminal: Terminal) -> None:
    terminal.run("configure session s", "vlan 10", "commit timer 00:01:00")
    terminal.run("configure session s commit")
    terminal.clock.advance(3600)
    assert terminal.vlans == "10"
    code, message = terminal.refused("configure session s commit")
    assert (code, "completed" in message) == (1000, True)
    assert terminal.refused("configure session s")[0] == 1000


def test_only_one_completed_session_is_remembered(terminal: Terminal) -> None:
    terminal.run("configure session a", "vlan 10", "commit")
    terminal.run("configure session b", "vlan 11", "commit")
    assert set(terminal.box.sessions.all) == {"b"}
    terminal.run("configure session a", "vlan 12", "commit")
    assert terminal.vlans == "10,11,12"


def test_everything_else_is_refused_while_the_timer_runs(terminal: Terminal) -> None:
    terminal.run("configure session other", "vlan 30")
    terminal.run("configure session s", "vlan 10", "commit timer 00:01:00")
    for command in (
        "configure session other commit",
        "configure session other commit timer 00:01:00",
        "configure replace startup-config",
    ):
        code, message = terminal.refused(command)
        assert (code, "s has a pending commit timer" in message) == (1000, True)
    assert terminal.refused("configure session s", "vlan 11")[0] == 1000
    terminal.run("configure session s abort")
    assert terminal.vlans == ""
    terminal.run("configure session other commit")
    assert terminal.vlans == "30"


def test_at_most_five_sessions_are_open(terminal: Terminal) -> None:
    for number in range(5):
        terminal.run(f"configure session s{number}", "end")
    code, message = terminal.refused("configure session s5")
    assert (code, message.startswith("Maximum number of pending sessions")) == (1000, True)
    terminal.run("configure session s3 abort")
    terminal.run("configure session s5")


def test_the_remaining_time_is_told_on_the_boxs_uptime(terminal: Terminal) -> None:
    terminal.clock.advance(100)
    terminal.run("configure session s", "vlan 10", "commit timer 00:01:00")
    terminal.clock.advance(20)
    sessions, version = terminal.run("show configuration sessions detail", "show version")
    assert sessions["commitTimerSessionName"] == "s"
    assert sessions["commitTimerExpireTime"] - version["uptime"] == pytest.approx(40)
    assert sessions["sessions"]["s"]["state"] == "committed"
    text = terminal.run("show configuration sessions detail", encoding="text")[0]["text"]
    assert "Time left until commit timer expiry: in 0:00:40" in text


def test_older_versions_tell_the_timer_in_the_sessions_entry(terminal: Terminal) -> None:
    identity = Identity("agg-1", "4.31.9M", PORTS)
    terminal.box = Box(identity, terminal.files, terminal.clock)
    terminal.run("configure session s", "vlan 10", "commit timer 00:01:00")
    sessions = terminal.run("show configuration sessions detail")[0]
    assert "commitTimerSessionName" not in sessions
    assert sessions["sessions"]["s"]["state"] == "pendingCommitTimer"
    assert sessions["sessions"]["s"]["commitBy"] == pytest.approx(60)


def test_boot_takes_startup_and_leaves_bad_lines(terminal: Terminal) -> None:
    terminal.run("configure terminal", "vlan 10", "write memory")
    terminal.run("configure terminal", "vlan 11")
    terminal.files[STARTUP] += "vlan 12\nsome line of another release\nvlan 13\n"
    terminal.boot()
    assert terminal.vlans == "10,12,13"


def test_copy_and_replace(terminal: Terminal) -> None:
    terminal.run("configure terminal", "vlan 10")
    terminal.run("copy running-config flash:before.cfg")
    terminal.run("configure terminal", "no vlan 10", "vlan 11")
    terminal.run("copy flash:before.cfg running-config")
    assert terminal.vlans == "10,11"
    terminal.run("configure replace flash:before.cfg")
    assert terminal.vlans == "10"
    code, message = terminal.refused("copy flash:none startup-config")
    assert (code, "No such file" in message) == (1000, True)
    terminal.files["flash:bad"] = "vlan 12\nnonsense\n"
    assert terminal.refused("configure replace flash:bad")[0] == 1002
    assert terminal.vlans == "10"


def test_running_against_startup(terminal: Terminal) -> None:
    assert terminal.run("show running-config diffs", encoding="text")[0]["text"] == ""
    terminal.run("configure terminal", "vlan 10")
    diff = terminal.run("show running-config diffs", encoding="text")[0]["text"]
    assert diff.startswith("--- flash:/startup-config\n+++ system:/running-config\n")
    assert "+vlan 10\n" in diff


def test_privilege_is_asked_for(terminal: Terminal) -> None:
    code, message = terminal.refused("disable", "configure terminal")
    assert (code, message) == (1002, "Invalid input (privileged mode required)")
    assert terminal.refused("bash")[0] == 1004


def test_secrets_are_hidden_when_asked(terminal: Terminal) -> None:
    terminal.run("configure terminal", "username noc privilege 15 role network-admin secret 0 xyz")
    plain, hidden = terminal.run(
        "show running-config", "show running-config sanitized", encoding="text"
    )
    assert "secret 0 xyz" in plain["text"]
    assert "secret <removed>" in hidden["text"]
    assert "xyz" not in hidden["text"]


@pytest.mark.parametrize(
    "command",
    [
        "show", "show bogus", "show running-config nonsense", "configure nonsense",
        "configure session s nonsense", "configure session s commit timer 5",
        "configure session s commit timer 00:00:00", "copy running-config", "frobnicate",
        "show vlan 5000", "show vlan 77", "show interfaces Ethernet9", "show interfaces x",
        "commit", "abort", "vlan 10", "copy running-config nowhere:x",
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_changes_nothing(terminal: Terminal, command: str) -> None:
    before = terminal.box.running.text()
    terminal.refused(command)
    assert terminal.box.running.text() == before


def body(**changes: Any) -> bytes:
    request: dict[str, Any] = {
        "jsonrpc": "2.0",
        "method": "runCmds",
        "params": {"version": 1, "cmds": ["show version"], "format": "json"},
        "id": "7",
    }
    merged = {name: value for name, value in (request | changes).items() if value is not ...}
    return json.dumps(merged).encode()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"{", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (body(jsonrpc=...), -32600),
        (body(params=...), -32600),
        (body(method="getVersion"), -32601),
        (body(params={"version": 1}), -32602),
        (body(params={"cmds": "show version"}), -32602),
        (body(params={"cmds": [7]}), -32602),
        (body(params={"cmds": ["show version"], "format": "xml"}), -32602),
    ],
)
def test_requests_that_are_no_json_rpc(sent: bytes, code: int) -> None:
    with pytest.raises(RpcError) as caught:
        read_call(sent)
    assert caught.value.code == code


def test_a_failing_command_ends_the_request(terminal: Terminal) -> None:
    commands = ["enable", "configure terminal", "vlan 10", "vlan 5000", "vlan 11"]
    call = read_call(body(params=[1, [{"cmd": "enable", "input": ""}, *commands[1:]], "text"]))
    shell = Shell(terminal.box, NoFaults(), "admin")
    error = asyncio.run(answer(call, shell.run))["error"]
    assert error["message"] == "CLI command 4 of 5 'vlan 5000' failed: invalid command"
    assert [set(entry) for entry in error["data"]] == [{"output"}] * 3 + [{"output", "errors"}]
    assert terminal.vlans == "10", "outside a session every line acts at once"


def test_two_lines_of_work_in_any_order_end_the_same(terminal: Terminal) -> None:
    """Every order of confirm, expiry and abort leaves either all of the session or nothing."""
    for steps in itertools.permutations(["commit", "abort", "expire"]):
        fresh = Terminal()
        fresh.run("configure session s", "vlan 10", "vlan 11", "commit timer 00:01:00")
        for step in steps:
            if step == "expire":
                fresh.clock.advance(61)
                continue
            with contextlib.suppress(CannotRun):
                fresh.run(f"configure session s {step}")
        assert fresh.vlans == ("10,11" if steps[0] == "commit" else "")
