"""REST dialects: text is a JSON object path → body; leaves are the members of bodies, edits are calls.

A body that vanishes is DELETEd, a new one PUT whole, a changed one PATCHed with what differs (RFC 7396).
A member that is null counts as absent; an array is one value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from activation.codec.base import CodecError
from activation.leaves import Leaves, Path, missing_or_changed


class RestCodec:
    """The codec of one platform. `collections`: path of a collection → the member that names its items."""

    def __init__(self, collections: Mapping[str, str] | None = None) -> None:
        self._collections = dict(collections or {})

    def parse(self, text: str) -> Leaves:
        """Return the leaves of a JSON object path → body; an array is the content of a collection."""
        leaves: Leaves = {}
        for path, body in self._bodies(_load(text)):
            if body is not None:
                leaves[path,] = None
                _flatten((path,), body, leaves)
        return leaves

    def edits(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> tuple[str, ...]:
        """Return one call per body that differs: deletes first, then the rest in the order of `after`."""
        calls = [
            _call("DELETE", path[0]) for path in before if len(path) == 1 and path not in after
        ]
        changed = missing_or_changed(before, after)
        gone = [path for path in before if path not in after and path[:1] in after]
        for resource in dict.fromkeys(path[0] for path in (*changed, *gone)):
            if (resource,) in before:
                calls.append(_call("PATCH", resource, _patch(resource, changed, gone)))
            else:
                calls.append(_call("PUT", resource, _body(resource, after)))
        return tuple(calls)

    def text(self, leaves: Mapping[Path, str | None]) -> str:
        """Return the bodies as one JSON object."""
        resources = dict.fromkeys(path[0] for path in leaves)
        return _dump({resource: _body(resource, leaves) for resource in resources})

    def selection(self, paths: Iterable[Path]) -> str:
        """Return the JSON list of the bodies to get."""
        return json.dumps(list(dict.fromkeys(path[0] for path in paths)))

    def everything(self) -> str:
        """Return the JSON list of the collections."""
        return json.dumps(list(self._collections))

    def root(self, path: Path) -> Path:
        """Return the body's path."""
        return path[:1]

    def _bodies(self, answer: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        for path, body in answer.items():
            name = self._collections.get(path)
            if name is None:
                yield path, body
            else:
                for item in body or ():
                    yield f"{path}/{item[name]}", item


def _load(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError as error:
        raise CodecError(f"not JSON: {error}") from error
    if not isinstance(answer, dict):
        raise CodecError("not a JSON object of paths")
    return answer


def _flatten(path: Path, body: Any, leaves: Leaves) -> None:
    members = {n: v for n, v in body.items() if v is not None} if isinstance(body, dict) else {}
    if members or (isinstance(body, dict) and len(path) == 1):
        for name in sorted(members):
            _flatten((*path, name), members[name], leaves)
    elif isinstance(body, dict):
        leaves[path] = "{}"
    elif body is not None:
        leaves[path] = json.dumps(body, sort_keys=True, ensure_ascii=False)


def _body(resource: str, leaves: Mapping[Path, str | None]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for path, value in leaves.items():
        if path[0] == resource and len(path) > 1:
            _put(body, path[1:], None if value is None else json.loads(value))
    return body


def _patch(resource: str, changed: Leaves, gone: Iterable[Path]) -> dict[str, Any]:
    body = _body(resource, changed)
    for path in gone:
        if path[0] == resource:
            _put(body, path[1:], None, only_new=True)
    return body


def _put(body: dict[str, Any], path: Path, value: Any, *, only_new: bool = False) -> None:
    for name in path[:-1]:
        inner = body.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        body = inner
    if not (only_new and path[-1] in body):
        body[path[-1]] = value


def _call(method: str, path: str, body: Any = None) -> str:
    call = {"method": method, "path": path}
    return _dump(call if body is None else {**call, "body": body})


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
