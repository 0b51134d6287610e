"""A change over several devices: applied, read back, settled; undone whole when anything goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from activation.drivers.base import (
    AuthenticationRefused,
    DeviceLocked,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    SessionDropped,
)
from activation.model import Applied, NoChange, NotAttempted, Rejected, Reverted, Unknown
from tests.activation.bench import World, endpoint, line, request, route, withdrawn


def test_new_modify_cease_leave_no_trace(world: World) -> None:
    before = world.running()
    assert world.activation.run(request("o1:line", line())).ok
    assert world.activation.run(request("o1:tr069", [endpoint()])).ok
    assert "tdp-50m" in world.network["olt-1"].running
    assert "si-1001-107" in world.network["bng-1"].running
    assert "HWTC1A2B3C07" in world.network["acs-1"].running

    faster = [c for c in line(up=20, down=100) if c.role == "qos"]
    assert world.activation.run(request("o2:line", faster)).ok
    assert "tdp-20m" in world.network["olt-1"].running
    assert "tdp-50m" in world.network["olt-1"].running, "not swept yet"
    sweep = world.sweep("o2:sweep")
    assert sweep is not None
    assert world.activation.run(sweep).ok
    assert "50m" not in world.network["olt-1"].running

    assert world.activation.run(request("o3:tr069", withdrawn([endpoint()]))).ok
    assert world.activation.run(request("o3:line", withdrawn(line()))).ok
    sweep = world.sweep("o3:sweep")
    assert sweep is not None
    assert world.activation.run(sweep).ok
    assert world.running() == before
    assert world.sweep() is None


def test_every_device_is_in_the_outcome(world: World) -> None:
    outcome = world.activation.run(request("o1:line", [*line(), route(), endpoint()]))
    assert [type(d) for d in outcome.devices] == [Applied] * 4
    assert [d.device for d in outcome.devices] == ["olt-1", "bng-1", "agg-1", "acs-1"]
    assert world.settled == ["o1:line"]


def test_the_same_request_again_does_nothing(world: World) -> None:
    first = world.activation.run(request("o1:line", line()))
    calls = len(world.network["olt-1"].calls)
    assert world.activation.run(request("o1:line", line())) == first
    assert len(world.network["olt-1"].calls) == calls


def test_equal_contributions_are_no_change(world: World) -> None:
    world.activation.run(request("o1:line", line()))
    outcome = world.activation.run(request("o2:line", line()))
    assert outcome.ok
    assert [type(d) for d in outcome.devices] == [NoChange, NoChange]


def test_a_shared_profile_survives_until_its_last_user_leaves(world: World) -> None:
    world.activation.run(request("o1:line", line(7)))
    world.activation.run(request("o2:line", line(8)))
    world.activation.run(request("o3:line", withdrawn(line(7))))
    assert world.sweep() is None
    assert "tdp-50m" in world.network["olt-1"].running
    world.activation.run(request("o4:line", withdrawn(line(8))))
    sweep = world.sweep()
    assert sweep is not None
    world.activation.run(sweep)
    assert "tdp-50m" not in world.network["olt-1"].running


def test_shown_bytes_do_not_depend_on_whether_the_shared_object_exists(world: World) -> None:
    alone = world.plan(request("o2:line", line(8)))
    world.activation.run(request("o1:line", line(7)))
    beside = world.plan(request("o2:line", line(8)))
    assert [d.edits for d in alone.devices] == [d.edits for d in beside.devices]
    assert [d.inverse for d in alone.devices] == [d.inverse for d in beside.devices]


def test_a_sweep_leaves_what_found_a_user_again(world: World) -> None:
    world.activation.run(request("o1:line", line(7)))
    world.activation.run(request("o2:line", withdrawn(line(7))))
    sweep = world.sweep()
    assert sweep is not None
    world.activation.run(request("o3:line", line(8)))
    assert world.activation.run(sweep).ok
    assert "tdp-50m" in world.network["olt-1"].running


@pytest.mark.parametrize("device", ["olt-1", "bng-1", "agg-1", "acs-1"])
@pytest.mark.parametrize(
    ("error", "code", "transient"),
    [
        (DeviceUnreachable, "DEVICE_UNREACHABLE", True),
        (SessionDropped, "DEVICE_SESSION_DROPPED", True),
        (AuthenticationRefused, "DEVICE_AUTHENTICATION", False),
    ],
)
def test_nothing_is_sent_when_a_device_cannot_be_read(
    world: World, device: str, error: type[DriverError], code: str, transient: bool
) -> None:
    before = world.running()
    world.network[device].fail("read", error)
    outcome = world.activation.run(request("o1:line", [*line(), route(), endpoint()]))
    assert (outcome.code, outcome.transient) == (code, transient)
    assert {type(d) for d in outcome.devices} == {NotAttempted}
    assert world.running() == before
    assert all(d.locked_by is None for d in world.network)
    assert world.activation.run(request("o1:line", [*line(), route(), endpoint()])).ok


@pytest.mark.parametrize("device", ["olt-1", "agg-1"])
def test_a_lock_is_waited_for_by_the_order_not_here(world: World, device: str) -> None:
    world.network[device].fail("lock", DeviceLocked)
    outcome = world.activation.run(request("o1:line", [*line(), route()]))
    assert (outcome.code, outcome.transient) == ("DEVICE_LOCKED", True)
    assert world.activation.run(request("o1:line", [*line(), route()])).ok


@pytest.mark.parametrize(
    ("device", "call"),
    [
        ("olt-1", "stage"),
        ("olt-1", "validate"),
        ("olt-1", "commit"),
        ("bng-1", "stage"),
        ("bng-1", "commit"),
        ("agg-1", "commit"),
        ("acs-1", "apply"),
    ],
)
def test_a_refusal_undoes_everything(world: World, device: str, call: str) -> None:
    before = world.running()
    world.network[device].fail(call, DeviceRejected)
    wanted = request("o1:line", [*line(), route(), endpoint()])
    outcome = world.activation.run(wanted)
    assert (outcome.code, outcome.transient) == ("DEVICE_REJECTED", False)
    kinds = {d.device: type(d) for d in outcome.devices}
    assert kinds[device] is Rejected
    assert set(kinds.values()) <= {Rejected, Reverted, NotAttempted}
    assert world.settled == []
    world.clean("o1:line:sweep")
    assert world.running() == before
    assert all(d.pending is None and d.locked_by is None for d in world.network)
    assert world.activation.run(wanted).ok


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("device", "call"),
    [
        ("olt-1", "stage"),
        ("olt-1", "commit"),
        ("bng-1", "commit"),
        ("acs-1", "apply"),
        ("olt-1", "confirm"),
        ("agg-1", "confirm"),
        ("olt-1", "save"),
        ("bng-1", "unlock"),
    ],
)
def test_a_dropped_session_ends_on_one_side(
    world: World, device: str, call: str, when: str
) -> None:
    before = world.running()
    world.network[device].fail(call, SessionDropped, when=when)  # type: ignore[arg-type]
    wanted = request("o1:line", [*line(), route(), endpoint()])
    outcome = world.activation.run(wanted)
    if not outcome.ok:
        assert outcome.transient
        world.clean("o1:line:sweep")
        assert world.running() == before
        outcome = world.activation.run(wanted)
    assert outcome.ok
    assert all(d.pending is None and d.locked_by is None for d in world.network)
    for device_name in ("olt-1", "bng-1", "agg-1", "acs-1"):
        assert world.activation.audit(device_name)["verdict"] == "pass"


def test_drift_stops_the_change(world: World) -> None:
    world.activation.run(request("o1:line", line()))
    olt = world.network["olt-1"]
    olt.running = olt.running.replace(
        "tdp-50m</traffic-descriptor-profile-ref>", "tdp-9m</traffic-descriptor-profile-ref>"
    )
    drifted = olt.running
    outcome = world.activation.run(
        request("o2:line", [c for c in line(up=20, down=100) if c.role == "qos"])
    )
    assert (outcome.code, outcome.transient) == ("DEVICE_DRIFT", False)
    (difference,) = outcome.details["differences"]["olt-1"]
    assert difference["expected"] == "tdp-50m"
    assert difference["found"] == "tdp-9m"
    assert olt.running == drifted


def test_foreign_configuration_inside_what_is_to_be_removed_is_drift(world: World) -> None:
    world.activation.run(request("o1:line", line()))
    bng = world.network["bng-1"]
    bng.running = bng.running.replace("<c-vlan>", "<description>by hand</description><c-vlan>")
    outcome = world.activation.run(request("o2:line", withdrawn(line())))
    assert outcome.code == "DEVICE_DRIFT"
    assert "by hand" in outcome.explanation


def test_what_is_new_must_not_be_there(world: World) -> None:
    plan = world.plan(request("o1:line", line()))
    olt = world.network["olt-1"]
    olt.running = olt.dialect.apply("", plan.devices[0].edits[0])
    outcome = world.activation.run(request("o1:line", line()))
    assert outcome.code == "DEVICE_DRIFT"


def test_a_shared_object_may_be_there_already(world: World) -> None:
    world.network["olt-1"].running = _tdp("50000000")
    assert world.activation.run(request("o1:line", line())).ok


def _tdp(rate: str) -> str:
    return (
        '<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont"><traffic-descriptor-profiles>'
        "<traffic-descriptor-profile><name>tdp-50m</name><assured-bandwidth>5000000</assured-bandwidth>"
        f"<maximum-bandwidth>{rate}</maximum-bandwidth><priority>1</priority><weight>1</weight>"
        "<additional-bw-eligibility-indicator>best-effort-sharing</additional-bw-eligibility-indicator>"
        "</traffic-descriptor-profile></traffic-descriptor-profiles></xpongemtcont>"
    )


def test_a_shared_object_of_other_content_is_drift(world: World) -> None:
    world.network["olt-1"].running = _tdp("1")
    assert world.activation.run(request("o1:line", line())).code == "DEVICE_DRIFT"


def test_a_device_that_swallows_the_change_is_noticed(world: World) -> None:
    bng = world.network["bng-1"]

    class Forgetful(type(bng.dialect)):  # type: ignore[misc]
        def apply(self, running: str, edit: str) -> str:
            return str(super().apply(running, edit)).replace("100.64.0.7", "100.64.0.8")

    before = world.running()
    bng.dialect = Forgetful()
    outcome = world.activation.run(request("o1:line", line()))
    assert (outcome.code, outcome.transient) == ("READ_BACK_FAILED", False)
    assert "100.64.0.8" in outcome.explanation
    world.clean("o1:line:sweep")
    assert world.running() == before


def test_the_plan_that_was_shown_is_what_is_sent(world: World) -> None:
    wanted = request("o1:line", line())
    shown = world.activation.inspect(world.plan(wanted))
    outcome = world.activation.run(wanted, expect=world.activation.change_hash(shown))
    assert outcome.ok
    sent = [text for call, text in world.network["olt-1"].calls if call == "apply"]
    assert sent == []
    with world.database.read() as rx:
        batch = world.activation.batch(rx, outcome.batch or "")
    assert batch["devices"][0]["edits"] == list(shown.devices[0].edits)
    assert [line["phase"] for line in batch["journal"]] == [
        "planned",
        "provisional",
        "provisional",
        "confirming",
        "confirmed",
    ]


def test_another_plan_than_shown_is_not_sent(world: World) -> None:
    before = world.running()
    outcome = world.activation.run(request("o1:line", line()), expect="0" * 32)
    assert (outcome.code, outcome.transient) == ("PLAN_CHANGED", False)
    assert world.running() == before
    again = world.activation.run(request("o1:line", line()), expect=outcome.details["changeHash"])
    assert again.ok


def test_a_device_in_doubt_is_unknown_and_stays_leased(world: World) -> None:
    bng = world.network["bng-1"]
    before = world.running()
    bng.fail("commit", SessionDropped, when="after")
    bng.fail("open", DeviceUnreachable, skip=1, times=1000)
    outcome = world.activation.run(request("o1:line", line()))
    assert (outcome.code, outcome.transient) == ("DEVICE_UNKNOWN", False)
    assert {d.device: type(d) for d in outcome.devices} == {"olt-1": Reverted, "bng-1": Unknown}
    busy = world.activation.run(request("o2:line", line(8)))
    assert (busy.code, busy.transient) == ("DEVICE_BUSY", True)
    bng.heal()
    assert world.activation.run(request("o2:line", withdrawn(line(8)))).code == "DEVICE_BUSY"
    assert world.activation.run(request("o1:line", line())).ok
    assert world.running() != before
    assert world.activation.run(request("o2:line", line(8))).ok


def test_unmanaged_devices_are_refused(world: World) -> None:
    from inventory.devices import patch

    with world.database.write() as tx:
        patch(tx, "bng-1", {"admin_state": "readOnly"})
    outcome = world.activation.run(request("o1:line", line()))
    assert (outcome.code, outcome.batch) == ("DEVICE_NOT_MANAGED", None)
    unknown = replace(line()[0], feature="no-such")
    assert world.activation.run(request("o2:line", [unknown])).code == "FEATURE_UNKNOWN"


def test_a_conflict_is_refused_at_plan(world: World) -> None:
    world.activation.run(request("o1:line", line()))
    rival = [replace(c, line="line-x", source="x") for c in line() if c.device == "bng-1"]
    other = [
        replace(c, values={**(c.values or {}), "ipv4": "100.64.9.9"}) if c.role == "ip" else c
        for c in rival
    ]
    assert world.activation.run(request("o2:line", other)).code == "FRAGMENT_CONFLICT"


def test_maintenance_begun_in_the_middle_does_not_lose_the_change(world: World) -> None:
    from inventory.devices import patch

    olt = world.network["olt-1"]
    real = olt.settle

    def settle() -> None:
        real()
        with world.database.write() as tx:
            patch(tx, "bng-1", {"admin_state": "maintenance"})

    olt.settle = settle  # type: ignore[method-assign]
    assert world.activation.run(request("o1:line", line())).ok
    assert world.activation.audit("bng-1")["verdict"] == "pass"
