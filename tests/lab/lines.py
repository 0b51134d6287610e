"""Subscriber lines as XML for the OLT, in the shape of the Broadband Forum's models."""

from __future__ import annotations

from dataclasses import dataclass, replace

IF = "urn:ietf:params:xml:ns:yang:ietf-interfaces"
TYPES = (
    'xmlns:xift="urn:bbf:yang:bbf-xpon-if-type" xmlns:bift="urn:bbf:yang:bbf-if-type" '
    'xmlns:d="urn:bbf:yang:bbf-dot1q-types"'
)
RATES = """
<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont"><traffic-descriptor-profiles>
  <traffic-descriptor-profile><name>tdp-50m</name><maximum-bandwidth>50000000</maximum-bandwidth>
  </traffic-descriptor-profile></traffic-descriptor-profiles></xpongemtcont>
<policing-profiles xmlns="urn:bbf:yang:bbf-qos-policing"><policing-profile><name>pol-50m</name>
  <two-rate-three-color-marker><cir>0</cir><cbs>1000</cbs><pir>50000000</pir><pbs>1000</pbs>
  </two-rate-three-color-marker></policing-profile></policing-profiles>
<classifiers xmlns="urn:bbf:yang:bbf-qos-classifiers" xmlns:plc="urn:bbf:yang:bbf-qos-policing">
  <classifier-entry><name>cls-50m</name><all-packets/>
  <classifier-action-entry-cfg><action-type>plc:policing</action-type>
    <policing xmlns="urn:bbf:yang:bbf-qos-policing"><policing-profile>pol-50m</policing-profile></policing>
  </classifier-action-entry-cfg></classifier-entry></classifiers>
<policies xmlns="urn:bbf:yang:bbf-qos-policies"><policy><name>plcy-50m</name>
  <classifiers><name>cls-50m</name></classifiers></policy></policies>
<qos-policy-profiles xmlns="urn:bbf:yang:bbf-qos-policies"><policy-profile><name>qpp-50m</name>
  <policy-list><name>plcy-50m</name></policy-list></policy-profile></qos-policy-profiles>
"""


