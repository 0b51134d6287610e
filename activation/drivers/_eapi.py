"""What a thread does with one EOS box: napalm's driver, kept from doing more than it was asked. Synchronous.

Tried on napalm 5.2: `config_session` set before the load makes the session ours by name, and lets a second process
confirm it; it must be None before `close()`, which otherwise aborts the pending commit; `rollback()` undoes whatever
was last, whoever did it, and is never called.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from activation.drivers.base import (
    AuthenticationRefused,
    DeviceLocked,
    DeviceMessage,
    DeviceRejected,
    DriverError,
    Endpoint,
    HostKeyMismatch,
    SessionDropped,
)
from activation.drivers.netconf import NO_SUCH_COMMIT
from activation.drivers.rest import tls_context, tls_or_unreachable

if TYPE_CHECKING:
    from napalm.eos import EOSDriver

log = logging.getLogger(__name__)
PREFIX = "turnup-"
STAGED = "pending"
PROVISIONAL = "pendingCommitTimer"
_IN_USE = re.compile(r"has a pending commit timer|is locked by", re.IGNORECASE)
_FAILED_COMMAND = re.compile(r"CLI command (\d+) of \d+ '(?P<command>[^']*)'")


def session_name(name: str) -> str:
    """Return the box's configuration session for a batch; the prefix tells ours from other people's."""
    return name if name.startswith(PREFIX) else PREFIX + name


class Gate:
    """Shut when the caller gave up: a thread cannot be killed, but it must not send one command more."""

    def __init__(self) -> None:
        self._shut = threading.Event()

    def shut(self) -> None:
        """Let nothing through from now on."""
        self._shut.set()

    @property
    def is_shut(self) -> bool:
        """Whether it was shut."""
        return self._shut.is_set()


class NotSent(Exception):
    """No connection was made: nothing of this command reached the box."""


def transport() -> type[Any]:
    """Return napalm's HTTPS transport with our gate in it (imported here: napalm costs over a second)."""
    from pyeapi.eapilib import HttpsEapiConnection

    # pyeapi logs a traceback of every failed connection, and at DEBUG each request with what it configures.
    logging.getLogger("pyeapi").setLevel(logging.CRITICAL)

    class GatedConnection(HttpsEapiConnection):  # type: ignore[misc]
        def __init__(
            self,
            host: str,
            port: int | None = None,
            path: str | None = None,
            username: str | None = None,
            password: str | None = None,
            context: Any = None,
            timeout: float = 60,
            gate: Gate | None = None,
        ) -> None:
            super().__init__(host, port, path, username, password, context, timeout)
            self._gate = gate or Gate()

        def send(self, data: str) -> Any:
            if self._gate.is_shut:
                msg = "the caller had given up; nothing was sent"
                raise NotSent(msg)
            try:
                self.transport.connect()
            except OSError as error:
                raise NotSent(str(error) or type(error).__name__) from error
            return super().send(data)

    return GatedConnection


