"""XML dialects (NETCONF): leaves are YANG data nodes, edits are the content of `<config>` (RFC 6241 §7.2).

Steps are written as in RFC 7951: `module:name` where the module differs from the parent's, list entries with
their keys (`interface[name='si-1']`), leaf-list entries with their value (`suboptions[.='circuit-id']`),
repeated elements that the platform does not name by their place (`rule[#='2']`).
A list entry has a leaf of its own (value None); so have empty leaves and presence containers that the platform names.
Values of identities are written with their module. All knowledge of models is in `XmlSchema`, by the end of the
schema path: `interface/type` is any `type` in any `interface`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from activation.codec.base import CodecError
from activation.leaves import Leaves, Path, missing_or_changed, prefixes

_STEP = re.compile(
    r"^(?:(?P<module>[^:\[\]{}]+|\{[^}]*\}):)?(?P<name>[^\[:]+)(?P<predicates>\[.*\])?$", re.DOTALL
)
_PREDICATE = re.compile(r"\[(?P<key>[^=]+)=(?:'(?P<a>[^']*)'|\"(?P<b>[^\"]*)\")\]", re.DOTALL)
VALUE = "."
PLACE = "#"
_REMOVE = ' nc:operation="remove"'


@dataclass(frozen=True)
class XmlSchema:
    """What must be known of the models to read and write them: data of the platform.

    `namespaces`: module → namespace; `lists`: schema path end → keys; `leaf_lists`, `identities`, `presence`:
    schema path ends; `defaults`: schema path end of a leaf → its default, for parents that are list entries.
    """

    namespaces: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaf_lists: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    presence: frozenset[str] = frozenset()
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Kind:
    """What the schema says of one schema path."""

    keys: tuple[str, ...] | None
    leaf_list: bool
    identity: bool
    presence: bool
    defaults: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Node:
    """An element to be written."""

    children: dict[str, _Node] = field(default_factory=dict)
    value: str | None = None
    remove: bool = False


class XmlCodec:
    """The codec of one platform that speaks YANG-modelled XML."""

    def __init__(self, schema: XmlSchema) -> None:
        self._schema = schema
        self._modules = {uri: module for module, uri in schema.namespaces.items()}
        self._kinds: dict[Path, _Kind] = {}

    def parse(self, text: str) -> Leaves:
        """Return the leaves of the content of `<config>` or `<data>`."""
        root = _parse(text)
        leaves: Leaves = {}
        self._read_all(list(_elements(root)), (), (), "", leaves)
        return leaves

    def edits(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> tuple[str, ...]:
        """Return one edit: `remove` on the highest element that vanishes whole, everything else merged."""
        tree = _Node()
        for path in self._vanished(before, after):
            _insert(tree, path).remove = True
        for path, value in missing_or_changed(before, after).items():
            _insert(tree, path).value = value
        return (self._write(tree),) if tree.children else ()

    def text(self, leaves: Mapping[Path, str | None]) -> str:
        """Return leaves as a merge of everything."""
        tree = _Node()
        for path, value in leaves.items():
            _insert(tree, path).value = value
        return self._write(tree)

    def selection(self, paths: Iterable[Path]) -> str:
        """Return a subtree filter for the roots of these paths (RFC 6241 §6)."""
        tree = _Node()
        for root in dict.fromkeys(self.root(path) for path in paths):
            _insert(tree, root)
        return self._write(tree)

    def everything(self) -> str:
        """Return no filter."""
        return ""

    def root(self, path: Path) -> Path:
        """Return the outermost list entry, or the whole path when there is none."""
        return path[: _entry_length(path)]

    def _vanished(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> Iterator[Path]:
        alive = prefixes(after)
        seen = set()
        for path in before:
            if path in after:
                continue
            top = _highest_gone(path, alive)
            if top is not None and top not in seen:
                seen.add(top)
                yield top

    def _kind(self, schema_path: Path) -> _Kind:
        kind = self._kinds.get(schema_path)
        if kind is None:
            kind = self._kinds[schema_path] = self._look_up(schema_path)
        return kind

    def _look_up(self, path: Path) -> _Kind:
        ends = ["/".join(path[start:]) for start in range(len(path))]
        schema = self._schema
        keys = next((schema.lists[end] for end in ends if end in schema.lists), None)
        defaults = tuple(
            (name.rpartition("/")[2], value)
            for name, value in schema.defaults.items()
            if name.rpartition("/")[0] in ends
        )
        return _Kind(
            keys,
            not schema.leaf_lists.isdisjoint(ends),
            not schema.identities.isdisjoint(ends),
            not schema.presence.isdisjoint(ends),
            defaults,
        )

    def _read_all(
        self,
        elements: Sequence[Any],
        path: Path,
        schema_path: Path,
        namespace: str,
        leaves: Leaves,
    ) -> None:
        """Read siblings; what is repeated and no list that the platform knows is told apart by value or place."""
        times = Counter(element.tag for element in elements)
        place: Counter[str] = Counter()
        for element in elements:
            place[element.tag] += 1
            number = place[element.tag] if times[element.tag] > 1 else 0
            self._read(element, path, schema_path, namespace, leaves, number)

    def _read(
        self,
        element: Any,
        path: Path,
        schema_path: Path,
        namespace: str,
        leaves: Leaves,
        number: int,
    ) -> None:
        name = etree.QName(element)
        own = name.namespace or ""
        schema_path = (*schema_path, name.localname)
        kind = self._kind(schema_path)
        step = name.localname if own == namespace else f"{self._module(own)}:{name.localname}"
        if kind.keys is not None:
            self._read_entry(element, path, step, schema_path, own, leaves)
        elif kind.leaf_list or (number and not len(element)):
            leaves[*path, step + _predicate(VALUE, self._value(element, kind))] = None
        elif len(element):
            step += _predicate(PLACE, str(number)) if number else ""
            self._read_all(list(_elements(element)), (*path, step), schema_path, own, leaves)
        else:
            self._read_leaf(element, (*path, step), kind, leaves)

    def _read_leaf(self, element: Any, path: Path, kind: _Kind, leaves: Leaves) -> None:
        value = self._value(element, kind)
        if value:
            leaves[path] = value
        elif kind.presence:
            leaves[path] = None

    def _read_entry(
        self, element: Any, path: Path, step: str, schema_path: Path, own: str, leaves: Leaves
    ) -> None:
        kind = self._kind(schema_path)
        assert kind.keys is not None
        found = {etree.QName(child).localname: child for child in _elements(element)}
        if not all(key in found for key in kind.keys):
            raise CodecError(f"a list entry {step} lacks one of its keys {', '.join(kind.keys)}")
        entry = (
            *path,
            step
            + "".join(
                _predicate(key, self._value(found[key], self._kind((*schema_path, key))))
                for key in kind.keys
            ),
        )
        leaves[entry] = None
        others = [c for c in _elements(element) if etree.QName(c).localname not in kind.keys]
        self._read_all(others, entry, schema_path, own, leaves)
        for name, value in kind.defaults:
            leaves.setdefault((*entry, name), value)

    def _value(self, element: Any, kind: _Kind) -> str:
        text = (element.text or "").strip()
        if not kind.identity or not text:
            return text
        prefix, colon, name = text.rpartition(":")
        namespace = element.nsmap.get(prefix if colon else None)
        if namespace is None and prefix in self._schema.namespaces:
            return text  # devices that drop the declaration use the module's name as prefix
        return f"{self._module(namespace or '')}:{name}"

    def _module(self, namespace: str) -> str:
        return self._modules.get(namespace) or f"{{{namespace}}}"

    def _namespace(self, module: str) -> str:
        return module[1:-1] if module.startswith("{") else self._schema.namespaces[module]

    def _write(self, tree: _Node) -> str:
        lines: list[str] = []
        for step, child in tree.children.items():
            self._element(step, child, (), "", 0, lines)
        return "\n".join(lines)

    def _element(
        self, step: str, node: _Node, schema_path: Path, module: str, depth: int, lines: list[str]
    ) -> None:
        own, name, keys = split_step(step)
        own = own or module
        schema_path = (*schema_path, name)
        indent = "  " * depth
        start = name
        if own != module:
            start += f" xmlns={quoteattr(self._namespace(own))}"
        if node.remove:
            start += _REMOVE
        inner = [(key, value) for key, value in keys if key not in {VALUE, PLACE}]
        if node.children or inner:
            lines.append(f"{indent}<{start}>")
            for key, value in inner:
                lines.append(f"{indent}  {self._leaf(key, '', value, (*schema_path, key))}")
            for child, below in node.children.items():
                self._element(child, below, schema_path, own, depth + 1, lines)
            lines.append(f"{indent}</{name}>")
        else:
            text = next((value for key, value in keys if key == VALUE), node.value)
            lines.append(indent + self._leaf(name, start[len(name) :], text, schema_path))

    def _leaf(self, name: str, attributes: str, value: str | None, schema_path: Path) -> str:
        if value is None:
            return f"<{name}{attributes}/>"
        if self._kind(schema_path).identity:
            module, _, local = value.rpartition(":")
            if module.startswith("{"):
                attributes += f" xmlns:x={quoteattr(self._namespace(module))}"
                value = f"x:{local}"
            else:
                attributes += f" xmlns:{module}={quoteattr(self._namespace(module))}"
        return f"<{name}{attributes}>{escape(value)}</{name}>"


@lru_cache(maxsize=65536)
def split_step(step: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return a step's module ("" = the parent's), name, and predicates (key "." = the value itself).

    Raises:
        CodecError: it is no step.
    """
    match = _STEP.match(step)
    if match is None:
        raise CodecError(f"{step!r} is no step of a path")
    predicates = tuple(
        (found["key"], found["a"] if found["a"] is not None else found["b"])
        for found in _PREDICATE.finditer(match["predicates"] or "")
    )
    return match["module"] or "", match["name"], predicates


def _predicate(key: str, value: str) -> str:
    quote = '"' if "'" in value else "'"
    if quote in value:
        raise CodecError(f"the key {value!r} has both kinds of quotes")
    return f"[{key}={quote}{value}{quote}]"


def _parse(text: str) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, remove_comments=True, huge_tree=True
    )
    try:
        return etree.fromstring(f"<data>{text}</data>", parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise CodecError(f"not well-formed XML: {error}") from error


def _elements(parent: Any) -> Iterator[Any]:
    return (child for child in parent if isinstance(child.tag, str))


def _insert(tree: _Node, path: Path) -> _Node:
    node = tree
    for step in path:
        node = node.children.setdefault(step, _Node())
    return node


def _entry_length(path: Path) -> int:
    for length, step in enumerate(path, 1):
        if step.endswith("]"):
            return length
    return len(path)


def _highest_gone(path: Path, alive: set[Path]) -> Path | None:
    """Return the highest element, not above the outermost list entry, below which nothing stays."""
    for length in range(_entry_length(path), len(path) + 1):
        if path[:length] not in alive:
            return path[:length]
    return None