@dataclass(frozen=True)
class Line:
    """One subscriber on one PON port."""

    name: str = "1"
    pon: str = "pon1"
    onu: int = 7
    serial: str = "ABCD12345678"
    alloc: int = 1031
    gem: int = 1031
    s_vlan: int = 1001
    c_vlan: int = 101

    def other(self, **changes: object) -> Line:
        """Return a second line that collides with this one in nothing but what is given."""
        second = Line("2", self.pon, 8, "ABCD12345679", 1032, 1032, self.s_vlan, self.c_vlan + 1)
        return replace(second, **changes)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.interfaces()}{self.gemtcont()}{self.forwarder()}{self.profile()}"

    def interfaces(self) -> str:
        """Return v-ani, v-enet and both VLAN sub-interfaces."""
        return (
            f'<interfaces xmlns="{IF}" {TYPES}>'
            f"{self.v_ani()}{self.v_enet()}{self.user()}{self.net()}</interfaces>"
        )

    def v_ani(self) -> str:
        return f"""<interface><name>vani-{self.name}</name><type>xift:v-ani</type>
          <v-ani xmlns="urn:bbf:yang:bbf-xponvani"><onu-id>{self.onu}</onu-id>
          <channel-partition>cpart-{self.pon}</channel-partition>
          <expected-serial-number>{self.serial}</expected-serial-number>
          <preferred-channel-pair>cp-{self.pon}</preferred-channel-pair></v-ani></interface>"""

    def v_enet(self) -> str:
        return f"""<interface><name>venet-{self.name}</name><type>xift:olt-v-enet</type>
          <olt-v-enet xmlns="urn:bbf:yang:bbf-xponvani">
          <lower-layer-interface>vani-{self.name}</lower-layer-interface></olt-v-enet></interface>"""

    def user(self) -> str:
        tags = "".join(
            f"""<push-tag xmlns="urn:bbf:yang:bbf-sub-interface-tagging"><index>{index}</index><dot1q-tag>
            <tag-type>{kind}</tag-type><vlan-id>{vlan}</vlan-id><write-pbit-0/><write-dei-0/>
            </dot1q-tag></push-tag>"""
            for index, kind, vlan in ((0, "d:s-vlan", self.s_vlan), (1, "d:c-vlan", self.c_vlan))
        )
        return f"""<interface><name>user-{self.name}</name><type>bift:vlan-sub-interface</type>
          <subif-lower-layer xmlns="urn:bbf:yang:bbf-sub-interfaces"><interface>venet-{self.name}</interface></subif-lower-layer>
          <inline-frame-processing xmlns="urn:bbf:yang:bbf-sub-interfaces"><ingress-rule><rule><name>r1</name>
            <priority>100</priority><flexible-match><match-criteria xmlns="urn:bbf:yang:bbf-sub-interface-tagging">
            <untagged/></match-criteria></flexible-match><ingress-rewrite>{tags}</ingress-rewrite></rule></ingress-rule>
            <egress-rewrite><pop-tags xmlns="urn:bbf:yang:bbf-sub-interface-tagging">2</pop-tags></egress-rewrite>
          </inline-frame-processing>
          <subscriber-profile xmlns="urn:bbf:yang:bbf-subscriber-profiles"><profile>sub-{self.name}</profile></subscriber-profile>
          </interface>"""

    def net(self) -> str:
        tags = "".join(
            f"""<tag><index>{index}</index><dot1q-tag><tag-type>{kind}</tag-type>
            <vlan-id>{vlan}</vlan-id></dot1q-tag></tag>"""
            for index, kind, vlan in ((0, "d:s-vlan", self.s_vlan), (1, "d:c-vlan", self.c_vlan))
        )
        return f"""<interface><name>net-{self.name}</name><type>bift:vlan-sub-interface</type>
          <subif-lower-layer xmlns="urn:bbf:yang:bbf-sub-interfaces"><interface>uplink-1</interface></subif-lower-layer>
          <inline-frame-processing xmlns="urn:bbf:yang:bbf-sub-interfaces"><ingress-rule><rule><name>r1</name>
            <priority>100</priority><flexible-match>
            <match-criteria xmlns="urn:bbf:yang:bbf-sub-interface-tagging">{tags}</match-criteria>
            </flexible-match></rule></ingress-rule></inline-frame-processing></interface>"""

    def gemtcont(self) -> str:
        return f"""<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont">
          <tconts><tcont><name>tcont-{self.name}</name><alloc-id>{self.alloc}</alloc-id>
            <interface-reference>vani-{self.name}</interface-reference>
            <traffic-descriptor-profile-ref>tdp-50m</traffic-descriptor-profile-ref></tcont></tconts>
          <gemports><gemport><name>gem-{self.name}</name><gemport-id>{self.gem}</gemport-id>
            <interface>venet-{self.name}</interface><traffic-class>0</traffic-class>
            <tcont-ref>tcont-{self.name}</tcont-ref></gemport></gemports></xpongemtcont>"""

    def forwarder(self) -> str:
        return f"""<forwarding xmlns="urn:bbf:yang:bbf-l2-forwarding"><forwarders><forwarder>
          <name>fwd-{self.name}</name><ports>
          <port><name>user</name><sub-interface>user-{self.name}</sub-interface></port>
          <port><name>net</name><sub-interface>net-{self.name}</sub-interface></port>
          </ports></forwarder></forwarders></forwarding>"""

    def profile(self) -> str:
        return f"""<subscriber-profiles xmlns="urn:bbf:yang:bbf-subscriber-profiles"><subscriber-profile>
          <name>sub-{self.name}</name><circuit-id>olt-1 xpon {self.pon}:{self.onu}</circuit-id>
          </subscriber-profile></subscriber-profiles>"""

    def removal(self, *kept: str) -> str:
        """Return the edit that removes all of the line, but the objects named."""
        remove = 'nc:operation="remove"'
        interfaces = "".join(
            f"<interface {remove}><name>{kind}-{self.name}</name></interface>"
            for kind in ("vani", "venet", "user", "net")
            if kind not in kept
        )
        tcont = f"<tconts><tcont {remove}><name>tcont-{self.name}</name></tcont></tconts>"
        return (
            f'<interfaces xmlns="{IF}">{interfaces}</interfaces>'
            f'<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont">{"" if "tcont" in kept else tcont}'
            f"<gemports><gemport {remove}><name>gem-{self.name}</name></gemport></gemports></xpongemtcont>"
            f'<forwarding xmlns="urn:bbf:yang:bbf-l2-forwarding"><forwarders>'
            f"<forwarder {remove}><name>fwd-{self.name}</name></forwarder></forwarders></forwarding>"
            f'<subscriber-profiles xmlns="urn:bbf:yang:bbf-subscriber-profiles">'
            f"<subscriber-profile {remove}><name>sub-{self.name}</name></subscriber-profile></subscriber-profiles>"
        )