class Box:
    """One EOS box. Every method blocks; any exception goes through `as_driver_error`."""

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        self.gate = Gate()
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._napalm: EOSDriver | None = None

    def open(self) -> None:
        """Make napalm's driver and ask the box for its version."""
        from napalm.eos import EOSDriver

        options = {
            "transport": transport(),
            "port": self._endpoint.port,
            "context": self._context(),
            "gate": self.gate,
            "lock_disable": True,  # its lock waits 10 s in a thread; `lock` below says no at once
        }
        napalm = EOSDriver(
            self._endpoint.host,
            self._endpoint.username,
            self._endpoint.password,
            timeout=self._timeout_s,
            optional_args=options,
        )
        napalm.open()
        self._napalm = napalm

    def close(self) -> None:
        """Leave; pending commits stay."""
        if self._napalm is not None:
            self._napalm.config_session = None
            self._napalm = None

    def running(self) -> str:
        """Return the running configuration."""
        return str(self._eos.get_config(retrieve="running")["running"])

    def show(self, commands: Sequence[str]) -> str:
        """Return the text of show commands, one after the other."""
        answers = self._eos.cli(list(commands), encoding="text")
        return "\n".join(str(answers[command]) for command in commands)

    def make_room(self, name: str) -> None:
        """See that no other session is in the way of `name`, and that `name` starts empty.

        Staged sessions of ours are left by batches that were given up: the device lease says nobody works on them.

        Raises:
            DeviceLocked: somebody else's session is staged, or any other commit timer runs.
        """
        for other, state in self._sessions().items():
            ours = other.startswith(PREFIX)
            if state == STAGED and ours:
                self._run(f"configure session {other} abort")
            elif state == STAGED or (state == PROVISIONAL and other != name):
                raise self._locked(other, state)

    def abandon(self, name: str) -> None:
        """Abort `name` if it is staged but not committed."""
        if self._sessions().get(name) == STAGED:
            self._run(f"configure session {name} abort")

    def load(self, name: str, edits: Sequence[str]) -> None:
        """Load lines into session `name`; the box checks each."""
        self._eos.config_session = name
        try:
            self._eos.load_merge_candidate(config="\n".join(edits))
        finally:
            self._eos.config_session = None

    def diff(self, name: str) -> str:
        """Return what session `name` would change."""
        self._must_be_staged(name, self._sessions().get(name))
        return str(self._with(name, self._eos.compare_config))

    def commit_timer(self, name: str, timeout_s: int) -> None:
        """Commit `name` until `timeout_s` seconds from now; a second time renews the timer."""
        if (state := self._sessions().get(name)) == PROVISIONAL:
            self._run(f"configure session {name} commit timer {_hms(timeout_s)}")
            return
        self._must_be_staged(name, state)
        self._with(name, lambda: self._eos.commit_config(revert_in=timeout_s))

    def confirm(self, name: str) -> None:
        """Make the commit of `name` permanent and save it.

        Raises:
            DeviceRejected: `no-such-commit`; whether it was confirmed or reverted is decided by reading.
        """
        if self._sessions().get(name) != PROVISIONAL:
            raise self._gone(name)
        self._with(name, self._eos.confirm_commit)

    def cancel(self, name: str) -> None:
        """Undo `name`, staged or provisional; nothing to do otherwise."""
        if self._sessions().get(name) in {STAGED, PROVISIONAL}:
            self._with(name, self._eos.discard_config)

    def apply(self, name: str, edit: str) -> None:
        """Load and commit at once, and save."""
        self.make_room(name)
        self.load(name, [edit])
        self._with(name, self._eos.commit_config)

    def save(self) -> None:
        """Copy running to startup."""
        self._run("write memory")

    @property
    def _eos(self) -> EOSDriver:
        if self._napalm is None:
            msg = "the session is not open"
            raise NotSent(msg)
        return self._napalm

    def _context(self) -> Any:
        try:
            return tls_context(self._endpoint.ca_path)
        except OSError as error:
            raise HostKeyMismatch(
                self._endpoint.device,
                f"its CA file {self._endpoint.ca_path} cannot be used ({error}); correct it in the registry",
            ) from error

    def _sessions(self) -> dict[str, str]:
        """Configuration sessions of the box: name → state."""
        answer = self._eos.device.run_commands(["show configuration sessions detail"])[0]
        states = {name: str(entry["state"]) for name, entry in answer["sessions"].items()}
        if name := answer.get("commitTimerSessionName"):  # from EOS 4.32 on
            states[name] = PROVISIONAL
        return states

    def _with(self, name: str, work: Any) -> Any:
        self._eos.config_session = name
        try:
            return work()
        finally:
            if self._napalm is not None:
                self._napalm.config_session = None

    def _run(self, *commands: str) -> None:
        self._eos.device.run_commands(list(commands), encoding="text")

    def _must_be_staged(self, name: str, state: str | None) -> None:
        if state != STAGED:
            raise SessionDropped(
                self._endpoint.device,
                f"configuration session {name} is gone ({state or 'unknown'}); nothing was committed",
            )

    def _locked(self, other: str, state: str) -> DeviceLocked:
        what = "waits for its commit to be confirmed" if state == PROVISIONAL else "is open"
        return DeviceLocked(
            self._endpoint.device,
            f"configuration session {other} {what}",
            messages=[DeviceMessage("in-use", f"session {other}: {state}")],
        )

    def _gone(self, name: str) -> DeviceRejected:
        return DeviceRejected(
            self._endpoint.device,
            f"it has no pending commit {name}: confirmed before, or reverted; read it to know which",
            messages=[DeviceMessage(NO_SUCH_COMMIT, f"no pending commit {name}")],
        )


def as_driver_error(endpoint: Endpoint, error: Exception) -> DriverError:
    """Return what an exception of napalm, pyeapi or ours means."""
    if isinstance(error, DriverError):
        return error
    if isinstance(error, NotSent):
        return tls_or_unreachable(endpoint, error)
    command = _command_error(error)
    if command is not None:
        messages = _messages(command)
        words = "; ".join(m.message for m in messages)
        if _IN_USE.search(words):
            return DeviceLocked(endpoint.device, f"locked ({words})", messages=messages)
        return DeviceRejected(endpoint.device, f"refused ({words})", messages=messages)
    return _connection_error(endpoint, error)


def _connection_error(endpoint: Endpoint, error: Exception) -> DriverError:
    from napalm.base.exceptions import CommitError, UnsupportedVersion

    match error:
        case UnsupportedVersion():
            return DeviceRejected(endpoint.device, f"EOS {error} is too old: 4.23 is needed")
        case CommitError() if "already in process" in str(error):
            return DeviceLocked(endpoint.device, "another commit waits to be confirmed")
        case CommitError():
            message = DeviceMessage(NO_SUCH_COMMIT, str(error))
            return DeviceRejected(endpoint.device, str(error), messages=[message])
        case _ if "Unauthorized" in str(error):
            return AuthenticationRefused(
                endpoint.device, f"credentials of {endpoint.username} refused; check the registry"
            )
        case _:
            return SessionDropped(
                endpoint.device,
                f"the call ended in the middle ({type(error).__name__}: {error}); whether it took effect is "
                f"decided by reading",
            )


def _command_error(error: BaseException) -> Any | None:
    """Return pyeapi's CommandError, also when napalm put a plainer one over it."""
    from pyeapi.eapilib import CommandError

    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, CommandError):
        seen = seen.__context__
    return seen


def _messages(error: Any) -> list[DeviceMessage]:
    output = error.output if isinstance(error.output, list) else []
    words = [str(w) for entry in output if isinstance(entry, dict) for w in entry.get("errors", [])]
    failed = _FAILED_COMMAND.search(str(error))
    path = failed["command"] if failed else None
    return [
        DeviceMessage(str(error.error_code), word, path)
        for word in words or [str(error.error_text)]
    ]


def _hms(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
