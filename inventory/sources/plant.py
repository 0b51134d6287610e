"""Devices of a source, with their PON ports, into the registry; what the registry has already stays as it is."""

from __future__ import annotations

from inventory import instances
from inventory.devices import Device, TopologyImport, TopologyNode, import_topology
from inventory.errors import DeviceNotFound
from inventory.instances import Instance
from inventory.lineage.lifecycle import Physical
from inventory.plant.registry import CONTAINED, get, patch, ports, upsert_node
from inventory.pools import ensure_pool
from inventory.sources.errors import SourceConflict, SourceInvalid
from inventory.sources.objects import Tally, keep
from inventory.sources.port import Interface, PlantDevice, SourceOfTruth
from inventory.sources.register import Source
from inventory.sources.rules import DeviceRule, facts, filled, rule_for
from inventory.values.kinds import own_kinds, technology
from store import Database, Rx, Tx
from store.errors import TurnupError

_PON = frozenset(name for kind in own_kinds().values() if kind.per_port for name in kind.ranges)


class PlantImport:
    """The stage of an import that is about devices."""

    def __init__(
        self, database: Database, source: Source, port: SourceOfTruth, tally: Tally
    ) -> None:
        self._database, self._source, self._port, self._tally = database, source, port, tally

    def run(self) -> None:
        """Import device by device."""
        for devices in self._port.devices():
            for device in devices:
                rule = rule_for(self._source.rules.devices, facts(device))
                if rule is not None:
                    self._tally.count("records")
                    self._device(device, rule)

    def _device(self, record: PlantDevice, rule: DeviceRule) -> None:
        wanted = self._wanted(record, rule)
        if wanted is None:
            return
        interfaces = self._pon_ports(record) if rule.ports else []
        try:
            with self._database.write() as tx:
                self._register(tx, record, wanted)
                for interface in interfaces:
                    self._tally.count("ports", _put_port(tx, wanted, interface))
        except TurnupError as error:
            self._tally.refuse(error, "device", record.id)

    def _wanted(self, record: PlantDevice, rule: DeviceRule) -> Device | None:
        known = facts(record)
        platform, role = filled(rule.platform, known), filled(rule.role, known)
        given = {"name": record.name, "platform": platform, "role": role, "address": record.address}
        missing = [name for name, value in given.items() if not value]
        if missing or not (record.name and platform and role and record.address):
            self._tally.find(
                SourceInvalid.code,
                f"Device {record.name or record.id} has no {', '.join(missing)} in {self._source.name}.",
                object=f"device {record.id}",
            )
            return None
        endpoint = {"protocol": rule.protocol, "host": record.address, "port": rule.port}
        return Device(
            name=record.name,
            platform=rule.platforms.get(platform, platform),
            role=rule.roles.get(role, role),
            site=record.site,
            host=record.address,
            endpoints=({**endpoint, "username": rule.username},),
            credential_ref=rule.credential_ref,
            admin_state=rule.admin_state,
        )

    def _pon_ports(self, record: PlantDevice) -> list[Interface]:
        found = (one for page in self._port.interfaces(record.id) for one in page)
        return [one for one in found if one.type and technology(one.type) in _PON]

    def _register(self, tx: Tx, record: PlantDevice, wanted: Device) -> None:
        known = _registered(tx, wanted.name)
        if known is None:
            _import(tx, wanted, self._source)
            self._tally.created.append(wanted.name)
        elif differing := _differing(known, wanted):
            self._tally.find(
                SourceConflict.code,
                f"{wanted.name} stays as it is here; {self._source.name} has another {', '.join(differing)}.",
                object=f"device {record.id}",
            )
        keep(tx, self._source, "device", record.id, "device", details={"name": wanted.name})


def _registered(rx: Rx, name: str) -> Device | None:
    try:
        return get(rx, name)
    except DeviceNotFound:
        return None


def _differing(known: Device, wanted: Device) -> list[str]:
    return [
        name
        for name in ("host", "platform", "role")
        if getattr(known, name) != getattr(wanted, name)
    ]


def _import(tx: Tx, wanted: Device, source: Source) -> None:
    by = f"source {source.name}"
    node = TopologyNode(
        name=wanted.name,
        role=wanted.role,
        platform=wanted.platform,
        host=wanted.host,
        access=wanted.endpoints,
        labels={"site": wanted.site} if wanted.site else {},
    )
    described = TopologyImport(
        name=source.name, source=by, nodes=(node,), credential_ref=wanted.credential_ref
    )
    import_topology(tx, described)
    if wanted.admin_state != "managed":
        patch(tx, wanted.name, {"admin_state": wanted.admin_state}, by=by)


def _put_port(tx: Tx, device: Device, interface: Interface) -> int:
    """Put an access port with its pools of ids; say how many were new."""
    id_ = f"{device.name}/{interface.name}"
    known = {port.id for port in ports(tx, device.name)}
    tech = technology(interface.type or "")
    upsert_node(
        tx,
        id_,
        kind="port",
        name=interface.name,
        parent=device.name,
        role=device.role,
        technology=tech,
    )
    if id_ not in known:
        values = {"device": device.name, "technology": tech}
        new = Instance(
            id=id_,
            kind="resource",
            category="port",
            key=id_,
            name=id_,
            state=Physical.COMMISSIONED,
            characteristics=values,
            body={"@type": "PhysicalResource"},
        )
        instances.put(tx, new)
        instances.relate(tx, id_, device.name, CONTAINED)
    for kind in own_kinds().values():
        if kind.per_port:
            ensure_pool(tx, kind.name, id_, technology=tech)
    return int(id_ not in known)
