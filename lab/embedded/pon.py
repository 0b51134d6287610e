"""The fibre plant that all nodes of a lab share: who is plugged where, and who is therefore up.

OLTs say which lines their running configuration has (`provision`), people plug and unplug ONTs,
and everybody may ask. Optical power follows the split ratio of the splitters in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class PonPort:
    """A PON port of an OLT."""

    olt: str
    port: str


@dataclass(frozen=True, slots=True)
class Line:
    """One ONT as configured on an OLT: its port and the name of its v-ani."""

    serial: str
    port: PonPort
    name: str


Tags = tuple[int, int]
"""S-VLAN and C-VLAN of a frame on the uplink."""
Carries = Callable[[], Mapping[Tags, str]]
"""Works out which ONT (serial) each tag pair of an OLT leads to."""


@dataclass(frozen=True, slots=True)
class Ont:
    """One ONT of the lab, by its node and serial number."""

    node: str
    serial: str
    technologies: tuple[str, ...] = ()


class PonPlant:
    """Which ONT is plugged on which PON port, and which are up."""

    def __init__(self) -> None:
        self._onts: dict[str, Ont] = {}
        self._plugged: dict[str, PonPort] = {}
        self._loss: dict[PonPort, float] = {}
        self._technology: dict[PonPort, str] = {}
        self._upstream: dict[str, tuple[str, ...]] = {}
        self._lines: dict[str, dict[str, Line]] = {}
        self._carries: dict[str, Carries] = {}
        self._up_since: dict[str, float] = {}
        self._watchers: list[Callable[[], None]] = []

    def add_ont(self, ont: Ont) -> None:
        """Make an ONT known; it is not plugged."""
        self._onts[ont.serial] = ont

    def set_loss(self, port: PonPort, decibel: float) -> None:
        """Say how much light the splitters behind `port` take, in dB."""
        self._loss[port] = decibel

    def set_technology(self, port: PonPort, technology: str) -> None:
        """Say what the optics of `port` speak: gpon or xgs-pon."""
        self._technology[port] = technology

    def set_upstream(self, node: str, olts: Iterable[str]) -> None:
        """Say which OLTs are linked to `node`, over whatever is in between."""
        self._upstream[node] = tuple(olts)

    def technology(self, port: PonPort) -> str | None:
        """Return what the optics of `port` speak."""
        return self._technology.get(port)

    def watch(self, callback: Callable[[], None]) -> None:
        """Call `callback` after every change."""
        self._watchers.append(callback)

    def provision(self, olt: str, lines: Iterable[Line], carries: Carries = dict) -> None:
        """Replace the lines of `olt` by those of its running configuration.

        `carries` is called when somebody asks: following the forwarders of thousands of lines at
        every commit would cost more than the commit.
        """
        self._lines[olt] = {line.serial: line for line in lines}
        self._carries[olt] = cache(carries)
        self._settle()

    def plug(self, serial: str, port: PonPort) -> None:
        """Plug an ONT (from wherever it was) into the fibre that leads to `port`."""
        self._plugged[serial] = port
        self._settle()

    def unplug(self, serial: str) -> None:
        """Unplug an ONT."""
        self._plugged.pop(serial, None)
        self._settle()

    def unplug_all(self) -> None:
        """Unplug every ONT."""
        self._plugged.clear()
        self._settle()

    def plugged(self, serial: str) -> PonPort | None:
        """Return the port at the other end of the ONT's fibre."""
        return self._plugged.get(serial)

    def plugged_on(self, port: PonPort) -> tuple[str, ...]:
        """Return the serials of all ONTs on `port`, configured or not."""
        return tuple(serial for serial, at in self._plugged.items() if at == port)

    def line(self, serial: str) -> Line | None:
        """Return how some OLT has the ONT configured, wherever it is plugged."""
        found = (lines[serial] for lines in self._lines.values() if serial in lines)
        return next(found, None)

    def is_up(self, serial: str) -> bool:
        """Return whether the ONT is plugged into the very port that it is configured on."""
        return serial in self._up_since

    def up_since(self, serial: str) -> float | None:
        """Return when the ONT came up, in seconds since the epoch; None while it is down."""
        return self._up_since.get(serial)

    def reaches(self, node: str, tags: Tags) -> bool:
        """Return whether frames with the tag pair get from an ONT that is up to `node`."""
        for olt in self._upstream.get(node, ()):
            serial = self._carries[olt]().get(tags) if olt in self._carries else None
            if serial is not None and self.is_up(serial):
                return True
        return False

    def received_power(self, serial: str) -> float | None:
        """Return the ONT's upstream power at the OLT in dBm; None when it is not plugged."""
        port = self._plugged.get(serial)
        return None if port is None else round(2.0 - self._loss.get(port, 17.5), 1)

    def _settle(self) -> None:
        now = time.time()
        up = {serial for serial in self._plugged if self._fits(serial)}
        self._up_since = {serial: self._up_since.get(serial, now) for serial in up}
        for callback in self._watchers:
            callback()

    def _fits(self, serial: str) -> bool:
        at = self._plugged[serial]
        line = self._lines.get(at.olt, {}).get(serial)
        return line is not None and line.port == at and self._speaks(serial, at)

    def _speaks(self, serial: str, port: PonPort) -> bool:
        """An XGS-PON ONT stays dark on a GPON port; what is not said fits."""
        ont, technology = self._onts.get(serial), self._technology.get(port)
        return not ont or not ont.technologies or not technology or technology in ont.technologies
