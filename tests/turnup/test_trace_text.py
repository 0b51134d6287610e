"""What a person reads of a trace: golden text."""

from __future__ import annotations

from typing import Any

from turnup.cli._trace import SHOWN, lines

Json = dict[str, Any]
PON1, PON2, WEST = "olt-east-07/pon1", "olt-east-07/pon2", "olt-west-02/pon1"
GOLDEN = """\
rom ro-1 inProgress
  done     2026-11-25T01:00:00Z     rom.assign@1 assign
  ready                             rom.change@1 line:set
  item 2 add RES-Fibre-Access re-7 inProgress
    why ponPort olt-east-07/pon1: fewest free ids (250) of 1 reachable GPON port with room
      turned down olt-east-07/pon2: full: no free ids
      turned down olt-west-02/pon1: is XGS-PON, GPON is wanted
    onuId = 3 of onu-id@olt-east-07/pon1 — on olt-east-07/pon1: fewest free ids (250) of 1 reachable GPON port with room
  item 5 add RES-TR069-Config re-9 inProgress
    why acs acs-2: fewest in use (3) of 2 devices of role acs that may be used
      turned down acs-1: 7 in use, more than the chosen device (3 in use)
  item 6 add RES-IP-Profile held
    ipv4 = 100.64.0.2 of ipv4@bng-1
    POOL_EXHAUSTED: Pool ipv6-prefix@bng-1 has 0 free values
  batch b-1 confirmed: olt-east-07 confirmed, bng-1 confirmed
"""


def item(id_: str, spec: str, instance: str | None, state: str, **more: Any) -> Json:
    return {
        "id": id_,
        "action": "add",
        "specification": spec,
        "instance": instance,
        "state": state,
    } | more


def turned(noun: str, name: str, why: str) -> Json:
    return {noun: name, "code": "X", "why": why}


def order() -> Json:
    port = {
        "policy": "best-fit",
        "chosen": PON1,
        "because": "fewest free ids (250) of 1 reachable GPON port with room",
        "considered": 3,
        "rejected": [
            turned("port", PON2, "full: no free ids"),
            turned("port", WEST, "is XGS-PON, GPON is wanted"),
        ],
    }
    acs = {
        "chosen": "acs-2",
        "because": "fewest in use (3) of 2 devices of role acs that may be used",
        "rejected": [turned("device", "acs-1", "7 in use, more than the chosen device (3 in use)")],
    }
    onu = {"text": "3", "pool": f"onu-id@{PON1}", "reason": {"rule": "R/onuId", "on": PON1}}
    error = {"code": "POOL_EXHAUSTED", "message": "Pool ipv6-prefix@bng-1 has 0 free values"}
    begun = "2026-11-25T01:00:00Z"
    return {
        "layer": "rom",
        "id": "ro-1",
        "state": "inProgress",
        "tasks": [
            {
                "state": "ready",
                "started": None,
                "ended": None,
                "kind": "rom.change@1",
                "key": "line:set",
            },
            {
                "state": "done",
                "started": begun,
                "ended": begun,
                "kind": "rom.assign@1",
                "key": "assign",
            },
        ],
        "items": [
            item(
                "2",
                "RES-Fibre-Access",
                "re-7",
                "inProgress",
                reasons={"ponPort": port},
                allocations={"onuId": onu},
            ),
            item("5", "RES-TR069-Config", "re-9", "inProgress", reasons={"acs": acs}),
            item(
                "6",
                "RES-IP-Profile",
                None,
                "held",
                allocations={"ipv4": {"text": "100.64.0.2", "pool": "ipv4@bng-1"}},
                error=error,
            ),
        ],
        "batches": [
            {
                "id": "b-1",
                "state": "confirmed",
                "devices": [
                    {"device": "olt-east-07", "state": "confirmed"},
                    {"device": "bng-1", "state": "confirmed"},
                ],
            }
        ],
        "children": [],
    }


def text(node: Json) -> str:
    return "".join(f"{pad}{told}\n" for pad, told in lines(node))


def test_a_trace_reads_so() -> None:
    assert text(order()) == GOLDEN


def test_orders_below_are_indented() -> None:
    above = order() | {"layer": "som", "id": "so-1", "items": [], "tasks": [], "batches": []}
    above["children"] = [order()]
    told = text(above).splitlines()
    assert told[0] == "som so-1 inProgress"
    assert told[1:] == [f"  {line}" for line in GOLDEN.splitlines()]


def test_a_long_list_is_cut_and_counted() -> None:
    node = order()
    reason = node["items"][0]["reasons"]["ponPort"]
    reason["rejected"] = [turned("port", f"olt-1/pon{n}", "full") for n in range(SHOWN + 5)]
    reason["notShown"] = 31
    told = text(node)
    assert told.count("turned down olt-1/") == SHOWN
    assert "      and 36 more\n" in told
