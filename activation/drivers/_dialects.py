"""How the in-memory device understands native text: XML edits, CLI lines, REST calls. For tests, no real device.

A dialect is pure: it turns running text and an edit into new running text, or refuses with `Refusal`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from lxml import etree

from activation.drivers.base import DeviceMessage

NC = "urn:ietf:params:xml:ns:netconf:base:1.0"
_OPERATION = f"{{{NC}}}operation"


class Refusal(Exception):
    """The device does not take an edit."""

    def __init__(self, tag: str, text: str, path: str | None = None) -> None:
        super().__init__(text)
        self.message = DeviceMessage(tag, text, path)


class Dialect(Protocol):
    """Native text semantics of one kind of device."""

    def apply(self, running: str, edit: str) -> str:
        """Return running after `edit`, or raise Refusal."""
        ...

    def select(self, running: str, selection: str) -> str:
        """Return what a read with `selection` answers."""
        ...


@dataclass(frozen=True, slots=True)
class XmlDialect:
    """edit-config and subtree filters of RFC 6241 §6, §7.2; running is the content of `<data>`.

    `keys`: list element → its key leaf; an element with a child of that name is a list entry. `default_key`
    is for those not named.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    default_key: str = "name"

    def apply(self, running: str, edit: str) -> str:
        root, change = _parse(running), _parse(edit)
        emptied: list[etree._Element] = []
        self._merge(root, change, emptied)
        for container in emptied:
            _prune(container)
        return _content(root)

    def select(self, running: str, selection: str) -> str:
        root = _parse(running)
        if not selection.strip():
            return _content(root)
        answer = etree.Element("data")
        for wanted in _parse(selection):
            for node in root.findall(wanted.tag):
                _append(answer, self._filtered(node, wanted))
        return _content(answer)

    def _merge(
        self, target: etree._Element, change: etree._Element, emptied: list[etree._Element]
    ) -> None:
        for node in _elements(change):
            found = self._find(target, node)
            operation = node.get(_OPERATION, "merge")
            if operation in {"delete", "remove"}:
                emptied += _remove(found, node, must_exist=operation == "delete")
            elif operation == "create" and found is not None:
                raise Refusal("data-exists", f"{_local(node)} exists already", f"/{_local(node)}")
            elif found is None or operation == "replace":
                _put(target, found, node)
            else:
                self._merge_into(found, node, emptied)

    def _merge_into(
        self, found: etree._Element, node: etree._Element, emptied: list[etree._Element]
    ) -> None:
        if len(node) == 0:
            found.text = node.text
        else:
            self._merge(found, node, emptied)

    def _find(self, target: etree._Element, node: etree._Element) -> etree._Element | None:
        same = target.findall(node.tag)
        key = self._key(node)
        if key is None:
            return same[0] if same else None
        return next((entry for entry in same if self._key(entry) == key), None)

    def _key(self, node: etree._Element) -> str | None:
        name = self.keys.get(_local(node), self.default_key)
        return next((_text(child) for child in _elements(node) if _local(child) == name), None)

    def _filtered(self, node: etree._Element, wanted: etree._Element) -> etree._Element | None:
        if len(wanted) == 0 and not _text(wanted):
            return _copy(node)
        matches = [w for w in _elements(wanted) if len(w) == 0 and _text(w)]
        if not all(any(_same(child, w) for child in node) for w in matches):
            return None
        others = [w for w in _elements(wanted) if w not in matches]
        if not others and matches:
            return _copy(node)
        return self._picked(node, matches, others)

    def _picked(
        self, node: etree._Element, matches: list[etree._Element], others: list[etree._Element]
    ) -> etree._Element | None:
        answer = etree.Element(node.tag, nsmap=cast("Mapping[str, str]", node.nsmap))
        for child in _elements(node):
            if any(_same(child, w) for w in matches):
                _append(answer, _copy(child))
            for w in others:
                if w.tag == child.tag:
                    _append(answer, self._filtered(child, w))
        return answer if len(answer) else None


def _parse(content: str) -> etree._Element:
    try:
        parser = etree.XMLParser(remove_blank_text=True, resolve_entities=False)
        return etree.fromstring(f'<data xmlns:nc="{NC}">{content}</data>', parser)
    except etree.XMLSyntaxError as error:
        raise Refusal("malformed-message", str(error)) from error


def _content(root: etree._Element) -> str:
    etree.cleanup_namespaces(root, keep_ns_prefixes=["nc"])
    return "".join(etree.tostring(node, encoding="unicode", with_tail=False) for node in root)


def _elements(node: etree._Element) -> Iterator[etree._Element]:
    return (child for child in node if isinstance(child.tag, str))


def _local(node: etree._Element) -> str:
    return etree.QName(node).localname


def _text(node: etree._Element) -> str:
    return (node.text or "").strip()


def _same(node: etree._Element, wanted: etree._Element) -> bool:
    return node.tag == wanted.tag and _text(node) == _text(wanted)


