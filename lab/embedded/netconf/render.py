"""Trees as XML text, and subtree filters (RFC 6241 §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape

from lxml import etree

from lab.embedded.netconf.data import EMPTY, Branch, Data, Key, Listing
from lab.embedded.netconf.edit import Element, elements, text_of
from lab.embedded.netconf.leaftypes import Identity, Invalid, LeafType, Union
from lab.embedded.netconf.schema import Container, Leaf, LeafList, List, Node, Schema


def to_xml(schema: Schema, tree: Branch) -> str:
    """Return the children of `<data>` or `<config>`; every change of namespace is declared."""
    return "".join(_children(schema, schema.root, tree, ""))


def _children(schema: Schema, node: Container, branch: Branch, outer: str) -> Iterator[str]:
    for name, value in branch.children.items():
        child = node.children[name]
        namespace = child.module.namespace
        declared = f' xmlns="{namespace}"' if namespace != outer else ""
        yield from _node(schema, child, value, declared)


def _node(schema: Schema, node: Node, value: Data, declared: str) -> Iterator[str]:
    match node, value:
        case List(), Listing():
            for entry in value.entries.values():
                yield from _element(schema, node, entry, declared)
        case Container(), Branch():
            yield from _element(schema, node, value, declared)
        case LeafList(), tuple():
            for text in value:
                yield _leaf(schema, node, text, declared)
        case Leaf(), str():
            yield _leaf(schema, node, value, declared)


def _element(schema: Schema, node: Container, branch: Branch, declared: str) -> Iterator[str]:
    yield f"<{node.name}{declared}>"
    yield from _children(schema, node, branch, node.module.namespace)
    yield f"</{node.name}>"


def _leaf(schema: Schema, node: Leaf | LeafList, text: str, declared: str) -> str:
    if not text:
        return f"<{node.name}{declared}/>"
    prefix, colon, _ = text.partition(":")
    if colon and is_identity(node.type, text):
        declared += f' xmlns:{prefix}="{schema.namespace(prefix)}"'
    return f"<{node.name}{declared}>{escape(text)}</{node.name}>"


def is_identity(kind: LeafType, text: str) -> bool:
    """Say whether `text` is a value of an identityref (its prefix then needs a declaration)."""
    match kind:
        case Identity():
            return text in kind.values
        case Union():
            return any(is_identity(member, text) for member in kind.members)
        case _:
            return False


def select(schema: Schema, tree: Branch, filters: Element) -> Branch:
    """Return what the children of `<filter>` select; nothing when there are none (§6.4.2)."""
    return _Selector(schema).branch(schema.root, tree, filters) or EMPTY


class _Selector:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def branch(self, node: Container, branch: Branch, wanted: Element) -> Branch | None:
        """Select within a container or entry; None: a content match fails."""
        matches, others = _split(wanted)
        if not all(self._matches(node, branch, match) for match in matches):
            return None
        if matches and not others:
            return branch
        result: dict[str, Data] = {}
        keys = node.keys if isinstance(node, List) else ()
        for name in (*keys, *(etree.QName(match).localname for match in matches)):
            if name in branch.children:
                result[name] = branch.children[name]
        for other in others:
            self._add(node, branch, other, result)
        return Branch(result)

    def _matches(self, node: Container, branch: Branch, wanted: Element) -> bool:
        child = _find(node, wanted)
        match child, branch.children.get(child.name) if child else None:
            case Leaf() as leaf, str() as value:
                return self._canonical(leaf, wanted) == value
            case LeafList() as leaf, tuple() as values:
                return self._canonical(leaf, wanted) in values
            case _:
                return False

    def _canonical(self, leaf: Leaf | LeafList, wanted: Element) -> str | None:
        prefixes = self._schema.prefixes
        try:
            return leaf.type.canonical(
                text_of(wanted), lambda prefix: prefixes.get(wanted.nsmap.get(prefix) or "")
            )
        except Invalid:
            return None

    def _add(
        self, node: Container, branch: Branch, wanted: Element, result: dict[str, Data]
    ) -> None:
        child = _find(node, wanted)
        if child is None or child.name not in branch.children:
            return
        chosen = self._chosen(child, branch.children[child.name], wanted)
        if chosen is not None:
            result[child.name] = _united(result.get(child.name), chosen)

    def _chosen(self, node: Node, value: Data, wanted: Element) -> Data | None:
        if next(elements(wanted), None) is None:
            return value
        match node, value:
            case List(), Listing():
                return self._entries(node, value, wanted)
            case Container(), Branch():
                return self.branch(node, value, wanted)
            case _:
                return None

    def _entries(self, node: List, listing: Listing, wanted: Element) -> Listing | None:
        chosen = {}
        for key, entry in self._candidates(node, listing, wanted):
            found = self.branch(node, entry, wanted)
            if found is not None:
                chosen[key] = found
        return Listing(chosen) if chosen else None

    def _candidates(
        self, node: List, listing: Listing, wanted: Element
    ) -> Iterable[tuple[Key, Branch]]:
        """All keys given: one look-up instead of a walk over thousands of entries."""
        texts = {etree.QName(child).localname: child for child in _split(wanted)[0]}
        if not all(name in texts for name in node.keys):
            return listing.entries.items()
        leaves = (node.children[name] for name in node.keys)
        key = tuple(
            self._canonical(leaf, texts[leaf.name]) or ""
            for leaf in leaves
            if isinstance(leaf, Leaf)
        )
        return [(key, listing.entries[key])] if key in listing.entries else []


def _split(wanted: Element) -> tuple[list[Element], list[Element]]:
    """Content match nodes and the others."""
    children = list(elements(wanted))
    matches = [child for child in children if text_of(child) and not len(child)]
    return matches, [child for child in children if child not in matches]


def _find(node: Container, wanted: Element) -> Node | None:
    name = etree.QName(wanted)
    child = node.children.get(name.localname)
    if child is None or name.namespace in {None, child.module.namespace}:
        return child
    return None


def _united(old: Data | None, new: Data) -> Data:
    match old, new:
        case Branch(), Branch():
            children = dict(old.children)
            for name, value in new.children.items():
                children[name] = _united(children.get(name), value)
            return Branch(children)
        case Listing(), Listing():
            entries = dict(old.entries)
            for key, entry in new.entries.items():
                united = _united(entries.get(key), entry)
                entries[key] = united if isinstance(united, Branch) else entry
            return Listing(entries)
        case _:
            return new
