"""An OLT with Broadband Forum models: its startup, and what its PON ports see.

Labels: `sim-pon-type` gpon | xgs-pon (default gpon), `sim-pon-ports` (default 4), `sim-uplinks`
(names, comma separated; default uplink-1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.embedded.device import NodeContext, Simulator
from lab.embedded.netconf.data import EMPTY, Branch, Data, Listing, merge
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.schema import Schema, load
from lab.embedded.pon import Line, PonPlant, PonPort, Tags

SCHEMA = Path(__file__).with_name("bbf-olt.yaml")
TYPES = {"gpon": "gpon", "xgs-pon": "xgs"}
V_ANI = "bbf-xponift:v-ani"
UP = "bbf-xpon-onu-types:onu-present-and-on-intended-channel-termination"
DOWN = "bbf-xpon-onu-types:onu-not-present"

NAMESPACES = (
    'xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces" '
    'xmlns:xift="urn:bbf:yang:bbf-xpon-if-type" xmlns:xt="urn:bbf:yang:bbf-xpon-types" '
    'xmlns:ianaift="urn:ietf:params:xml:ns:yang:iana-if-type"'
)
PON = """
<interface><name>cg-{port}</name><type>xift:channel-group</type>
  <channel-group xmlns="urn:bbf:yang:bbf-xpon"><system-id>{number:05X}</system-id></channel-group></interface>
<interface><name>cpart-{port}</name><type>xift:channel-partition</type>
  <channel-partition xmlns="urn:bbf:yang:bbf-xpon"><channel-group-ref>cg-{port}</channel-group-ref>
    <channel-partition-index>0</channel-partition-index><downstream-fec>true</downstream-fec></channel-partition></interface>
<interface><name>cp-{port}</name><type>xift:channel-pair</type>
  <channel-pair xmlns="urn:bbf:yang:bbf-xpon"><channel-group-ref>cg-{port}</channel-group-ref>
    <channel-partition-ref>cpart-{port}</channel-partition-ref><channel-pair-type>xt:{kind}</channel-pair-type></channel-pair></interface>
<interface><name>ct-{port}</name><type>xift:channel-termination</type>
  <channel-termination xmlns="urn:bbf:yang:bbf-xpon"><channel-pair-ref>cp-{port}</channel-pair-ref>
    <channel-termination-type>xt:{kind}</channel-termination-type>{pon_id}</channel-termination></interface>
"""
PON_ID = {
    "gpon": "<gpon-pon-id>{number:014X}</gpon-pon-id>",
    "xgs": "<xgs-pon-id>{number}</xgs-pon-id>",
}
UPLINK = "<interface><name>{name}</name><type>ianaift:ethernetCsmacd</type></interface>"
RELAY = """
<l2-dhcpv4-relay-profiles xmlns="urn:bbf:yang:bbf-l2-dhcpv4-relay"><l2-dhcpv4-relay-profile><name>d4r</name>
  <option82-format><suboptions>circuit-id</suboptions><suboptions>remote-id</suboptions></option82-format>
