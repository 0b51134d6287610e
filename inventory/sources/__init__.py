"""Exchange with sources of truth: pools, prefixes, VLANs and devices in, allocations back."""

from __future__ import annotations

from inventory.sources.client import Client, Patience
from inventory.sources.dialect import Dialect
from inventory.sources.importing import Report, run_import
from inventory.sources.nautobot import NAUTOBOT
from inventory.sources.netbox import NETBOX
from inventory.sources.port import SourceOfTruth
from inventory.sources.register import Source, parse_rules
from inventory.sources.rest import RestSource
from inventory.sources.rules import Rules
from inventory.sources.writeback import PushReport, push, refresh

DIALECTS: dict[str, Dialect] = {one.name: one for one in (NETBOX, NAUTOBOT)}

__all__ = [
    "DIALECTS",
    "Client",
    "Dialect",
    "Patience",
    "PushReport",
    "Report",
    "RestSource",
    "Rules",
    "Source",
    "SourceOfTruth",
    "connect",
    "parse_rules",
    "push",
    "refresh",
    "run_import",
]


def connect(source: Source, token: str, patience: Patience | None = None) -> RestSource:
    """Return a source ready to be asked; nothing is sent yet. Raises SourceInvalid."""
    dialect = DIALECTS[source.type]
    client = Client(
        source.url,
        dialect.authorization(token),
        label=f"{dialect.label} {source.name}",
        ca_path=source.ca_path,
        patience=patience,
    )
    return RestSource(client, dialect, source.rules.write_back.owner_field)
