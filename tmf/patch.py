"""PATCH: JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902), as TMF630 part 5 asks for."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field

from tmf._json import Doc
from tmf.errors import InvalidPatch, NotPatchable

OperationName = Literal["add", "remove", "replace", "move", "copy", "test"]


class Operation(BaseModel):
    """One operation of a JSON Patch (RFC 6902 section 4)."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    op: OperationName
    path: str
    value: Any = None
    source: str | None = Field(default=None, alias="from")


@dataclass(frozen=True, slots=True)
class MergePatch:
    """What changes, in the shape of the document; null removes (RFC 7396)."""

    body: Doc


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """Operations, applied in order, all or none (RFC 6902)."""

    operations: tuple[Operation, ...]


Patch = MergePatch | JsonPatch


def apply_patch(doc: Doc, patch: Patch, *, refused: Collection[str] = frozenset()) -> Doc:
    """Return the patched document; the given one is left as it is.

    Args:
        doc: the present document.
        patch: what to change.
        refused: top-level attributes that only the server sets; naming them with their present value is allowed.

    Raises:
        NotPatchable: a refused attribute would change.
        InvalidPatch: a JSON Patch names what is not there, a `test` fails, or the result is no object.

    """
    match patch:
        case MergePatch(body):
            result: Any = merge_patch(doc, body)
        case JsonPatch(operations):
            result = json_patch(doc, operations)
        case _:
            assert_never(patch)
    if not isinstance(result, dict):
        raise InvalidPatch("The patch replaces the whole document by something that is no object.")
    changed = sorted(name for name in refused if doc.get(name) != result.get(name))
    if changed:
        raise NotPatchable(
            f"{', '.join(changed)} cannot be changed by PATCH; leave it out.",
            details={"attributes": changed},
        )
    return result


def merge_patch(doc: Any, patch: Any) -> Any:
    """Apply RFC 7396; neither argument is changed."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(doc) if isinstance(doc, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(doc: Any, operations: Sequence[Operation]) -> Any:
    """Apply RFC 6902; the document given is not changed (raises InvalidPatch)."""
    root = {"": copy.deepcopy(doc)}
    for operation in operations:
        _apply(root, operation)
    return root[""]


def _apply(root: dict[str, Any], operation: Operation) -> None:
    path = _pointer(operation.path)
    match operation.op:
        case "add":
            _add(root, path, copy.deepcopy(operation.value))
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, copy.deepcopy(operation.value))
        case "move":
            source = _pointer(_source(operation))
            if path[: len(source)] == source and path != source:
                raise InvalidPatch(f"{operation.source} cannot be moved into itself.")
            _add(root, path, _remove(root, source))
        case "copy":
            _add(root, path, copy.deepcopy(_get(root, _pointer(_source(operation)))))
        case "test":
            _test(root, path, operation)
        case _:
            assert_never(operation.op)


def _test(root: dict[str, Any], path: list[str], operation: Operation) -> None:
    if not _same(_get(root, path), operation.value):
        raise InvalidPatch(f"test of {operation.path} failed: its value is another one.")


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON does: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _source(operation: Operation) -> str:
    if operation.source is None:
        raise InvalidPatch(f"{operation.op} needs `from`.")
    return operation.source


def _pointer(text: str) -> list[str]:
    """Split a JSON Pointer (RFC 6901) into its steps from the root, which is the step ''."""
    if text and not text.startswith("/"):
        raise InvalidPatch(f"{text!r} is not a JSON Pointer: it starts with a slash.")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")]


def _get(node: Any, path: Sequence[str]) -> Any:
    for step in path:
        node = node[_key(node, step)]
    return node


def _key(node: Any, step: str) -> Any:
    """Return the key of an existing child."""
    if isinstance(node, dict) and step in node:
        return step
    if isinstance(node, list) and _is_index(step) and int(step) < len(node):
        return int(step)
    raise InvalidPatch(f"There is nothing at step {step!r}.")


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) < 10 and (step == "0" or step[0] != "0")  # noqa: PLR2004


def _add(root: dict[str, Any], path: Sequence[str], value: Any) -> None:
    parent, step = _get(root, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[step] = value
    elif isinstance(parent, list) and step == "-":
        parent.append(value)
    elif isinstance(parent, list) and _is_index(step) and int(step) <= len(parent):
        parent.insert(int(step), value)
    else:
        raise InvalidPatch(f"Nothing can be added at step {step!r}.")


def _remove(root: dict[str, Any], path: Sequence[str]) -> Any:
    parent = _get(root, path[:-1])
    return parent.pop(_key(parent, path[-1]))


def _replace(root: dict[str, Any], path: Sequence[str], value: Any) -> None:
    parent = _get(root, path[:-1])
    parent[_key(parent, path[-1])] = value