def _copy(node: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(node, with_tail=False))


def _append(parent: etree._Element, child: etree._Element | None) -> None:
    if child is not None:
        parent.append(child)


def _put(target: etree._Element, found: etree._Element | None, node: etree._Element) -> None:
    fresh = _copy(node)
    for inner in [*fresh.iter()]:
        if inner.get(_OPERATION) == "remove" and (parent := inner.getparent()) is not None:
            parent.remove(inner)
        elif _OPERATION in inner.attrib:
            del inner.attrib[_OPERATION]
    if found is not None:
        target.replace(found, fresh)
    else:
        target.append(fresh)


def _remove(
    found: etree._Element | None, node: etree._Element, *, must_exist: bool
) -> list[etree._Element]:
    """Remove an element and return its parent, which may be empty now; later parts of the edit may fill it again."""
    if found is None:
        if must_exist:
            raise Refusal("data-missing", f"{_local(node)} does not exist", f"/{_local(node)}")
        return []
    parent = found.getparent()
    assert parent is not None
    parent.remove(found)
    return [parent]


def _prune(node: etree._Element) -> None:
    """Remove containers that are empty (non-presence containers, RFC 7950 §7.5)."""
    parent = node.getparent()
    if parent is not None and len(node) == 0:
        parent.remove(node)
        _prune(parent)


@dataclass(frozen=True, slots=True)
class LineDialect:
    """CLI lines in sections: a line that starts with one of `openers` enters a section, `no X` removes X.

    `single`: commands of which a section keeps only the last (`switchport mode ...`).
    """

    openers: tuple[str, ...] = ("interface ", "vlan ", "vrf ")
    single: tuple[str, ...] = ("switchport mode", "name", "description")

    def apply(self, running: str, edit: str) -> str:
        sections = self._load(running)
        here = ""
        for line in filter(None, (raw.strip() for raw in edit.splitlines())):
            here = self._line(sections, here, line)
        return _cli_text(sections)

    def select(self, running: str, selection: str) -> str:
        del selection
        return running

    def _load(self, running: str) -> dict[str, list[str]]:
        sections: dict[str, list[str]] = {"": []}
        here = ""
        for raw in running.splitlines():
            here = self._line(sections, here if raw.startswith(" ") else "", raw.strip())
        return sections

    def _line(self, sections: dict[str, list[str]], here: str, line: str) -> str:
        if line in {"", "!", "exit", "end"}:
            return ""
        if line.startswith("%"):
            raise Refusal("1002", f"CLI command: '{line}': Invalid input")
        body = line.removeprefix("no ")
        if self._opens(body):
            return self._section(sections, body, gone=body != line)
        self._set(sections.setdefault(here, []), body, gone=body != line)
        return here

    def _opens(self, line: str) -> bool:
        return line.startswith(self.openers)

    def _section(self, sections: dict[str, list[str]], name: str, *, gone: bool) -> str:
        if gone:
            sections.pop(name, None)
            return ""
        sections.setdefault(name, [])
        return name

    def _set(self, lines: list[str], body: str, *, gone: bool) -> None:
        verb = next((s for s in self.single if body.startswith(s)), None)
        lines[:] = [line for line in lines if line != body and not (verb and line.startswith(verb))]
        if not gone:
            lines.append(body)


def _cli_text(sections: Mapping[str, list[str]]) -> str:
    text = [*sorted(sections.get("", []))]
    for name in sorted(filter(None, sections)):
        text += [name, *(f"   {line}" for line in sections[name])]
    return "\n".join(text)


class RestDialect:
    """`{"method", "path", "body"}` over a JSON object path → body; PATCH merges (RFC 7396)."""

    def apply(self, running: str, edit: str) -> str:
        store: dict[str, Any] = json.loads(running or "{}")
        call = _call(edit)
        path, body = str(call["path"]), call.get("body")
        match call["method"]:
            case "PUT":
                store[path] = body
            case "PATCH" if path in store:
                store[path] = _merge_patch(store[path], body)
            case "PATCH":
                raise Refusal("404", "there is nothing to change", path)
            case "DELETE":
                store.pop(path, None)
            case other:
                raise Refusal("405", f"no method {other}", path)
        return json.dumps(store, sort_keys=True)

    def select(self, running: str, selection: str) -> str:
        store: dict[str, Any] = json.loads(running or "{}")
        paths = json.loads(selection) if selection.strip() else sorted(store)
        return json.dumps({path: store.get(path) for path in paths}, sort_keys=True)


def _call(edit: str) -> dict[str, Any]:
    try:
        call: dict[str, Any] = json.loads(edit)
    except ValueError as error:
        raise Refusal("400", f"no JSON: {error}") from error
    if not isinstance(call, dict) or not {"method", "path"} <= call.keys():
        raise Refusal("400", "an edit is {method, path, body}")
    return call


def _merge_patch(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        merged[key] = _merge_patch(merged.get(key), value)
        if value is None:
            del merged[key]
    return merged
