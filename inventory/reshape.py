"""Reshaping pools while they are used: grow, shrink, drain, remove, split, move, reassign, pressure, policy.

Each does all or nothing (the caller's transaction must be rolled back when it raises), says in the pool's journal
what it did, and leaves the history of values and shapes as it was. Refused with CONTENTION (repeat it) when others are
at work on the same values in another order. The locks are explained in `shifting`.
"""

from __future__ import annotations

from inventory.shaping.passing import move, reassign, split
from inventory.shaping.policies import change, declare_pressure, drain, end_pressure
from inventory.shaping.sizing import grow, remove, shrink

__all__ = [
    "change",
    "declare_pressure",
    "drain",
    "end_pressure",
    "grow",
    "move",
    "reassign",
    "remove",
    "shrink",
    "split",
]
