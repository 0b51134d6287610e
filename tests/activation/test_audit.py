"""Who owns a line, what is intended when, and what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activation.errors import BatchNotFound
from tests.activation.bench import World, endpoint, line, request, withdrawn


@pytest.fixture
def settled(world: World) -> World:
    assert world.activation.run(request("o1:line", line())).ok
    assert world.activation.run(request("o1:tr069", [endpoint()])).ok
    return world


def audit(world: World, device: str) -> dict[str, Any]:
    return world.activation.audit(device)


def test_nothing_differs_after_a_change(settled: World) -> None:
    for device in ("olt-1", "bng-1", "acs-1"):
        found = audit(settled, device)
        assert found["verdict"] == "pass"
        assert found["unowned"] == []


def test_a_changed_leaf_names_instance_and_order_item(settled: World) -> None:
    bng = settled.network["bng-1"]
    bng.running = bng.running.replace("100.64.0.7", "100.64.0.99")
    found = audit(settled, "bng-1")
    (changed,) = found["changed"]
    assert found["verdict"] == "fail"
    assert (changed["value"], changed["found"]) == ("100.64.0.7", "100.64.0.99")
    assert changed["owner"]["line"] == "line-7"
    assert changed["owner"]["contributions"] == [
        {"role": "ip", "source": "ip-7", "item": "item-ip"}
    ]


def test_missing_extra_and_unowned_are_told_apart(settled: World) -> None:
    bng = settled.network["bng-1"]
    bng.running = bng.running.replace("<c-vlan>", "<description>x</description><c-vlan>").replace(
        "<ingress-policy>rate-50m</ingress-policy>", ""
    )
    bng.running = bng.dialect.apply(
        bng.running,
        '<policies xmlns="urn:turnup:yang:turnup-bng"><policy><name>theirs</name><rate>1</rate></policy></policies>',
    )
    found = audit(settled, "bng-1")
    assert [leaf["path"].rpartition("/")[2] for leaf in found["missing"]] == ["ingress-policy"]
    assert found["missing"][0]["owner"]["contributions"][0]["role"] == "qos"
    assert [leaf["path"].rpartition("/")[2] for leaf in found["extra"]] == ["description"]
    assert all("theirs" in leaf["path"] for leaf in found["unowned"])
    assert len(found["unowned"]) == 2


def test_what_was_there_at_import_is_owned_by_the_base(world: World) -> None:
    agg = world.network["agg-1"]
    assert audit(world, "agg-1")["unowned"]
    world.activation.import_base("agg-1")
    assert audit(world, "agg-1")["unowned"] == []
    agg.running = "hostname other"
    (changed,) = audit(world, "agg-1")["changed"]
    assert changed["owner"]["feature"] == "base"


def test_the_base_leaves_out_what_orders_made(settled: World) -> None:
    assert settled.activation.import_base("bng-1") == 0
    assert settled.activation.run(request("o2:line", withdrawn(line()))).ok
    assert "si-1001" not in settled.network["bng-1"].running


def test_a_device_that_does_not_answer_is_an_error_not_a_pass(settled: World) -> None:
    settled.network["bng-1"].down = True
    found = audit(settled, "bng-1")
    assert (found["verdict"], found["missing"]) == ("error", [])


def test_an_unmanaged_device_is_not_evaluated(settled: World) -> None:
    from inventory.devices import patch

    with settled.database.write() as tx:
        patch(tx, "bng-1", {"admin_state": "unmanaged"})
    assert audit(settled, "bng-1")["verdict"] == "not_evaluated"


def test_intended_is_known_for_any_time(settled: World) -> None:
    with settled.database.read() as rx:
        then = rx.now
    assert settled.activation.run(request("o2:line", withdrawn(line()))).ok
    with settled.database.read() as rx:
        now = settled.activation.intended(rx, "bng-1")
        past = settled.activation.intended(rx, "bng-1", then)
        before = settled.activation.intended(rx, "bng-1", then - timedelta(days=1))
    assert [f["feature"] for f in now] == ["shared:policy", "shared:policy"]
    assert [f["feature"] for f in past] == [
        "subscriber-interface",
        "shared:policy",
        "shared:policy",
    ]
    assert {c["item"] for c in past[0]["contributions"]} == {"item-vlan", "item-ip", "item-qos"}
    assert before == []


def test_batches_are_kept_with_edits_and_journal(settled: World) -> None:
    with settled.database.read() as rx:
        found = settled.activation.batches(rx, device="acs-1")
        assert [(b["change"], b["state"]) for b in found] == [("o1:tr069", "confirmed")]
        batch = settled.activation.batch(rx, found[0]["id"])
        with pytest.raises(BatchNotFound):
            settled.activation.batch(rx, "nothing")
    assert [line["phase"] for line in batch["journal"]] == [
        "planned",
        "provisional",
        "confirming",
        "confirmed",
    ]
    assert batch["devices"][0]["state"] == "confirmed"
    assert "PUT" in batch["devices"][0]["edits"][0]


def test_a_hash_is_over_content_not_ids(world: World) -> None:
    one = world.activation.inspect(world.plan(request("o1:line", line())))
    two = world.activation.inspect(world.plan(request("o2:line", line())))
    other = world.activation.inspect(world.plan(request("o3:line", line(8))))
    hashed = [world.activation.plan_hash([], [plan]) for plan in (one, two, other)]
    assert hashed[0] == hashed[1] != hashed[2]
    allocation = {"kind": "ipv4", "scope": "bng-1", "value": 7, "item": "x"}
    assert world.activation.plan_hash([allocation], [one]) != hashed[0]
    assert world.activation.plan_hash([allocation], [one]) == world.activation.plan_hash(
        [{**allocation, "item": "y"}], [two]
    )
