"""All tables of all rooms, and the server's own: which environment a database belongs to."""

from __future__ import annotations

from sqlalchemy import Column, String, Table, select

import activation.tables
import catalog.tables
import inventory.tables
import orders.tables
import tmf.tables
from store import Tx, metadata
from store.errors import EnvironmentMismatch

ROOMS = (tmf.tables, orders.tables, inventory.tables, catalog.tables, activation.tables)
"""Importing them is what registers their tables."""

environment = Table("environment", metadata, Column("name", String(64), primary_key=True))


def claim_environment(tx: Tx, name: str) -> None:
    """Mark an empty database as belonging to an environment. Raises EnvironmentMismatch for another's."""
    known = tx.scalar(select(environment.c.name))
    if known is None:
        tx.execute(environment.insert().values(name=name))
    elif known != name:
        raise EnvironmentMismatch(
            f"This database belongs to environment {known!r}, but the server is {name!r} (TURNUP_ENVIRONMENT); "
            "use another database."
        )
