"""Every state of a resource's life is shown in TMF639's four, in the official words."""

from __future__ import annotations

from inventory.lineage.lifecycle import LOGICAL, PHYSICAL
from rom.states import LIVE, TMF639

# TMF639 4.0, the enumerations of the official file
OFFICIAL = {
    "administrativeState": {"locked", "unlocked", "shutdown"},
    "operationalState": {"enable", "disable"},
    "resourceStatus": {"standby", "alarm", "available", "reserved", "unknown", "suspended"},
    "usageState": {"idle", "active", "busy"},
}


def test_each_state_has_the_four_and_nothing_else() -> None:
    assert set(TMF639) == {*PHYSICAL, *LOGICAL}
    for shown in TMF639.values():
        assert set(shown) == set(OFFICIAL)
        for attribute, value in shown.items():
            assert value in OFFICIAL[attribute]


def test_what_is_used_is_shown_as_used() -> None:
    used = {state for state, shown in TMF639.items() if shown["usageState"] == "active"}
    assert used == {"inService", "maintenance", "inUse", "suspended"}
    assert set(LIVE) <= set(LOGICAL)
