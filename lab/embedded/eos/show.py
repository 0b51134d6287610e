"""The `show` commands: each gives its JSON form and its text, as eAPI offers both."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lab.embedded.eos.arguments import interface_names
from lab.embedded.eos.box import MODEL, RUNNING, STARTUP, Box
from lab.embedded.eos.config import INDENT, Configuration, Line, config_lines, section_text
from lab.embedded.eos.errors import CannotRun, InvalidCommand
from lab.embedded.eos.numbers import format_numbers, parse_numbers
from lab.embedded.eos.sessions import MAX_COMPLETED, MAX_PENDING, Session

Json = dict[str, Any]
_BUILD: Final = "39879738"
_MEMORY_KB: Final = 8_124_864
_SECRET: Final = re.compile(r"( secret )(?!<removed>)\S.*$", re.MULTILINE)
_DEFAULT_MTU: Final = 9214
_MANAGEMENT_MTU: Final = 1500
_GIGABIT: Final = 1_000_000_000
_COUNTERS: Final = (
    "inOctets", "inUcastPkts", "inMulticastPkts", "inBroadcastPkts", "inDiscards", "totalInErrors",
    "outOctets", "outUcastPkts", "outMulticastPkts", "outBroadcastPkts", "outDiscards",
    "totalOutErrors",
)  # fmt: skip


@dataclass(frozen=True)
class Output:
    """What a command gives. `data` None: the command has no JSON form."""

    data: Json | None = field(default_factory=dict)
    text: str = ""


class Shows:
    """`show` of one box. `session` is the session the command line stands in, if any."""

    def __init__(self, box: Box, foreign: str | None = None) -> None:
        self._box = box
        self._foreign = foreign

    def run(self, words: Sequence[str], session: str | None) -> Output:
        """The words after `show`. InvalidCommand, CannotRun as the box says."""
        lowered = [word.lower() for word in words]
        output = self._system(lowered) or self._configuration(words, lowered, session)
        if output is None:
            raise _unknown(words)
        return output

    def _system(self, words: Sequence[str]) -> Output | None:
        match words:
            case ["version"]:
                return self._version()
            case ["hostname"]:
                return self._hostname()
            case ["interfaces", *names] if len(names) <= 1:
                return self._interfaces(self._known(names[0]) if names else self._ports)
            case ["vlan", *numbers] if len(numbers) <= 1:
                return self._vlans(numbers[0] if numbers else None)
            case ["ip", "route"] | ["ip", "route", "static"]:
                return self._routes()
        return None

    def _configuration(
        self, spelled: Sequence[str], words: Sequence[str], session: str | None
    ) -> Output | None:
        match words:
            case ["running-config", *options]:
                return self._running(options)
            case ["startup-config"]:
                return self._startup()
            case ["session-config", "named", _, *options]:
                return self._candidate(spelled[2], options)
            case ["session-config", *options] if session:
                return self._candidate(session, options)
            case ["configuration", "sessions"] | ["configuration", "sessions", "detail"]:
                return self._sessions(detail=words[-1] == "detail")
        return None

    @property
    def _ports(self) -> tuple[str, ...]:
        return self._box.identity.ports

    def _version(self) -> Output:
        box, identity = self._box, self._box.identity
        internal = f"{identity.version}-{_BUILD}.{identity.version.replace('.', '')}"
        data = {
            "mfgName": "Arista", "modelName": MODEL, "hardwareRevision": "",
            "serialNumber": identity.serial, "systemMacAddress": identity.mac,
            "version": identity.version, "internalVersion": internal, "architecture": "x86_64",
            "bootupTimestamp": box.boot_time, "uptime": box.uptime(), "memTotal": _MEMORY_KB,
            "memFree": _MEMORY_KB // 2, "isIntlVersion": False,
        }  # fmt: skip
        text = (
            f"Arista {MODEL}\nHardware version: \nSerial number: {identity.serial}\n"
            f"System MAC address: {identity.mac}\n\nSoftware image version: {identity.version}\n"
            f"Architecture: x86_64\nInternal build version: {internal}\n\n"
            f"Uptime: {timedelta(seconds=int(box.uptime()))}\n"
        )
        return Output(data, text)

    def _hostname(self) -> Output:
        name = self._box.hostname
        return Output({"hostname": name, "fqdn": name}, f"Hostname: {name}\nFQDN:     {name}\n")

    def _known(self, name: str) -> tuple[str, ...]:
        names = interface_names(name)
        if names is None:
            raise InvalidCommand.at(2, name)
        missing = [port for port in names if port not in self._ports]
        if missing:
            raise CannotRun(f"Interface {missing[0]} does not exist")
        return names

    def _interfaces(self, names: Sequence[str]) -> Output:
        data = {name: self._interface(name) for name in names}
        lines = [
            f"{name} is {one['interfaceStatus']}, line protocol is {one['lineProtocolStatus']}\n"
            for name, one in data.items()
        ]
        return Output({"interfaces": data}, "".join(lines))

    def _interface(self, name: str) -> Json:
        line = self._box.running.find("interface", name)
        settings = {one.words[0]: one.text for one in line.lines.values()} if line else {}
        disabled = "shutdown" in settings
        linked = name in self._box.identity.connected or name.startswith("Management")
        up = linked and not disabled
        management = name.startswith("Management")
        return {
            "name": name,
            "interfaceStatus": "disabled" if disabled else "connected" if up else "notconnect",
            "lineProtocolStatus": "up" if up else "down",
            "description": settings.get("description", "").partition(" ")[2],
            "hardware": "ethernet",
            "bandwidth": _GIGABIT,
            "mtu": _MANAGEMENT_MTU if management else _DEFAULT_MTU,
            "forwardingModel": "routed" if management else "bridged",
            "physicalAddress": self._box.identity.mac,
            "burnedInAddress": self._box.identity.mac,
            "lastStatusChangeTimestamp": self._box.boot_time,
            "interfaceAddress": [],
            "interfaceCounters": dict.fromkeys(_COUNTERS, 0),
        }

    def _running(self, options: Sequence[str]) -> Output:
        match options:
            case ["diffs"]:
                return Output(None, self._running_diffs())
            case ["interfaces", name]:
                return self._running_interfaces(name)
            case _ if set(options) <= {"all", "sanitized"}:
                return self._config(RUNNING, self._box.running, options)
        raise InvalidCommand.at(2, options[0])

    def _running_diffs(self) -> str:
        saved = Configuration(self._ports)
        saved.load(self._box.files.read(STARTUP) or "")
        text = saved.diff(self._box.running, "running")
        return text.replace("system:/running-config", "flash:/startup-config", 1).replace(
            "session:/running-session-config", "system:/running-config", 1
        )

    def _running_interfaces(self, name: str) -> Output:
        sections = [self._box.running.find("interface", port) for port in self._known(name)]
        lines = [line for section in sections if section for line in section_text(section)]
        return Output(None, "".join(f"{line}\n" for line in lines))

    def _config(self, name: str, shown: Configuration, options: Sequence[str]) -> Output:
        version = self._box.identity.version
        header = [
            f"Command: show {name}",
            f"device: {self._box.hostname} ({MODEL}, EOS-{version})",
        ]
        body = shown.text(everything="all" in options)
        if "sanitized" in options:
            body = _SECRET.sub(r"\1<removed>", body)
        text = "".join(f"! {line}\n" for line in header) + body
        return Output({"header": header, "cmds": _commands(body)}, text)

    def _startup(self) -> Output:
        text = self._box.files.read(STARTUP)
        if text is None:
            raise CannotRun("Error: no startup-config")
        header = f"Command: show {STARTUP}"
        return Output({"header": [header], "cmds": _commands(text)}, f"! {header}\n{text}")

    def _candidate(self, name: str, options: Sequence[str]) -> Output:
        session = self._box.sessions.get(name)
        match options:
            case ["diffs"]:
                return Output(None, self._box.running.diff(session.candidate, name))
            case [] | ["sanitized"]:
                shown = self._config(f"session-config named {name}", session.candidate, options)
                return Output(None, shown.text)
        raise InvalidCommand.at(4, options[0])

    def _sessions(self, *, detail: bool) -> Output:
        sessions = {one.name: self._session(one, detail) for one in self._all_sessions()}
        data: Json = {
            "sessions": sessions,
            "maxSavedSessions": MAX_COMPLETED,
            "maxOpenSessions": MAX_PENDING,
            "mergeOnCommit": False,
            "saveToStartupConfigOnCommit": False,
        }
        timed = next((one for one in self._all_sessions() if one.commit_by is not None), None)
        if timed and timed.commit_by is not None and self._box.identity.has_new_timer_keys:
            data["commitTimerSessionName"] = timed.name
            data["commitTimerExpireTime"] = self._box.uptime(timed.commit_by)
        return Output(data, _session_table(sessions, timed, self._box))

    def _all_sessions(self) -> list[Session]:
        own = list(self._box.sessions.all.values())
        if self._foreign is None:
            return own
        deadline = self._box.clock.time() + 3600
        other = Session(self._foreign, self._box.running, "noc", "pendingCommitTimer")
        other.commit_by, other.completed_at = deadline, time.time()
        return [*own, other]

    def _session(self, session: Session, detail: bool) -> Json:
        new_keys = self._box.identity.has_new_timer_keys
        timed = session.commit_by is not None
        data: Json = {
            "state": "committed" if timed and new_keys else session.state,
            "commitUser": session.user if session.completed_at else "",
            "description": "",
            "instances": {},
        }
        if session.completed_at is not None:
            data["completedTime"] = session.completed_at
        if detail and session.commit_by is not None and not new_keys:
            data["commitBy"] = self._box.uptime(session.commit_by)
        return data

    def _vlans(self, only: str | None) -> Output:
        vlans = {"1": _vlan("default", "active", [])} | {
            line.words[1]: self._vlan_entry(line) for line in self._box.running.section("vlan")
        }
        if only is not None:
            vlans = _selected(vlans, only)
        rows = [f"{number:<5} {one['name']:<32} {one['status']}\n" for number, one in vlans.items()]
        text = "VLAN  Name                             Status\n" + "".join(rows)
        return Output({"sourceDetail": "", "vlans": vlans}, text)

    def _vlan_entry(self, line: Line) -> Json:
        number = line.words[1]
        name = line.lines.get(("name",))
        state = line.lines.get(("state",))
        status = "suspended" if state and state.words[1] == "suspend" else "active"
        carriers = [port for port, members in self._trunks() if int(number) in members]
        return _vlan(name.words[1] if name else f"VLAN{int(number):04}", status, carriers)

    def _trunks(self) -> Iterator[tuple[str, frozenset[int]]]:
        for section in self._box.running.section("interface"):
            settings = {one.text for one in section.lines.values()}
            allowed = section.lines.get(("switchport", "trunk", "allowed", "vlan"))
            if "switchport mode trunk" in settings:
                text = allowed.words[-1] if allowed else "1-4094"
                yield section.words[1], parse_numbers(text, 1, 4094) or frozenset()

    def _routes(self) -> Output:
        routes: Json = {}
        for line in self._box.running.section("ip"):
            match line.words:
                case ("ip", "route", prefix, hop, *_) if prefix != "vrf":
                    entry = routes.setdefault(prefix, {"routeType": "static", "vias": []})
                    entry["vias"].append({"nexthopAddr": hop})
        text = "".join(
            f" S        {prefix} via {via['nexthopAddr']}\n"
            for prefix, entry in routes.items()
            for via in entry["vias"]
        )
        return Output({"vrfs": {"default": {"routes": routes}}}, text)


def _unknown(words: Sequence[str]) -> InvalidCommand:
    return InvalidCommand.at(1, words[0]) if words else InvalidCommand.incomplete(1)


def _selected(vlans: Json, only: str) -> Json:
    numbers = parse_numbers(only, 1, 4094)
    if numbers is None:
        raise InvalidCommand.at(2, only)
    found = {number: entry for number, entry in vlans.items() if int(number) in numbers}
    if not found:
        raise CannotRun(f"VLAN {format_numbers(numbers)} not found in current VLAN database")
    return found


def _vlan(name: str, status: str, carriers: Sequence[str]) -> Json:
    interfaces = {port: {"privatePromoted": False} for port in carriers}
    return {"name": name, "status": status, "dynamic": False, "interfaces": interfaces}


def _commands(body: str) -> Json:
    """The JSON form of a configuration: a section is a dict, a line is null."""
    commands: Json = {}
    section: Json = {}
    for line in body.splitlines():
        if line.startswith(INDENT):
            section.setdefault("cmds", {})[line.strip()] = None
        elif config_lines(line):
            section = {"cmds": {}, "comments": []}
            commands[line] = section
    return {
        line: (one if one["cmds"] or line.startswith(("interface", "vlan")) else None)
        for line, one in commands.items()
    }


def _session_table(sessions: Json, timed: Session | None, box: Box) -> str:
    head = [
        f"Maximum number of completed sessions: {MAX_COMPLETED}",
        f"Maximum number of pending sessions: {MAX_PENDING}",
        "Merge on commit is disabled",
        "Autosave to startup-config on commit is disabled",
        "",
    ]
    if timed and timed.commit_by is not None:
        left = timedelta(seconds=int(timed.commit_by - box.clock.time()))
        head += [
            f"Session with pending commit timer: {timed.name}",
            f"Time left until commit timer expiry: in {left}",
            "",
        ]
    rows = [f"  {'Name':<32} {'State':<20} {'Completed Time':<20} Committed By"]
    rows += [f"  {name:<32} {one['state']:<20} {_completed(one)}" for name, one in sessions.items()]
    return "\n".join([*head, *rows]) + "\n"


def _completed(entry: Json) -> str:
    moment = entry.get("completedTime")
    if moment is None:
        return ""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{stamp:<20} {entry['commitUser']}"
