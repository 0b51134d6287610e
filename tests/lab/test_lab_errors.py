"""Every error of the lab has a page, and every fault is told apart by its parameters."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from lab import errors
from lab.embedded.faults import PARAMETERS, Dropped, FaultSet, Refused, parse_fault

ROOT = Path(__file__).parents[2]
CODES = {
    code
    for file in (ROOT / "lab").rglob("*.py")
    for code in re.findall(r"""LabError\(\s*"([A-Z_]+)\"""", file.read_text())
}


def test_codes_are_found_at_all() -> None:
    assert {"LAB_NOT_FOUND", "TOPOLOGY_INVALID", "FAULT_UNKNOWN"} <= CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_page_and_is_listed(code: str) -> None:
    assert (ROOT / "docs" / "errors" / f"{code}.md").read_text().startswith(f"# {code}\n")
    assert code in (errors.__doc__ or "")


def test_every_fault_can_be_armed_and_cleared() -> None:
    given = {"ms": 1, "rpc": 1, "when": "after", "path": "x", "times": 1}
    faults = FaultSet()
    for name, parameters in PARAMETERS.items():
        faults.arm(parse_fault(name, {key: given[key] for key in parameters}))
    assert [fault.name for fault in faults.armed] == list(PARAMETERS)
    faults.clear()
    assert faults.armed == ()


def test_a_gate_counts_its_own_session() -> None:
    faults = FaultSet()
    faults.arm(parse_fault("drop", {"rpc": 2}))

    async def scenario() -> None:
        for _ in range(2):
            gate = faults.gate()
            await gate.before()
            await gate.after()
            with pytest.raises(Dropped):
                await gate.before()
            await gate.before()

    asyncio.run(scenario())


def test_requests_without_session_count_from_the_arming() -> None:
    faults = FaultSet()

    async def scenario() -> None:
        await faults.requests.before()
        faults.arm(parse_fault("drop", {"rpc": 1, "when": "after"}))
        await faults.requests.before()
        with pytest.raises(Dropped):
            await faults.requests.after()

    asyncio.run(scenario())


def test_commit_fails_until_cleared_when_no_number_is_given() -> None:
    faults = FaultSet()
    faults.arm(parse_fault("commit-fail", {}))

    async def scenario() -> None:
        for _ in range(3):
            with pytest.raises(Refused):
                await faults.commit()
        faults.clear()
        await faults.commit()

    asyncio.run(scenario())
