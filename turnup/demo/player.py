"""Play a script: submit, follow, act for external parties, show, check."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmf.paths import BASE_PATHS
from turnup.cli._client import Client
from turnup.demo.listener import Listener
from turnup.demo.processes import World
from turnup.demo.screen import Screen
from turnup.demo.script import Script, Step
from turnup.orderfile import API, fill, json_object, layer_of

Json = dict[str, Any]
FINAL = ("completed", "failed", "partial", "cancelled", "rejected", "held")
STEP_LIMIT_S = 60.0
PACE_S = 0.1


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the summary."""

    name: str
    passed: bool
    detail: str


@dataclass(slots=True)
class Player:
    """Plays one script against one world."""

    script: Script
    home: Path
    world: World
    screen: Screen
    listener: Listener
    saved: dict[str, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def play(self) -> list[Check]:
        """Play all steps and return the checks, passed and failed."""
        client = Client(self.world.url)
        for api in self.script.events:
            client.post(BASE_PATHS[api] + "/hub", {"callback": self.listener.url})
        before = self._running(client)
        for step in self.script.steps:
            if not self._step(client, step, before):
                break
        return self.checks

    def _step(self, client: Client, step: Step, before: Mapping[str, str]) -> bool:
        self.screen.title(step.name, step.says)
        started = time.monotonic()
        text = (self.home / step.submit).read_text(encoding="utf-8")
        body = json_object(fill(text, self.saved, str(step.submit)), str(step.submit))
        layer = layer_of(body)
        accepted = client.post(API[layer], body)
        self.screen.accepted(layer, accepted, time.monotonic() - started)
        order = self._follow(client, layer, accepted["id"])
        self.saved |= {name: str(_at(order, path)) for name, path in step.save.items()}
        self._check(f"{step.name}: order", order["state"] == "completed", _why(order))
        trace = client.get(f"/turnup/v1/trace/{order['id']}")["root"]
        self._show(client, step, trace)
        self._check_devices(client, step, trace)
        self._check_events(step, layer, order["id"])
        if step.traces == "none":
            self._check_traces(client, before)
        return bool(order["state"] == "completed")

    def _follow(self, client: Client, layer: str, order_id: str) -> Json:
        seen: set[str] = set()
        deadline = time.monotonic() + STEP_LIMIT_S
        while True:
            trace = client.get(f"/turnup/v1/trace/{order_id}")["root"]
            self.screen.progress(trace, seen)
            self._act_for_others(client, trace)
            order: Json = client.get(f"{API[layer]}/{order_id}")
            if order["state"] in FINAL or time.monotonic() > deadline:
                self.screen.progress(client.get(f"/turnup/v1/trace/{order_id}")["root"], seen)
                return order
            time.sleep(PACE_S)  # the pace of the screen; the server itself pushes events

    def _act_for_others(self, client: Client, trace: Json) -> None:
        if not any(
            task["state"] == "waiting" and "external" in task["kind"] for task in _tasks(trace)
        ):
            return
        for task in client.get("/turnup/v1/externalTasks", state="waiting"):
            how = self.script.external_tasks.get(task["kind"])
            if how and how.plug:
                node = self.world.plug(task["example"][how.plug], task["subject"].get("place"))
                self.screen.note(
                    f"{node} is delivered and plugged in (serial {task['example'][how.plug]})"
                )
            client.post(f"/turnup/v1/externalTasks/{task['id']}/complete", task["example"])

    def _show(self, client: Client, step: Step, trace: Json) -> None:
        batches = [batch for node in _nodes(trace) for batch in reversed(node["batches"])]
        if "diff" in step.show:
            for batch in batches:
                self.screen.batch(batch)
        if "verification" in step.show:
            self.screen.verification(batches, _nodes(trace))
        if "inventory" in step.show:
            for name, path in (("Products", "637"), ("Services", "638"), ("Resources", "639")):
                rows = client.get(f"{BASE_PATHS[path]}/{name[:-1].lower()}")
                self.screen.inventory(name, rows)

    def _check_devices(self, client: Client, step: Step, trace: Json) -> None:
        touched = sorted(
            {
                d["device"]
                for node in _nodes(trace)
                for batch in node["batches"]
                for d in batch["devices"]
            }
        )
        for device in touched:
            report = client.post(f"/turnup/v1/devices/{device}/audit")
            self._check(
                f"{step.name}: audit of {device}", report["verdict"] == "pass", _findings(report)
            )

    def _check_events(self, step: Step, layer: str, order_id: str) -> None:
        deadline = time.monotonic() + 5
        while (
            "completed" not in (states := self.listener.states(layer, order_id))
            and time.monotonic() < deadline
        ):
            time.sleep(PACE_S)
        self._check(f"{step.name}: events", states[-1:] == ["completed"], " → ".join(states))

    def _check_traces(self, client: Client, before: Mapping[str, str]) -> None:
        for device, text in self._running(client).items():
            same = text == before[device]
            self._check(
                f"no trace left on {device}",
                same,
                "as before the first order" if same else "differs",
            )
        pools = [
            pool for pool in client.get("/turnup/v1/pools") if pool["allocated"] or pool["reserved"]
        ]
        detail = (
            ", ".join(f"{pool['kind']}@{pool['scope']}" for pool in pools)
            or "all given back (in quarantine)"
        )
        self._check("no allocation left", not pools, detail)

    def _running(self, client: Client) -> dict[str, str]:
        devices = [
            d["name"] for d in client.get("/turnup/v1/devices") if d["adminState"] == "managed"
        ]
        return {
            name: client.get(f"/turnup/v1/devices/{name}/config", view="running")["text"]
            for name in devices
        }

    def _check(self, name: str, passed: bool, detail: str) -> None:
        self.checks.append(Check(name, passed, detail))


def _nodes(trace: Json) -> list[Json]:
    return [trace, *(node for child in trace["children"] for node in _nodes(child))]


def _tasks(trace: Json) -> list[Json]:
    return [task for node in _nodes(trace) for task in node["tasks"]]


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def _why(order: Json) -> str:
    errors = [f"{error['code']}: {error['message']}" for error in order.get("errorMessage", [])]
    return "; ".join([order["state"], *errors])


def _findings(report: Json) -> str:
    if report["verdict"] == "pass":
        return "running is as intended"
    return json.dumps({name: report[name] for name in ("missing", "extra", "changed")})[:300]
