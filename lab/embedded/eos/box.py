"""The state of one EOS box without any network: identity, running and startup, sessions, flash."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lab.embedded.eos.config import Configuration, Cursor, config_lines
from lab.embedded.eos.errors import CannotRun, CliError
from lab.embedded.eos.sessions import Clock, Sessions

LOG = logging.getLogger("lab.eos")
MODEL: Final = "cEOSLab"
STARTUP: Final = "startup-config"
RUNNING: Final = "running-config"
FLASH: Final = "flash:"
_NEW_TIMER_KEYS: Final = (4, 32)  # from here `show configuration sessions detail` has other keys


class Files(Protocol):
    """What survives a power cut: startup-config and the files of flash, by name."""

    def read(self, name: str) -> str | None:
        """The text, or None."""

    def write(self, name: str, text: str) -> None:
        """Keep the text."""


class Guard(Protocol):
    """What may go wrong on purpose; each call may wait, or raise a CliError."""

    async def entering(self) -> None:
        """A configuration mode is about to be entered."""

    async def editing(self, line: str) -> None:
        """A configuration line is about to be carried out."""

    async def committing(self, *, confirming: bool) -> None:
        """A session is about to be committed, with or without timer."""

    def locked_by(self) -> str | None:
        """Name of a session of somebody else that waits for confirmation."""


@dataclass(frozen=True)
class Identity:
    """What `show version` tells. `version` is dotted (`4.33.1F`)."""

    name: str
    version: str
    ports: tuple[str, ...]
    connected: frozenset[str] = field(default_factory=frozenset)

    @property
    def serial(self) -> str:
        """Derived from the name, so that it is the same at every start."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:32].upper()

    @property
    def mac(self) -> str:
        """System MAC address, colon separated."""
        digits = hashlib.sha256(self.name.encode()).hexdigest()
        return "00:1c:73:" + ":".join(digits[i : i + 2] for i in (0, 2, 4))

    @property
    def has_new_timer_keys(self) -> bool:
        """EOS 4.32 moved the commit timer out of the session's entry."""
        major, minor, *_ = self.version.split(".")
        return (int(major), int(minor)) >= _NEW_TIMER_KEYS


class Box:
    """Boots from the startup-config of `files`; lines of it that are unknown are logged and left."""

    def __init__(self, identity: Identity, files: Files, clock: Clock) -> None:
        self.identity = identity
        self.files = files
        self.clock = clock
        self._booted = clock.time()
        self.boot_time = time.time()
        self.sessions = Sessions(self._boot(), clock)

    @property
    def running(self) -> Configuration:
        """The running configuration."""
        return self.sessions.running

    @property
    def hostname(self) -> str:
        """As configured, `localhost` when not."""
        line = self.running.find("hostname")
        return line.words[1] if line else "localhost"

    def uptime(self, at: float | None = None) -> float:
        """Seconds since boot, now or at a time of the clock."""
        return (self.clock.time() if at is None else at) - self._booted

    def save(self) -> None:
        """`write memory`."""
        self.files.write(STARTUP, self.running.text())

    def copy(self, source: str, target: str) -> None:
        """`copy`. CannotRun: no such file, or a target that cannot be written."""
        text = self._source(source)
        if target == RUNNING:
            candidate = self.running.copy()
            candidate.load(text)
            self.sessions.replace(candidate)
        elif target == STARTUP or target.startswith(FLASH):
            self.files.write(target, text)
        else:
            raise CannotRun(f"Cannot copy to {target}")

    def replace(self, source: str) -> None:
        """`configure replace`. CannotRun: no such file, a bad line, or a commit timer runs."""
        candidate = Configuration(self.identity.ports)
        candidate.load(self._source(source))
        self.sessions.replace(candidate)

    def _source(self, name: str) -> str:
        text = self.running.text() if name == RUNNING else self.files.read(name)
        if text is None:
            raise CannotRun(f"Error copying {name} (No such file or directory)")
        return text

    def _boot(self) -> Configuration:
        running = Configuration(self.identity.ports)
        cursor = Cursor(running)
        for line in config_lines(self.files.read(STARTUP) or ""):
            try:
                cursor.run(line)
            except CliError as error:
                LOG.warning("%s: startup-config: %s: %s", self.identity.name, line, error.message)
        return running


def factory_startup(name: str, ports: Sequence[str], address: str) -> str:
    """The configuration a box of the lab is delivered with: trunks that carry no VLAN yet."""
    trunks = [
        f"interface {port}\nswitchport trunk allowed vlan none\nswitchport mode trunk"
        for port in ports
        if port.startswith("Ethernet")
    ]
    lines = [
        f"hostname {name}",
        "spanning-tree mode mstp",
        *trunks,
        f"interface Management1\ndescription management\nip address {address}/32",
        "ip routing",
        "management api http-commands\nno shutdown",
    ]
    configuration = Configuration(ports)
    configuration.load("\n".join(lines))
    return configuration.text()
