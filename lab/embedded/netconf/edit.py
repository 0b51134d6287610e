"""edit-config on a tree (RFC 6241 §7.2, RFC 7950 §7 "NETCONF edit-config operations")."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import cast

from lxml import etree

from lab.embedded.netconf.data import EMPTY, Branch, Data, Key, Listing
from lab.embedded.netconf.leaftypes import Invalid, Resolve
from lab.embedded.netconf.rpcerror import BASE, YANG, Path, RpcError
from lab.embedded.netconf.schema import Container, Leaf, LeafList, List, Node, Schema

Element = etree._Element  # noqa: SLF001


class Operation(StrEnum):
    """What happens to a node; `NONE` is the default-operation that only descends."""

    MERGE = "merge"
    REPLACE = "replace"
    CREATE = "create"
    DELETE = "delete"
    REMOVE = "remove"
    NONE = "none"


def apply(schema: Schema, base: Branch, config: Element, default: Operation) -> Branch:
    """Return `base` edited by the children of `config`.

    Raises:
        RpcError: the first thing that is wrong; `base` is untouched.
    """
    return _Editor(schema).children(schema.root, base, config, default, Path())


def elements(parent: Element) -> Iterator[Element]:
    """Yield child elements, without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))


def text_of(element: Element) -> str:
    """Return the text of a leaf without the space around it."""
    return (element.text or "").strip()


class _Editor:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def children(
        self, node: Container, base: Branch, element: Element, operation: Operation, path: Path
    ) -> Branch:
        result = dict(base.children)
        copied: set[str] = set()
        keys = node.keys if isinstance(node, List) else ()
        for child in elements(element):
            schema = self._find(node, child, path)
            if schema.name in keys:
                continue
            own = _operation(child, operation)
            at = path.child(schema.module.prefix, schema.module.namespace, schema.name)
            match schema:
                case List():
                    self._entry(schema, result, copied, child, own, at)
                case Container():
                    self._container(schema, result, child, own, at)
                case Leaf():
                    self._leaf(schema, result, child, own, at)
                case LeafList():
                    self._value(schema, result, child, own, at)
            if schema.choice and schema.name in result:
                _leave_other_cases(node, schema, result)
        return Branch(result)

    def _find(self, node: Container, element: Element, path: Path) -> Node:
        name = etree.QName(element)
        child = node.children.get(name.localname)
        if child is not None and child.module.namespace == name.namespace:
            if child.config:
                return child
            raise _unknown("unknown-element", name.localname, path, "it is operational state")
        if name.namespace not in self._schema.prefixes:
            raise RpcError(
                "unknown-namespace",
                f"namespace {name.namespace!r} of {name.localname} is not known here",
                path=path,
                info={"bad-element": name.localname, "bad-namespace": name.namespace or ""},
            )
        where = node.name or "the configuration"
        raise _unknown("unknown-element", name.localname, path, f"{where} has no such node")

    def _container(
        self, node: Container, into: dict[str, Data], element: Element, op: Operation, path: Path
    ) -> None:
        old = into.get(node.name)
        base = old if isinstance(old, Branch) else None
        if not _goes_on(op, base is not None, path, node.name):
            into.pop(node.name, None)
            return
        if op is Operation.NONE and base is None and node.presence:
            raise _missing(path, node.name)
        start = EMPTY if base is None or op is Operation.REPLACE else base
        new = self.children(node, start, element, op, path)
        if new.children or node.presence:
            into[node.name] = new
        else:
            into.pop(node.name, None)

    def _entry(
        self,
        node: List,
        into: dict[str, Data],
        copied: set[str],
        element: Element,
        op: Operation,
        path: Path,
    ) -> None:
        key = self._key(node, element, path)
        at = path.where(node.module.prefix, dict(zip(node.keys, key, strict=True)))
        entries = _own_entries(node.name, into, copied)
        base = entries.get(key)
        if not _goes_on(op, base is not None, at, node.name):
            entries.pop(key, None)
            if not entries:
                del into[node.name]
                copied.discard(node.name)
            return
        if op is Operation.NONE and base is None:
            raise _missing(at, node.name)
        fresh = base is None or op is Operation.REPLACE
        start = Branch(dict(zip(node.keys, key, strict=True))) if fresh else base
        entries[key] = self.children(node, cast("Branch", start), element, op, at)

    def _key(self, node: List, element: Element, path: Path) -> Key:
        found = {etree.QName(child).localname: child for child in elements(element)}
        return tuple(self._key_value(node, name, found.get(name), path) for name in node.keys)

    def _key_value(self, node: List, name: str, element: Element | None, path: Path) -> str:
        if element is None:
            raise RpcError(
                "missing-element",
                f"{node.name} has no key {name}",
                path=path,
                info={"bad-element": name},
            )
        leaf = cast("Leaf", node.children[name])
        return self._text(
            leaf, element, path.child(leaf.module.prefix, leaf.module.namespace, name)
        )

    def _leaf(
        self, node: Leaf, into: dict[str, Data], element: Element, op: Operation, path: Path
    ) -> None:
        exists = node.name in into
        if not _goes_on(op, exists, path, node.name):
            into.pop(node.name, None)
        elif op is not Operation.NONE:
            into[node.name] = self._text(node, element, path)
        elif not exists:
            raise _missing(path, node.name)

    def _value(
        self, node: LeafList, into: dict[str, Data], element: Element, op: Operation, path: Path
    ) -> None:
        text = self._text(node, element, path)
        old = into.get(node.name, ())
        values = old if isinstance(old, tuple) else ()
        if not _goes_on(op, text in values, path, node.name):
            values = tuple(value for value in values if value != text)
        elif op is not Operation.NONE and text not in values:
            values = (*values, text)
        into[node.name] = values
        if not values:
            del into[node.name]

    def _text(self, node: Leaf | LeafList, element: Element, path: Path) -> str:
        if any(True for _ in elements(element)):
            inner = etree.QName(next(elements(element))).localname
            raise _unknown("unknown-element", inner, path, f"{node.name} is a leaf")
        try:
            return node.type.canonical(text_of(element), self._resolver(element))
        except Invalid as error:
            raise RpcError(
                "invalid-value",
                f"{node.name}: {error}",
                path=path,
                info={"bad-element": node.name},
            ) from None

    def _resolver(self, element: Element) -> Resolve:
        return lambda prefix: self._schema.prefixes.get(element.nsmap.get(prefix) or "")


