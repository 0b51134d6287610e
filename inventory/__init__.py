"""Run time truth: pools, instances, connectivity graph and device registry."""

from __future__ import annotations

from inventory.cause import Cause

__all__ = ["Cause"]
