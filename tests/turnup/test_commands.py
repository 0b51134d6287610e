"""Every command against a real server on the real lab: what it says, in both forms, and that it fits 100 columns."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import api as lab
from tests.e2e.conftest import ORDERS, Server
from tests.turnup.conftest import WIDTH, Ended, Run

NEW = "superfibre-200-home.new.json"
Json = dict[str, Any]
ABSENT = (
    (("order", "show", "nope"), "ORDER_NOT_FOUND"),
    (("order", "show", "nope", "--tree"), "ORDER_NOT_FOUND"),
    (("order", "show", "a/../b?c#d"), "ORDER_NOT_FOUND"),
    (("order", "cancel", "nope"), "ORDER_NOT_FOUND"),
    (("trace", "nope"), "ORDER_NOT_FOUND"),
    (("impact", "nope"), "NOT_FOUND"),
    (("service", "show", "nope"), "INSTANCE_NOT_FOUND"),
    (("device", "show", "nope"), "DEVICE_NOT_FOUND"),
    (("device", "config", "nope"), "DEVICE_NOT_FOUND"),
    (("device", "audit", "nope"), "DEVICE_NOT_FOUND"),
    (("device", "import", "nope"), "LAB_NOT_FOUND"),
    (("batch", "show", "nope"), "BATCH_NOT_FOUND"),
    (("fallout", "show", "nope"), "FALLOUT_NOT_FOUND"),
    (("fallout", "retry", "nope"), "FALLOUT_NOT_FOUND"),
    (("fallout", "skip", "nope", "--evidence", "x"), "FALLOUT_NOT_FOUND"),
    (("fallout", "complete", "nope", "--evidence", "x"), "FALLOUT_NOT_FOUND"),
    (("task", "complete", "nope"), "WAIT_NOT_FOUND"),
    (("pool", "show", "nope"), "POOL_NOT_FOUND"),
    (("pool", "allocate", "nope", "--owner", "me"), "POOL_NOT_FOUND"),
    (("pool", "release", "ipv4@bng-1", "--owner", "some/one"), "ALLOCATION_NOT_FOUND"),
    (("lab", "fault", "nope", "down"), "NODE_UNKNOWN"),
    (("lab", "fault", "bng-1", "nope"), "FAULT_UNKNOWN"),
    (("lab", "fault", "bng-1", "latency"), "FAULT_PARAMETER"),
    (("lab", "fault", "bng-1", "latency", "ms=x"), "FAULT_PARAMETER"),
    (("lab", "fault", "split-e1", "down"), "NODE_NOT_SIMULATED"),
    (("lab", "plug", "bng-1"), "NODE_NOT_PLUGGABLE"),
    (("lab", "plug", "ont-1", "--place", "nope"), "NODE_UNKNOWN"),
    (("lab", "inspect", "nope"), "LAB_NOT_FOUND"),
    (("catalog", "load", "nope"), "CATALOG_INVALID"),
)


def _fits(ended: Ended) -> Ended:
    """Check that a table came, that it fits, and that no id in it was broken."""
    assert ended.code in (0, 1), ended.err
    too_long = [line for line in ended.lines if len(line) > WIDTH]
    assert not too_long, too_long
    return ended


def _completed(turnup: Run, server: Server, *arguments: str) -> Json:
    """Submit with --wait while the external parties do their work."""
    done = threading.Event()

    def parties() -> None:
        while not done.is_set():
            server.deliver()
            time.sleep(0.05)

    thread = threading.Thread(target=parties)
    thread.start()
    try:
        ended = turnup("order", "submit", *arguments, "--wait", "--output", "json")
    finally:
        done.set()
        thread.join()
    assert ended.code == 0, ended.err + ended.out
    assert ended.err.split()[-1] == "completed"
    order: Json = ended.json
    return order


def _product(order: Json) -> str:
    found: str = order["productOrderItem"][0]["product"]["id"]
    return found


def test_a_line_from_order_to_cease(turnup: Run, server: Server) -> None:
    shown = turnup("order", "simulate", NEW)
    plan = shown.lines[-1].removeprefix("planHash ")
    assert re.fullmatch("[0-9a-f]{64}", plan)
    assert turnup("order", "simulate", NEW, "--output", "json").json["planHash"] == plan
    before = datetime.now(UTC)

    order = _completed(turnup, server, NEW, "--plan", plan)

    _look_at_orders(turnup, order["id"])
    _look_at_batches(turnup)
    _look_at_services(turnup, server)
    _look_at_devices(turnup, before)
    product = _product(order)
    told = f"productId={product}"
    turnup("order", "cancel", order["id"]).refused("ORDER_FINAL")
    _completed(turnup, server, "superfibre-200-home.modify.json", "--set", told)
    _completed(turnup, server, "superfibre-200-home.cease.json", "--set", told)
    assert "active" not in turnup("pool", "show", "ipv4@bng-1").out
    assert len(turnup("order", "list", "--output", "json").json) == 3
    assert len(turnup("order", "list", "--limit", "2", "--output", "json").json) == 2
    assert len(turnup("order", "list", "--offset", "2", "--output", "json").json) == 1


def _look_at_orders(turnup: Run, order_id: str) -> None:
    assert order_id in _fits(turnup("order", "list")).out
    assert turnup("order", "list", "--state", "held").out == "nothing\n"
    assert "PO-SF200H" in _fits(turnup("order", "show", order_id)).out
    assert turnup("order", "show", order_id, "--output", "json").json["id"] == order_id
    tree = _fits(turnup("order", "show", order_id, "--tree")).out
    assert [line.split()[0] for line in tree.splitlines() if "·" not in line] == [
        "com",
        "som",
        "rom",
    ]
    trace = _fits(turnup("trace", order_id)).out
    assert "why ponPort olt-east-07/pon1" in trace
    assert "ipv4 = 100.64.0." in trace
    assert "of onu-id@olt-east-07/pon1 — on olt-east-07/pon1: " in " ".join(trace.split())
    assert "olt-east-07 confirmed" in trace
    asked = turnup("trace", order_id, "--output", "json").json
    assert asked == turnup("order", "show", order_id, "--tree", "--output", "json").json
    for layer in ("serviceOrder", "resourceOrder"):
        (below,) = turnup("order", "list", "--layer", layer, "--output", "json").json
        assert below["id"] in trace
        assert below["id"] in _fits(turnup("order", "show", below["id"])).out


def _look_at_batches(turnup: Run) -> None:
    batches = turnup("batch", "list", "--output", "json").json
    assert {batch["state"] for batch in batches} == {"confirmed"}
    _fits(turnup("batch", "list"))
    shown = turnup("batch", "show", batches[-1]["id"])
    assert "inverse" in shown.out
    assert "journal" in shown.out
    sent = turnup("batch", "show", batches[-1]["id"], "--output", "json").json
    assert all(device["edits"][0] in shown.out for device in sent["devices"])
    order = batches[0]["order"]
    assert turnup("batch", "list", "--order", order, "--output", "json").json == batches
    assert turnup("batch", "list", "--order", "none").out == "nothing\n"


def _look_at_services(turnup: Run, server: Server) -> None:
    access = next(s for s in server.inventory("638") if s["name"] == "Internet Access")
    shown = _fits(turnup("service", "show", access["id"])).out
    assert "CFS-Internet-Access" in shown
    assert "relies on" in shown
    assert turnup("service", "show", access["id"], "--output", "json").json == access
    for what in ("olt-east-07/pon1", "bng-1", "PL-1001", access["id"], "ipv4@bng-1"):
        hurt = _fits(turnup("impact", what))
        assert "Jane Smith" in hurt.out, what
        assert turnup("impact", what, "--output", "json").json["parties"]


def _look_at_devices(turnup: Run, before: datetime) -> None:
    _fits(turnup("device", "list"))
    assert _fits(turnup("device", "audit")).code == 0
    (report,) = turnup("device", "audit", "bng-1", "--output", "json").json
    assert report["verdict"] == "pass"
    now = turnup("device", "config", "bng-1").out
    assert "subscriber-interface" in now
    then = turnup("device", "config", "bng-1", "--at", before.isoformat())
    assert "subscriber-interface" not in then.out
    same = turnup("device", "config", "bng-1", "--at", "2999-01-01", "--output", "json").json
    assert (
        same["fragments"]
        == turnup("device", "config", "bng-1", "--output", "json").json["fragments"]
    )
    running = turnup("device", "config", "bng-1", "--view", "running")
    assert "100.64.0." in running.out
    assert turnup("device", "config", "bng-1", "--view", "running", "--output", "json").json["text"]


def test_a_cancelled_order_leaves_nothing(turnup: Run, server: Server) -> None:
    submitted = turnup("order", "submit", NEW, "--output", "json").json
    server.follow(submitted["id"], deliver=False, until=("inProgress",))
    (task,) = _waiting(turnup)
    assert task["example"]["serial"] in _fits(turnup("task", "list")).out
    assert turnup("order", "cancel", submitted["id"], "--reason", "changed his mind").code == 0
    server.follow(submitted["id"], deliver=False, until=("cancelled",))
    cancel = turnup("order", "cancel", submitted["id"], "--output", "json").json
    assert (cancel["state"], cancel["cancellationReason"]) == ("done", "changed his mind")
    assert server.used_pools() == []
    assert turnup("order", "cancel", submitted["id"], "--output", "json").json == cancel
    assert _waiting(turnup, least=0) == []


def _waiting(turnup: Run, least: int = 1) -> list[Json]:
    deadline = time.monotonic() + 20
    while True:
        found: list[Json] = turnup("task", "list", "--output", "json").json
        if len(found) >= least:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_task_is_reported(turnup: Run) -> None:
    order = turnup("order", "submit", NEW, "--output", "json").json["id"]
    (task,) = _waiting(turnup)
    turnup("task", "complete", task["id"], "--result", '{"serial": "XXXX00000000"}').refused(
        "SERIAL_MISMATCH"
    )
    reported = turnup("task", "complete", task["id"], "--result", json.dumps(task["example"]))
    assert reported.out == f"reported: {task['id']}\n"
    turnup("order", "cancel", order)


def test_a_held_order_is_mended_and_retried(turnup: Run, server: Server) -> None:
    assert turnup("lab", "fault", "bng-1", "reject").out == "bng-1: reject\n"
    held = turnup("order", "submit", NEW, "--wait")
    assert held.code == 1
    assert "held" in held.out
    assert "DEVICE_REJECTED: " in held.out
    listed = _fits(turnup("fallout", "list"))
    assert listed.lines[0] == "DEVICE_REJECTED (1)"
    (fallout,) = turnup("fallout", "list", "--output", "json").json
    assert fallout["remedy"] in " ".join(listed.out.split())
    assert turnup("fallout", "list", "--order", "none").out == "nothing\n"
    assert "details" in _fits(turnup("fallout", "show", fallout["id"])).out
    turnup("fallout", "skip", fallout["id"], "--evidence", "").refused("INVALID_INPUT")
    turnup("lab", "fault", "bng-1", "clear")
    again = turnup("fallout", "retry", fallout["id"], "--evidence", "cleared the fault")
    assert again.out.startswith(f"{fallout['id']} closed")
    turnup("fallout", "retry", fallout["id"]).refused("FALLOUT_CLOSED")
    (closed,) = turnup("fallout", "list", "--state", "closed", "--output", "json").json
    assert closed["evidence"] == "cleared the fault"
    (order,) = turnup("order", "list", "--output", "json").json
    assert server.follow(order["id"])["state"] == "completed"


def test_a_plan_that_has_changed_is_shown_and_accepted(turnup: Run, server: Server) -> None:
    plan = turnup("order", "simulate", NEW).lines[-1].removeprefix("planHash ")
    other = turnup("order", "submit", NEW, "--output", "json").json["id"]
    _waiting(turnup)
    held = turnup("order", "submit", NEW, "--plan", plan, "--wait", "--output", "json")
    assert held.code == 1
    (fallout,) = turnup("fallout", "list", "--output", "json").json
    assert fallout["code"] == "PLAN_CHANGED"
    shown = turnup("fallout", "show", fallout["id"]).out
    assert "── olt-east-07 (bbf-olt, mode A)" in shown
    assert "100.64.0.3" in shown
    new = fallout["details"]["planHash"]
    turnup("fallout", "retry", fallout["id"], "--plan", new)
    for order in (other, held.json["id"]):
        assert server.follow(order, until=("completed",))


def test_an_audit_with_findings_ends_with_1(turnup: Run, server: Server) -> None:
    server.new_line()
    lab.reset(server.running.name, "bng-1", state_dir=server.state_dir)
    ended = _fits(turnup("device", "audit", "bng-1"))
    assert ended.code == 1
    assert "missing" in ended.out
    assert "subscriber-interface" in ended.out
    server.fault("olt-east-07", "down")
    unreachable = turnup("device", "audit", "olt-east-07", "--output", "json")
    assert unreachable.code == 1
    assert unreachable.json[0]["verdict"] != "pass"


def test_what_the_server_refuses(turnup: Run) -> None:
    for arguments, code in ABSENT:
        turnup(*arguments).refused(code)
    body = json.loads((ORDERS / NEW).read_text())
    body["productOrderItem"][0]["productOffering"]["id"] = "PO-NONE"
    Path("order.json").write_text(json.dumps(body))
    turnup("order", "submit", "order.json").refused("OFFERING_NOT_FOUND")
    Path("order.json").write_text('{"productOrderItem": 3}')
    turnup("order", "submit", "order.json").refused("INVALID_BODY")


def test_pools(turnup: Run) -> None:
    _fits(turnup("pool", "list"))
    rests = ("--quarantine-seconds", "3600")
    made = turnup("pool", "create", "s-vlan", "lab", "--first", "10", "--last", "13", *rests)
    assert made.lines[1].split() == ["s-vlan@lab", "4", "0", "0", "0", "4", "0.0"]
    turnup("pool", "create", "s-vlan", "lab", "--first", "1", "--last", "2").refused("POOL_EXISTS")
    turnup("pool", "create", "vlan", "lab").refused("KIND_UNKNOWN")
    prefix = ("pool", "create", "ipv6-prefix", "lab", "--prefix", "2001:db8::/48")
    made = turnup(*prefix, "--prefix-length", "52", "--quarantine-seconds", "0", "--output", "json")
    assert (made.json["capacity"], made.json["quarantineSeconds"]) == (16, 0)
    take = ("pool", "allocate", "s-vlan@lab", "--owner")
    first = turnup(*take, "me", "--output", "json").json["allocations"]
    assert turnup(*take, "me", "--output", "json").json["allocations"] == first
    turnup(*take, "you", "--value", first[0]["text"]).refused("VALUE_TAKEN")
    assert "1970" not in turnup(*take, "you", "--count", "4").refused("POOL_EXHAUSTED")
    assert turnup(*take, "you/and/me", "--value", "13", "--ttl", "60").code == 0
    shown = _fits(turnup("pool", "show", "s-vlan@lab"))
    assert "reserved" in shown.out
    both = turnup("pool", "show", "s-vlan@lab", "--output", "json").json["allocations"]
    assert {one["owner"] for one in both} == {"me", "you/and/me"}
    assert turnup("pool", "release", "s-vlan@lab", "--owner", "you/and/me").code == 0
    turnup("pool", "release", "s-vlan@lab", "--owner", "you/and/me").refused("ALLOCATION_NOT_FOUND")
    assert turnup("pool", "release", "s-vlan@lab", "--owner", "me").code == 0
    turnup(*take, "them", "--value", first[0]["text"]).refused("VALUE_QUARANTINED")
    listed = turnup("pool", "list", "--kind", "s-vlan", "--scope", "lab", "--output", "json").json
    assert [pool["id"] for pool in listed] == ["s-vlan@lab"]


def test_the_lab(turnup: Run, server: Server) -> None:
    shown = _fits(turnup("lab", "inspect"))
    assert "netconf admin@" in shown.out
    nodes = turnup("lab", "inspect", "metro", "--output", "json").json["metro"]
    for node in nodes:
        assert node.keys() >= {"lab_name", "name", "kind", "state", "ipv4_address", "access"}
    olt = next(node for node in nodes if node["name"] == "olt-east-07")
    assert olt["access"][0].keys() == {"protocol", "host", "port", "username"}
    assert turnup("lab", "fault", "agg-1", "drop", "rpc=3", "when=after").code == 0
    assert "fault on metro agg-1: drop rpc=3 when=after" in turnup("lab", "inspect").lines
    assert server.get("/turnup/v1/lab/faults")[0]["params"] == {"rpc": 3, "when": "after"}
    turnup("lab", "fault", "agg-1", "clear")
    assert server.get("/turnup/v1/lab/faults") == []
    plugged = turnup("lab", "plug", "ont-2", "--place", "PL-1002")
    assert plugged.out == "ont-2: plugged in at olt-east-07/pon2\n"
    assert turnup("lab", "unplug", "ont-2").out == "ont-2: unplugged\n"
    already = turnup("lab", "up", "metro.clab.yml", "--lab-is-no-option").refused("WRONG_USAGE", 2)
    assert "No such option" in already


def test_a_lab_comes_up_boots_again_and_goes_down(run: Run) -> None:
    up = ("lab", "up", "metro.clab.yml", "--state-dir", "s")
    assert "19 nodes started" in run(*up).out
    try:
        assert "were up already" in run(*up).out
        run("lab", "fault", "bng-1", "down", "--state-dir", "s", "--lab", "metro")
        assert "19 nodes started" in run(*up, "--reconfigure").out
        assert Path("s/labs/metro/nornir-simple-inventory.yml").exists()
    finally:
        assert run("lab", "down", "metro", "--state-dir", "s").code == 0
    assert run("lab", "inspect", "--state-dir", "s").out == "nothing\n"


def test_catalogs_are_loaded_once(turnup: Run) -> None:
    catalogs = str(Path(__file__).parents[2] / "catalogs")
    loaded = turnup("catalog", "load", catalogs, "--output", "json").json
    assert loaded["inserted"] == 0
    assert loaded["unchanged"] > 0
    Path("mine").mkdir()
    Path("mine/a.yaml").write_text("a: [")
    turnup("catalog", "load", "mine").refused("CATALOG_INVALID")


def test_refusals_over_http(server: Server) -> None:
    for body, code, status in (
        ({"node": "nope", "fault": "down"}, "NODE_UNKNOWN", 404),
        ({"node": "bng-1", "fault": "nope"}, "FAULT_UNKNOWN", 400),
        ({"node": "bng-1", "fault": "latency"}, "FAULT_PARAMETER", 400),
    ):
        answer = server.http.post("/turnup/v1/lab/faults", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    answer = server.http.post("/turnup/v1/lab/plugs/bng-1")
    assert (answer.status_code, answer.json()["code"]) == (400, "NODE_NOT_PLUGGABLE")
    answer = server.http.get("/turnup/v1/devices/bng-1/config", params={"at": "yesterday"})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")
