"""A model as data: which nodes there are, of what type, and which rules hold between them.

A model file has `modules` (prefix -> namespace, module, revision), `types`, `tree` and `rules`.
Keys of the tree are node names: `name` in the parent's module or `prefix:name`; `name!` is
mandatory; `name[k1 k2]` a list with its keys; `name[]` a leaf-list. A value that is text is the
leaf's type; a mapping is a container, list, or (with `_type` or `_ref`) a leaf. Directives:

_type, _ref, _is   type of the leaf; object type that it refers to; value its `type` leaf must have
_when              {sibling leaf: [values]}: the node may only exist then
_choice            `group/case`: exclusive with nodes of the group's other cases
_need              groups and leaves of which one must be present (mandatory choice)
_object            name of the object type that entries of this list are
_min, _max         number of entries
_presence, _state  container that means something by itself; node is operational state
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lab.embedded.netconf.leaftypes import LeafType, define

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Module:
    """A YANG module as the hello announces it."""

    prefix: str
    namespace: str
    name: str
    revision: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A leafref to the key of an object; `kinds` restricts the object's `type` leaf."""

    target: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """What all schema nodes have."""

    name: str
    module: Module
    config: bool
    when: tuple[tuple[str, tuple[str, ...]], ...]
    choice: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Leaf(Node):
    """One value."""

    type: LeafType
    mandatory: bool = False
    ref: Ref | None = None


@dataclass(frozen=True, slots=True)
class LeafList(Node):
    """Several different values."""

    type: LeafType


@dataclass(frozen=True, slots=True)
class Container(Node):
    """A container; without presence it exists always."""

    children: Mapping[str, Node] = field(default_factory=dict)
    need: tuple[str, ...] = ()
    presence: bool = False


@dataclass(frozen=True, slots=True)
class List(Container):
    """A list; `object` names what its entries are to references and rules."""

    keys: tuple[str, ...] = ()
    object: str | None = None
    limits: tuple[int, int | None] = (0, None)


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A list whose entries are referred to: where it is and which nodes lead there."""

    name: str
    path: tuple[str, ...]
    list: List
    parents: tuple[Container, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """A whole model."""

    root: Container
    modules: tuple[Module, ...]
    objects: Mapping[str, ObjectType]
    rules: tuple[Mapping[str, Any], ...]
    prefixes: Mapping[str, str]
    """namespace -> our prefix"""

    def namespace(self, prefix: str) -> str:
        """Return the namespace of one of our prefixes."""
        return next(m.namespace for m in self.modules if m.prefix == prefix)


@cache
def load(file: Path) -> Schema:
    """Return the model in `file` (read once per process)."""
    raw = yaml.load(file.read_text(), Loader)  # noqa: S506
    modules = {prefix: Module(prefix, *spec) for prefix, spec in raw["modules"].items()}
    maker = _Maker(modules, define(raw.get("types", {})))
    root = maker.root(raw["tree"])
    objects = {found.name: found for found in _objects(root, (), ())}
    prefixes = {module.namespace: module.prefix for module in modules.values()}
    rules = tuple(raw.get("rules", ()))
    return Schema(root, tuple(modules.values()), objects, rules, prefixes)


def _objects(
    node: Container, path: tuple[str, ...], parents: tuple[Container, ...]
) -> Iterator[ObjectType]:
    for child in node.children.values():
        if isinstance(child, List) and child.object:
            yield ObjectType(child.object, (*path, child.name), child, parents)
        elif isinstance(child, Container) and not isinstance(child, List):
            yield from _objects(child, (*path, child.name), (*parents, child))


_NAME = re.compile(r"(?:(?P<prefix>[\w-]+):)?(?P<name>[\w.-]+)(?P<bang>!)?(?P<keys>\[[^]]*\])?")


class _Maker:
    def __init__(self, modules: Mapping[str, Module], types: Mapping[str, LeafType]) -> None:
        self._modules = modules
        self._types = types

    def root(self, tree: Mapping[str, Any]) -> Container:
        nowhere = Module("", "", "", "")
        children = self._children(tree, nowhere, config=True)
        return Container("", nowhere, True, (), None, children=children)

    def _children(
        self, spec: Mapping[str, Any], module: Module, *, config: bool
    ) -> dict[str, Node]:
        nodes = (
            self._node(key, value, module, config)
            for key, value in spec.items()
            if not key.startswith("_")
        )
        return {node.name: node for node in nodes}

    def _node(self, key: str, spec: Any, parent: Module, config: bool) -> Node:
        parts = _NAME.fullmatch(key)
        if parts is None:
            raise ValueError(f"{key!r} is no node name")
        module = self._modules[parts["prefix"]] if parts["prefix"] else parent
        options: dict[str, Any] = {"_type": spec} if isinstance(spec, str) else dict(spec or {})
        config = config and not options.get("_state", False)
        base = Node(parts["name"], module, config, _when(options), _choice(options))
        if "_type" in options or "_ref" in options:
            return self._leaf(base, parts, options)
        return self._inner(base, parts["keys"], options)

    def _inner(self, base: Node, keys: str | None, options: Mapping[str, Any]) -> Node:
        children = self._children(options, base.module, config=base.config)
        need = tuple(options.get("_need", ()))
        common = (base.name, base.module, base.config, base.when, base.choice, children, need)
        if keys is None:
            return Container(*common, presence=bool(options.get("_presence", False)))
        return List(
            *common,
            keys=tuple(keys[1:-1].split()),
            object=options.get("_object"),
            limits=(options.get("_min", 0), options.get("_max")),
        )

    def _leaf(self, base: Node, parts: re.Match[str], options: Mapping[str, Any]) -> Node:
        common = (base.name, base.module, base.config, base.when, base.choice)
        kind = self._types[options.get("_type", "string")]
        if parts["keys"] is not None:
            return LeafList(*common, kind)
        ref = Ref(options["_ref"], _texts(options.get("_is"))) if "_ref" in options else None
        return Leaf(*common, kind, bool(parts["bang"]), ref)


def _when(options: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((leaf, _texts(values)) for leaf, values in options.get("_when", {}).items())


def _choice(options: Mapping[str, Any]) -> tuple[str, str] | None:
    group, _, case = options.get("_choice", "").partition("/")
    return (group, case) if group else None


def _texts(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