</l2-dhcpv4-relay-profile></l2-dhcpv4-relay-profiles>
"""


def build(context: NodeContext) -> Simulator:
    """Return the OLT."""
    return NetconfDevice(context, BbfOlt(context))


class BbfOlt:
    """The model: configuration from and to the fibre plant."""

    def __init__(self, context: NodeContext) -> None:
        self.schema: Schema = load(SCHEMA)
        self._name = context.name
        self._labels = context.labels
        self._plant: PonPlant = context.pon

    def factory_startup(self) -> str:
        """Return PON ports, uplinks and the relay profile; nothing that is sold."""
        kind = TYPES[self._labels.get("sim-pon-type", "gpon")]
        ports = range(1, int(self._labels.get("sim-pon-ports", "4")) + 1)
        pons = "".join(_pon(number, kind) for number in ports)
        uplinks = self._labels.get("sim-uplinks", "uplink-1").split(",")
        ups = "".join(UPLINK.format(name=name.strip()) for name in uplinks)
        return f"<interfaces {NAMESPACES}>{pons}{ups}</interfaces>{RELAY}"

    def running(self, tree: Branch) -> None:
        """Tell the fibre plant which ONTs are expected where, and their tags."""
        self._plant.provision(self._name, lines(self._name, tree), lambda: carried(tree))

    def state(self, tree: Branch) -> Branch:
        """Return interfaces-state: which ONT is seen, with its power at the OLT in dBm."""
        interfaces = tree.branch("interfaces").listing("interface").entries
        seen = {key: self._interface(key[0], entry, tree) for key, entry in interfaces.items()}
        return Branch({"interfaces-state": Branch({"interface": Listing(seen)})}) if seen else EMPTY

    def _interface(self, name: str, entry: Branch, tree: Branch) -> Branch:
        kind = entry.leaf("type") or ""
        base = Branch({"name": name, "type": kind, "oper-status": "up"})
        serial = entry.branch("v-ani").leaf("expected-serial-number")
        if kind != V_ANI or serial is None:
            return base
        up = self._plant.is_up(serial)
        shown: dict[str, Data] = {"onu-presence-state": UP if up else DOWN}
        if up:
            shown.update(self._present(serial, entry.branch("v-ani"), tree))
        status = Branch({"oper-status": "up" if up else "down", "v-ani": Branch(shown)})
        return merge(base, status)

    def _present(self, serial: str, v_ani: Branch, tree: Branch) -> Iterator[tuple[str, Data]]:
        pair = v_ani.leaf("preferred-channel-pair") or ""
        yield (
            "onu-present-on-this-olt",
            Branch(
                {
                    "onu-present-on-this-channel-pair": pair,
                    "onu-present-on-this-channel-termination": _termination(pair, tree) or "",
                    "detected-serial-number": serial,
                }
            ),
        )
        if onu_id := v_ani.leaf("onu-id"):
            yield "onu-id", onu_id
        if (power := self._plant.received_power(serial)) is not None:
            yield "received-power", f"{power:.1f}"


def _pon(number: int, kind: str) -> str:
    pon_id = PON_ID[kind].format(number=number)
    return PON.format(port=f"pon{number}", number=number, kind=kind, pon_id=pon_id)


def _termination(pair: str, tree: Branch) -> str | None:
    for (name,), entry in tree.branch("interfaces").listing("interface").entries.items():
        if entry.branch("channel-termination").leaf("channel-pair-ref") == pair:
            return name
    return None


def lines(olt: str, tree: Branch) -> Iterator[Line]:
    """Yield the line of every v-ani; its port is told by its channel partition."""
    for (name,), entry in tree.branch("interfaces").listing("interface").entries.items():
        v_ani = entry.branch("v-ani")
        serial, partition = v_ani.leaf("expected-serial-number"), v_ani.leaf("channel-partition")
        if serial and partition:
            yield Line(serial, PonPort(olt, partition.removeprefix("cpart-")), name)


def carried(tree: Branch) -> dict[Tags, str]:
    """Follow each 1:1 forwarder from the tags of its network side to the ONT of its user side."""
    return {tags: serial for serial, pairs in _forwarded(tree) for tags in pairs}


def _forwarded(tree: Branch) -> Iterator[tuple[str, list[Tags]]]:
    interfaces = tree.branch("interfaces").listing("interface").entries
    for forwarder in tree.at("forwarding", "forwarders").listing("forwarder").entries.values():
        ports = forwarder.branch("ports").listing("port").entries.values()
        sides = [interfaces.get((port.leaf("sub-interface") or "",), EMPTY) for port in ports]
        pairs = [pair for side in sides for pair in _matched(side)]
        for side in sides:
            lower = side.branch("subif-lower-layer").leaf("interface") or ""
            v_enet = interfaces.get((lower,), EMPTY).branch("olt-v-enet")
            v_ani = interfaces.get((v_enet.leaf("lower-layer-interface") or "",), EMPTY)
            if serial := v_ani.branch("v-ani").leaf("expected-serial-number"):
                yield serial, pairs


def _matched(side: Branch) -> Iterator[Tags]:
    rules = side.at("inline-frame-processing", "ingress-rule").listing("rule").entries
    for rule in rules.values():
        tags = rule.at("flexible-match", "match-criteria").listing("tag").entries
        found = [tags.get((index,), EMPTY).branch("dot1q-tag").leaf("vlan-id") for index in "01"]
        if all(text and text.isdigit() for text in found):
            yield int(found[0] or 0), int(found[1] or 0)
