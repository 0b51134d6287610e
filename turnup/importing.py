"""Import devices into the registry: from a running lab, or as a list that a client read from a file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from activation.fragments import BASE
from inventory import devices as registry
from inventory.devices import Device, TopologyImport, TopologyNode, import_topology
from inventory.plant.topology import ImportReport
from lab import api as lab
from store import Rx, Tx
from store.errors import TurnupError
from turnup.application import Application
from turnup.errors import LabRefused
from turnup.topology import import_lab

Json = dict[str, Any]
log = logging.getLogger("turnup")
_BY = "import of a device list"


class Importer:
    """Imports into one application's inventory; what is known already stays as it is."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._database = application.database

    def lab(self, name: str) -> Json:
        """Import a running lab's devices, ports, links, places, stock and pools. Raises LAB_NOT_FOUND."""
        state = self._application.settings.state_dir
        info = lab.connect(name, state)
        if info is None:
            raise LabRefused(
                "LAB_NOT_FOUND",
                f"No lab {name} is up in this server's state folder ({state.resolve()}); "
                "start it there with `turnup lab up FILE`.",
            )
        with self._database.read() as rx:
            known = _names(rx)
        report = import_lab(self._database, info)
        import_bases(self._application)
        return _report([report], known)

    def devices(self, devices: Sequence[Device]) -> Json:
        """Import devices that the registry does not have yet."""
        with self._database.write() as tx:
            known = _names(tx)
            reports = _import_devices(tx, [one for one in devices if one.name not in known])
        import_bases(self._application)
        named = [one.name for one in devices if one.name in known]
        return {**_report(reports, set()), "known": named}


def import_bases(application: Application) -> None:
    """Keep what each newly imported device has, so that audits know what was there before any order."""
    with application.database.read() as rx:
        managed = [d.name for d in registry.devices(rx) if d.admin_state == "managed"]
        new = [name for name in managed if not _has_base(application, rx, name)]
    for name in new:
        try:
            application.activation.import_base(name)
        except TurnupError as error:
            log.warning("%s; what it has is not known yet, import it again", error.message)


def _has_base(application: Application, rx: Rx, device: str) -> bool:
    return any(f["feature"] == BASE for f in application.activation.intended(rx, device))


def _import_devices(tx: Tx, devices: Sequence[Device]) -> list[ImportReport]:
    reports = []
    for trust, group in groupby(sorted(devices, key=_trust), _trust):
        host_key, ca_path, credential = trust
        found = list(group)
        described = TopologyImport(
            name="devices",
            source=_BY,
            nodes=tuple(_node(device) for device in found),
            host_key=host_key or None,
            ca_path=ca_path or None,
            credential_ref=credential or None,
        )
        reports.append(import_topology(tx, described))
        for device in found:
            registry.patch(tx, device.name, {"admin_state": device.admin_state}, by=_BY)
    return reports


def _trust(device: Device) -> tuple[str, str, str]:
    return device.host_key or "", device.ca_path or "", device.credential_ref or ""


def _node(device: Device) -> TopologyNode:
    site = {"site": device.site} if device.site else {}
    return TopologyNode(
        name=device.name,
        role=device.role,
        platform=device.platform,
        host=device.host,
        access=device.endpoints,
        labels={**device.labels, **site},
    )


def _names(rx: Rx) -> set[str]:
    return {device.name for device in registry.devices(rx)}


def _report(reports: Sequence[ImportReport], known: set[str]) -> Json:
    names = [name for report in reports for name in report.devices]
    return {
        "devices": [name for name in names if name not in known],
        "known": [name for name in names if name in known],
        "ports": sum(report.ports for report in reports),
        "links": sum(report.links for report in reports),
        "pools": [pool for report in reports for pool in report.pools],
    }
