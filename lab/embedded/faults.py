"""Faults that are armed on a node until they are cleared.

A simulator asks at four points: `FaultSet.gate` around every request, `refuse_edit` before it
changes configuration, `commit` before a commit takes effect, `locked` before it gives a lock.
`down` is not asked for: the lab process calls `Simulator.refuse` and `listen`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import LabError

PARAMETERS: dict[str, dict[str, type]] = {
    "down": {},
    "latency": {"ms": int},
    "drop": {"rpc": int, "when": str},
    "reject": {"path": str},
    "commit-fail": {"times": int},
    "lock": {},
    "slow-commit": {"ms": int},
}
REQUIRED = {"latency": "ms", "drop": "rpc", "slow-commit": "ms"}
LOCK_HOLDER = 4294967295
"""Session id of the imaginary manager that holds the lock (RFC 6241 session-id is uint32)."""


class Dropped(Exception):
    """Close this session now, without an answer."""


class Refused(Exception):
    """An armed fault says no; `path` is what it was armed for (empty: everything)."""

    def __init__(self, fault: str, path: str = "") -> None:
        super().__init__(f"refused by armed fault {fault}" + (f" on {path}" if path else ""))
        self.fault = fault
        self.path = path


@dataclass(frozen=True, slots=True)
class Fault:
    """One armed fault with its parameters, checked."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)


def parse_fault(name: str, params: Mapping[str, Any]) -> Fault:
    """Return the fault with its parameters as numbers or text.

    Raises:
        LabError: FAULT_UNKNOWN, FAULT_PARAMETER.
    """
    if name not in PARAMETERS:
        known = ", ".join(PARAMETERS)
        raise LabError("FAULT_UNKNOWN", f"no fault is called {name!r}; there are: {known}")
    needed = REQUIRED.get(name)
    if needed and needed not in params:
        raise LabError("FAULT_PARAMETER", f"fault {name} needs {needed}=N")
    return Fault(name, {key: _parameter(name, key, value) for key, value in params.items()})


def _parameter(name: str, key: str, value: object) -> object:
    kind = PARAMETERS[name].get(key)
    if kind is None:
        known = ", ".join(PARAMETERS[name]) or "none"
        raise LabError("FAULT_PARAMETER", f"fault {name} takes no {key!r}; it takes: {known}")
    if key == "when" and value not in {"before", "after"}:
        raise LabError("FAULT_PARAMETER", f"when must be before or after, not {value!r}")
    try:
        converted = kind(value)
    except (TypeError, ValueError):
        raise LabError("FAULT_PARAMETER", f"{key} must be a whole number: {value!r}") from None
    if isinstance(converted, int) and converted < 0:
        raise LabError("FAULT_PARAMETER", f"{key} must not be negative: {value!r}")
    return converted


class Gate:
    """Stands around the requests of one session, and counts them."""

    def __init__(self, faults: FaultSet) -> None:
        self._faults = faults
        self._count = 0

    async def before(self) -> None:
        """Count a request and delay it; raises Dropped."""
        self._count += 1
        if latency := self._faults.get("latency"):
            await asyncio.sleep(latency.params["ms"] / 1000)
        self._drop("before")

    async def after(self) -> None:
        """Call when the request has been executed, before its answer is sent; raises Dropped."""
        self._drop("after")

    def reset(self) -> None:
        """Count from one again."""
        self._count = 0

    def _drop(self, moment: str) -> None:
        drop = self._faults.get("drop")
        if drop is None or drop.params.get("when", "before") != moment:
            return
        if self._count == drop.params["rpc"]:
            raise Dropped


class FaultSet:
    """The faults armed on one node. One of each name; arming again replaces."""

    def __init__(self) -> None:
        self._armed: dict[str, Fault] = {}
        self._failures_left: int | None = None
        self.requests = Gate(self)
        """For protocols without sessions (REST, eAPI): counts requests since the last arming."""

    def gate(self) -> Gate:
        """Return the gate of a new session (NETCONF, SSH): counts from its first request."""
        return Gate(self)

    def get(self, name: str) -> Fault | None:
        """Return the armed fault of that name."""
        return self._armed.get(name)

    @property
    def armed(self) -> tuple[Fault, ...]:
        """Return all armed faults, oldest first."""
        return tuple(self._armed.values())

    def arm(self, fault: Fault) -> None:
        """Arm `fault`; request counting starts anew."""
        self._armed[fault.name] = fault
        self.requests.reset()
        if fault.name == "commit-fail":
            self._failures_left = fault.params.get("times")

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()
        self.requests.reset()

    @property
    def locked(self) -> bool:
        """Return whether somebody else (session `LOCK_HOLDER`) holds the configuration."""
        return "lock" in self._armed

    def refuse_edit(self, text: str) -> None:
        """Call with what is to be configured (XML, command, URL path); raises Refused."""
        reject = self._armed.get("reject")
        if reject and reject.params.get("path", "") in text:
            raise Refused("reject", reject.params.get("path", ""))

    async def commit(self) -> None:
        """Call when all is checked and nothing has taken effect yet; delays, or raises Refused."""
        if slow := self._armed.get("slow-commit"):
            await asyncio.sleep(slow.params["ms"] / 1000)
        if "commit-fail" in self._armed and self._failures_left != 0:
            if self._failures_left is not None:
                self._failures_left -= 1
            raise Refused("commit-fail")
