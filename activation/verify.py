"""Reading devices: the touched paths of plans, and operational state for service checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from activation.codec import CodecError
from activation.compare import touched
from activation.drivers.base import DeviceRejected, Driver, DriverError
from activation.errors import FeatureUnknown, RenderFailed
from activation.fleet import Fleet
from activation.leaves import Leaves
from activation.model import DevicePlan
from activation.plan import Gear
from activation.platform import Platforms

Verdict = Literal["pass", "fail", "not_evaluated", "error"]
READ_S = 30.0


class Reader:
    """Reads what plans touch, on all their devices side by side."""

    def __init__(self, fleet: Fleet, platforms: Platforms, *, deadline_s: float = READ_S) -> None:
        self._fleet = fleet
        self._platforms = platforms
        self._deadline_s = deadline_s

    def touched(self, plans: Sequence[DevicePlan]) -> dict[str, Leaves | DriverError]:
        """Return, by device, what it has in (at least) the touched paths of its plan."""
        tasks = {plan.device: plan for plan in plans if plan.edits}

        async def read(name: str, driver: Driver) -> Leaves:
            return await self.read_plan(tasks[name], driver)

        if not tasks:
            return {}
        return self._fleet.run(read, list(tasks), deadline_s=self._deadline_s)

    async def read_plan(self, plan: DevicePlan, driver: Driver) -> Leaves:
        """Return what a device has in the touched paths of its plan."""
        codec = self._platforms.get(plan.platform).codec
        return _parsed(codec, plan.device, await driver.read(codec.selection(touched(plan))))

    def everything(self, gear: Gear) -> str | DriverError:
        """Return a device's whole running configuration as native text."""
        selection = gear.platform.codec.everything()

        async def read(name: str, driver: Driver) -> str:  # noqa: ARG001 - one device
            return await driver.read(selection)

        name = gear.device.name
        return self._fleet.run(read, [name], deadline_s=self._deadline_s)[name]


@dataclass(frozen=True, slots=True)
class Question:
    """A service check, ready to be asked: what to read where, and how to understand the answer."""

    device: str
    platform: str
    check: str
    values: Mapping[str, Any]
    expect: str


def ask(
    fleet: Fleet, platforms: Platforms, questions: Sequence[Question]
) -> list[tuple[Verdict, str]]:
    """Return verdict and detail of each question, in order; devices are asked side by side."""
    by_device: dict[str, list[int]] = {}
    for index, question in enumerate(questions):
        by_device.setdefault(question.device, []).append(index)

    async def read(name: str, driver: Driver) -> list[tuple[Verdict, str]]:
        return [await _answer(platforms, questions[i], driver) for i in by_device[name]]

    answers: dict[int, tuple[Verdict, str]] = {}
    for name, result in fleet.run(read, list(by_device), deadline_s=READ_S).items():
        for position, index in enumerate(by_device[name]):
            answers[index] = (
                _unread(result) if isinstance(result, DriverError) else result[position]
            )
    return [answers[index] for index in range(len(questions))]


async def _answer(platforms: Platforms, question: Question, driver: Driver) -> tuple[Verdict, str]:
    platform = platforms.get(question.platform)
    try:
        check = platform.check(question.check)
        selection = platform.fill(check.selection, question.values, question.check)
        answer = await driver.read_state(selection)
    except (DeviceRejected, FeatureUnknown, RenderFailed) as error:
        return "error", error.message
    leaves = _parsed(platform.codec, question.device, answer)
    found = next((value for path, value in leaves.items() if path[-1].endswith(check.leaf)), None)
    word = _meaning(check.meanings, check.absent, found)
    return _judged(word, question)


def _meaning(meanings: Mapping[str, str], absent: str | None, found: str | None) -> str | None:
    if found is None:
        return absent
    return meanings.get(found) or meanings.get("*") or found


def _judged(word: str | None, question: Question) -> tuple[Verdict, str]:
    """A state that has not come yet cannot be told from one that never will: it is not evaluated."""
    if word == question.expect:
        return "pass", f"{question.check} is {word}"
    return "not_evaluated", f"{question.check} is {word}, not yet {question.expect}"


def _unread(error: DriverError) -> tuple[Verdict, str]:
    return ("not_evaluated" if error.transient else "error"), error.message


def _parsed(codec: Any, device: str, answer: str) -> Leaves:
    try:
        leaves: Leaves = codec.parse(answer)
    except CodecError as error:
        raise DeviceRejected(device, f"its answer cannot be read: {error}") from error
    return leaves
