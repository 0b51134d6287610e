"""Many orders at once on the same devices: one after the other, none lost, none twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.activation.bench import FAST, World, line, request

ORDERS = range(2, 12)


def test_orders_on_the_same_devices_queue(world: World) -> None:
    activation = world.make(replace(FAST, lease_wait_s=60.0))
    with ThreadPoolExecutor(len(ORDERS)) as pool:
        outcomes = list(pool.map(lambda n: activation.run(request(f"o{n}:line", line(n))), ORDERS))
    assert [o.code for o in outcomes] == [None] * len(ORDERS)
    for device in ("olt-1", "bng-1"):
        found = activation.audit(device)
        assert (found["verdict"], found["unowned"]) == ("pass", [])
    assert world.network["bng-1"].running.count("<subscriber-interface>") == len(ORDERS)


def test_the_same_change_from_two_threads_is_done_once(world: World) -> None:
    wanted = request("o1:line", line())
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: world.activation.run(wanted), range(4)))
    assert all(o.ok for o in outcomes)
    assert len({o.batch for o in outcomes}) == 1
    commits = [call for call in world.network["olt-1"].calls if call[0] == "commit"]
    assert len(commits) == 1