def _own_entries(name: str, into: dict[str, Data], copied: set[str]) -> dict[Key, Branch]:
    old = into.get(name)
    entries = old.entries if isinstance(old, Listing) else {}
    if name not in copied:
        entries = dict(entries)
        into[name] = Listing(entries)
        copied.add(name)
    return entries


def _goes_on(operation: Operation, exists: bool, path: Path, name: str) -> bool:
    """Say whether the node is to be set (True) or taken away."""
    match operation:
        case Operation.CREATE if exists:
            raise RpcError("data-exists", f"{name} exists already", path=path)
        case Operation.DELETE if not exists:
            raise _missing(path, name)
        case Operation.DELETE | Operation.REMOVE:
            return False
        case _:
            return True


def _operation(element: Element, inherited: Operation) -> Operation:
    for attribute in (f"{{{YANG}}}insert", f"{{{YANG}}}key", f"{{{YANG}}}value"):
        if attribute in element.attrib:
            name = etree.QName(attribute).localname
            raise RpcError(
                "unknown-attribute",
                f"attribute {name}: no list here keeps an order of the user's",
                info={"bad-attribute": name, "bad-element": etree.QName(element).localname},
            )
    given = element.get(f"{{{BASE}}}operation")
    if given is None:
        return inherited
    if given not in set(Operation) - {Operation.NONE}:
        raise RpcError(
            "bad-attribute",
            f"operation {given!r} is none of merge, replace, create, delete, remove",
            info={"bad-attribute": "operation", "bad-element": etree.QName(element).localname},
        )
    return Operation(given)


def _leave_other_cases(parent: Container, node: Node, into: dict[str, Data]) -> None:
    group = node.choice[0] if node.choice else None
    for name, other in parent.children.items():
        if other.choice and other.choice[0] == group and other.choice != node.choice:
            into.pop(name, None)


def _missing(path: Path, name: str) -> RpcError:
    return RpcError("data-missing", f"{name} does not exist", path=path)


def _unknown(tag: str, name: str, path: Path, why: str) -> RpcError:
    return RpcError(tag, f"{name}: {why}", path=path, info={"bad-element": name})
