"""Pure: undoing a plan."""

from __future__ import annotations

from typing import Any

from orders.dispatch import invert


def entry(
    id_: str, action: str, needs: tuple[str, ...] = (), instance: str | None = None
) -> dict[str, Any]:
    before = None if action == "add" else {"speed": 1}
    after = None if action == "delete" else {"speed": 2}
    return {
        "id": id_,
        "action": action,
        "instance": instance,
        "before": before,
        "after": after,
        "needs": list(needs),
    }


def test_an_undone_plan_is_the_plan_backwards() -> None:
    plan = [entry("1", "add"), entry("2", "modify", ("1",), "b"), entry("3", "delete", ("2",), "c")]
    back = {e["id"]: e for e in invert(plan, {"1": "a"})}
    assert [back[i]["action"] for i in "123"] == ["delete", "modify", "add"]
    assert back["1"]["instance"] == "a"
    assert back["1"]["needs"] == ["2"]
    assert back["2"]["needs"] == ["3"]
    assert back["3"]["needs"] == []
    assert back["3"]["instance"] is None
    assert (back["2"]["before"], back["2"]["after"]) == ({"speed": 2}, {"speed": 1})
