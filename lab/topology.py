"""A containerlab topology file as a frozen model.

Only what the lab needs is read; unknown keys are accepted (containerlab's own schema refuses 14 of
its 96 examples). Node settings are inherited node > group > kind > defaults, labels key by key.
``${VAR}`` and ``${VAR:=default}`` are expanded before the YAML is read.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError

EXTERNAL = "external"
_VARIABLE = re.compile(
    r"\$\{(?P<name>[A-Za-z_]\w*)(?::?[=-](?P<default>[^}]*))?\}|\$(?P<bare>[A-Z_]\w*)"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Node:
    """One node; `role` is the label sim-role, `model` sim-model; without them it is external."""

    name: str
    kind: str
    group: str | None
    labels: Mapping[str, str]

    @property
    def role(self) -> str:
        """Return the role in the network."""
        return self.labels.get("sim-role", EXTERNAL)

    @property
    def model(self) -> str:
        """Return the simulator's model; '' when the node asks for none."""
        return self.labels.get("sim-model", "")


@dataclass(frozen=True, slots=True)
class Link:
    """Two interfaces, each a (node, interface) pair."""

    a: tuple[str, str]
    b: tuple[str, str]
    vars: Mapping[str, str] = field(default_factory=dict)

    def ends(self) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """Yield (this end, other end) both ways."""
        yield self.a, self.b
        yield self.b, self.a


@dataclass(frozen=True, slots=True)
class Topology:
    """A whole file; `digest` is that of its expanded text."""

    name: str
    file: Path
    digest: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    _by_name: Mapping[str, Node] = field(repr=False, compare=False)
    _peers: Mapping[str, Sequence[tuple[str, str, str]]] = field(repr=False, compare=False)

    def node(self, name: str) -> Node:
        """Return the node of that name.

        Raises:
            LabError: NODE_UNKNOWN.
        """
        if name not in self._by_name:
            raise LabError("NODE_UNKNOWN", f"lab {self.name} has no node {name!r}")
        return self._by_name[name]

    def peers(self, name: str) -> Sequence[tuple[str, str, str]]:
        """Return (own interface, peer, peer's interface) of every link of a node."""
        return self._peers.get(name, ())


def load(file: Path, environment: Mapping[str, str] = os.environ) -> Topology:
    """Read a topology file.

    Raises:
        LabError: TOPOLOGY_NOT_FOUND, TOPOLOGY_INVALID.
    """
    try:
        text = _expand(file.read_text(encoding="utf-8"), environment)
    except OSError as error:
        raise LabError("TOPOLOGY_NOT_FOUND", f"{file}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise LabError("TOPOLOGY_INVALID", f"{file} is no text in UTF-8: {error.reason}") from None
    try:
        raw = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        raise LabError("TOPOLOGY_INVALID", f"{file} is not YAML: {error}") from None
    try:
        return _topology(raw, file, hashlib.sha256(text.encode()).hexdigest())
    except (TypeError, AttributeError, KeyError, ValueError) as error:
        raise LabError("TOPOLOGY_INVALID", f"{file}: {error}") from None


def _expand(text: str, environment: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["name"] or match["bare"]
        return environment.get(name) or match["default"] or ""

    return _VARIABLE.sub(value, text)


def _topology(raw: Any, file: Path, digest: str) -> Topology:
    if not isinstance(raw, dict) or not isinstance(raw.get("topology"), dict):
        raise TypeError("not a topology: `name` and `topology` are needed at the top")
    inner = raw["topology"]
    nodes = tuple(
        _node(name, spec or {}, inner) for name, spec in (inner.get("nodes") or {}).items()
    )
    names = {node.name for node in nodes}
    links = tuple(link for spec in inner.get("links") or () if (link := _link(spec, names)))
    name = str(raw.get("name") or file.name.split(".", maxsplit=1)[0])
    if not _NAME.fullmatch(name):
        raise ValueError(f"name {name!r} must be letters, digits, dots and dashes")
    by_name = {node.name: node for node in nodes}
    return Topology(name, file.resolve(), digest, nodes, links, by_name, _peers(links))


def _peers(links: Iterable[Link]) -> Mapping[str, Sequence[tuple[str, str, str]]]:
    peers: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for link in links:
        for (node, port), (peer, peer_port) in link.ends():
            peers[node].append((port, peer, peer_port))
    return peers


def _node(name: str, spec: Mapping[str, Any], inner: Mapping[str, Any]) -> Node:
    if not _NAME.fullmatch(str(name)):
        raise ValueError(f"node name {name!r} must be letters, digits, dots and dashes")
    defaults = inner.get("defaults") or {}
    group_name = spec.get("group")
    group = (inner.get("groups") or {}).get(group_name) or {}
    kind = spec.get("kind") or group.get("kind") or defaults.get("kind") or ""
    by_kind = (inner.get("kinds") or {}).get(kind) or {}
    labels: dict[str, str] = {}
    for layer in (defaults, by_kind, group, spec):
        labels.update({key: str(value) for key, value in (layer.get("labels") or {}).items()})
    return Node(str(name), str(kind), group_name and str(group_name), labels)


def _link(spec: Mapping[str, Any], names: set[str]) -> Link | None:
    """Links between two nodes; those to a host, bridge or tunnel concern no simulator."""
    ends = [_end(end) for end in spec.get("endpoints") or ()]
    known = [end for end in ends if end and end[0] in names]
    if len(ends) != 2 or len(known) != 2:  # noqa: PLR2004
        _refuse_dangling(ends, names)
        return None
    variables = {key: str(value) for key, value in (spec.get("vars") or {}).items()}
    return Link(known[0], known[1], variables)


NOT_NODES = {"host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy"}


def _refuse_dangling(ends: list[tuple[str, str] | None], names: set[str]) -> None:
    for end in ends:
        if end and end[0] not in names | NOT_NODES:
            raise ValueError(f"link endpoint {end[0]}:{end[1]} names no node of the file")


def _end(end: Any) -> tuple[str, str] | None:
    if isinstance(end, dict):
        return str(end.get("node")), str(end.get("interface"))
    node, colon, port = str(end).partition(":")
    return (node, port) if colon else None
