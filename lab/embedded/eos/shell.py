"""The command line of one eAPI request: modes, exec commands, configuration sessions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.embedded.eos.box import FLASH, RUNNING, STARTUP, Box, Guard
from lab.embedded.eos.config import Cursor
from lab.embedded.eos.errors import CannotRun, Incompatible, InvalidCommand
from lab.embedded.eos.show import Output, Shows

_TIMER: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})")
_SPLIT_NAME: Final = re.compile(r"(\binterface [a-z-]+) (\d[\d,/-]*)$", re.IGNORECASE)
_INTERACTIVE: Final = {"bash", "telnet", "ssh", "watch", "python-shell"}
_EXEC_IN_CONFIG: Final = {"show", "copy", "write", "configure", "enable"}
_COPIED: Final = Output(
    {"messages": ["Copy completed successfully."]}, "Copy completed successfully.\n"
)


@dataclass
class _Place:
    """A configuration mode: where lines go, and the session they belong to."""

    cursor: Cursor
    session: str | None


class Shell:
    """One request's command line; `user` is who sent it. Sessions outlive it, modes do not."""

    def __init__(self, box: Box, guard: Guard, user: str) -> None:
        self._box, self._guard, self._user = box, guard, user
        self._privileged = False
        self._place: _Place | None = None

    async def run(self, command: str) -> Output:
        """Carry out one command. CliError: refused, nothing was changed by it."""
        line = command.strip()
        words = line.split()
        if not words or line.startswith("!"):
            return Output()
        if self._place is not None and words[0].lower() not in _EXEC_IN_CONFIG:
            return await self._in_config(self._place, line, words)
        return await self._exec(words)

    async def _exec(self, words: Sequence[str]) -> Output:
        match [word.lower() for word in words]:
            case ["enable"]:
                self._privileged = True
            case ["disable"]:
                self._privileged = False
            case ["end" | "exit"] | ["terminal", *_]:
                pass
            case ["show", *_]:
                return self._show(words)
            case [name, *_] if name in _INTERACTIVE:
                raise Incompatible(f"Command '{' '.join(words)}' is interactive")
            case ["configure" | "copy" | "write", *_]:
                self._require_privilege()
                return await self._privileged_command(words)
            case _:
                raise InvalidCommand.at(0, words[0])
        return Output()

    def _show(self, words: Sequence[str]) -> Output:
        session = self._place.session if self._place else None
        return Shows(self._box, self._guard.locked_by()).run(words[1:], session)

    def _require_privilege(self) -> None:
        if not self._privileged:
            raise InvalidCommand("Invalid input (privileged mode required)", 0)

    async def _privileged_command(self, words: Sequence[str]) -> Output:
        match [word.lower() for word in words]:
            case ["write"] | ["write", "memory"]:
                self._box.save()
                return _COPIED
            case ["copy", source, target]:
                self._box.copy(_file(source, words[1]), _file(target, words[2]))
                return _COPIED
            case ["configure"] | ["configure", "terminal"]:
                await self._guard.entering()
                self._place = _Place(Cursor(self._box.running), None)
            case ["configure", "replace", source, *_]:
                await self._guard.entering()
                self._box.replace(_file(source, words[2]))
            case ["configure", "session", *_]:
                await self._session_command(words[2:])
            case _:
                index = min(1, len(words) - 1)
                raise InvalidCommand.at(index, words[index])
        return Output()

    async def _session_command(self, words: Sequence[str]) -> None:
        match words:
            case [name]:
                await self._enter(name)
            case []:
                await self._enter(f"sess-{len(self._box.sessions.all) + 1}")
            case [name, "commit"]:
                await self._commit(name, None)
            case [name, "commit", "timer", text]:
                await self._commit(name, _seconds(text, 5))
            case [name, "abort"]:
                self._box.sessions.abort(name)
            case _:
                raise InvalidCommand.at(3, words[1])

    async def _enter(self, name: str) -> None:
        await self._guard.entering()
        session = self._box.sessions.enter(name, self._user)
        self._place = _Place(Cursor(session.candidate), name)

    async def _in_config(self, place: _Place, line: str, words: Sequence[str]) -> Output:
        match [word.lower() for word in words]:
            case ["end"]:
                self._place = None
            case ["exit"]:
                if not place.cursor.leave():
                    self._place = None
            case ["commit"] if place.session:
                await self._finish(place.session, None)
            case ["commit", "timer", text] if place.session:
                await self._finish(place.session, _seconds(text, 2))
            case ["abort"] if place.session:
                self._place = None
                self._box.sessions.abort(place.session)
            case ["rollback", "clean-config"] if place.session:
                place.cursor.leave()
                place.cursor.configuration.clear()
            case _:
                await self._edit(place, line)
        return Output()

    async def _edit(self, place: _Place, line: str) -> None:
        timed = self._box.sessions.timed
        if timed is not None and timed.name == place.session:
            raise CannotRun(f"Session {timed.name} is committed and waits for confirmation")
        await self._guard.editing(line)
        place.cursor.run(_joined_interface(line))

    async def _finish(self, name: str, seconds: float | None) -> None:
        await self._commit(name, seconds)
        self._place = None

    async def _commit(self, name: str, seconds: float | None) -> None:
        session = self._box.sessions.get(name)
        await self._guard.committing(confirming=session is self._box.sessions.timed)
        if seconds is None:
            self._box.sessions.commit(name)
        else:
            self._box.sessions.commit_with_timer(name, seconds)


def _joined_interface(line: str) -> str:
    """`interface Ethernet 1` is `interface Ethernet1`."""
    return _SPLIT_NAME.sub(r"\1\2", line)


def _file(name: str, spelled: str) -> str:
    """A file's name: the two configurations by word, others of flash with their case."""
    if name in {STARTUP, RUNNING}:
        return name
    if name.startswith(FLASH):
        return FLASH + spelled[len(FLASH) :].lstrip("/")
    return spelled


def _seconds(text: str, index: int) -> float:
    found = _TIMER.fullmatch(text)
    if found is None:
        raise InvalidCommand.at(index, text)
    hours, minutes, seconds = (int(part) for part in found.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise CannotRun("Commit timer must be greater than zero")
    return float(total)
