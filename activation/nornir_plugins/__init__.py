"""Nornir plug-ins: inventory, asyncio runner, connection and tasks; and the Fleet that activation runs through them."""

from __future__ import annotations
