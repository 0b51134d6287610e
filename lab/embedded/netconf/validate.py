"""What must hold between nodes, checked where it can have changed.

Types are checked when a document is read (`edit`). Here: mandatory, when, choice, number of
entries, leafrefs, and the rules of the model file. Checking a change costs what the change is
worth: the objects that differ, those that refer to them, and look-ups in the `Index` of the
running datastore (validating all of an OLT with 2,048 subscribers takes seconds).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lab.embedded.netconf.data import EMPTY, Branch, Data, Key, Listing
from lab.embedded.netconf.leaftypes import parse_ranges
from lab.embedded.netconf.rpcerror import Path, RpcError
from lab.embedded.netconf.schema import Container, Leaf, List, Node, ObjectType, Ref, Schema

Id = tuple[str, Key]
"""Object type and key."""
UniqueKey = tuple[int, tuple[str, ...]]
"""Number of the rule and the values that must be unique."""
REACH = 3
"""How many references a rule may follow: an object is checked again if one so far away changed."""


class Index:
    """Who refers to what, and which unique values are taken, in one datastore."""

    def __init__(self) -> None:
        self.referrers: dict[Id, set[Id]] = defaultdict(set)
        self.taken: dict[UniqueKey, Id] = {}
        self._refers: dict[Id, tuple[Id, ...]] = {}
        self._takes: dict[Id, tuple[UniqueKey, ...]] = {}

    def forget(self, who: Id) -> None:
        """Remove what an object contributed."""
        for target in self._refers.pop(who, ()):
            self.referrers[target].discard(who)
        for key in self._takes.pop(who, ()):
            if self.taken.get(key) == who:
                del self.taken[key]

    def learn(self, who: Id, refers: Iterable[Id], takes: Iterable[UniqueKey]) -> None:
        """Add what an object contributes."""
        self._refers[who] = tuple(refers)
        self._takes[who] = tuple(takes)
        for target in self._refers[who]:
            self.referrers[target].add(who)
        self.taken.update(dict.fromkeys(self._takes[who], who))


@dataclass(frozen=True, slots=True)
class Place:
    """A leaf that refers: its reference, its text, where it is."""

    ref: Ref
    text: str
    path: Path


class Validator:
    """Checks datastores of one model."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._rules: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for number, rule in enumerate(schema.rules):
            self._rules[rule["object"]].append((number, rule))

    def check(self, valid: Branch, index: Index, new: Branch) -> list[RpcError]:
        """Return all that is wrong in `new`, given that `valid` is valid and `index` its index."""
        changed = self._changed(valid, new)
        affected = _closure(changed, index)
        errors = list(self._local(self._schema.root, new, Path()))
        for who in changed:
            errors += self._check_local(who, new)
        for who in affected:
            errors += self._check_between(who, new)
        return errors + list(self._check_unique(affected, index, new))

    def reindex(self, index: Index, old: Branch, new: Branch) -> None:
        """Turn the index of `old` into that of `new`."""
        affected = _closure(self._changed(old, new), index)
        for who in affected:
            index.forget(who)
        for who in affected:
            entry = self._find(who, new)
            if entry is not None:
                index.learn(who, self._targets(who, entry), self._takes(who, entry, new))

    def _targets(self, who: Id, entry: Branch) -> Iterator[Id]:
        kind = self._schema.objects[who[0]]
        return ((p.ref.target, (p.text,)) for p in _places(kind.list, entry, Path()))

    # which objects

    def _changed(self, old: Branch, new: Branch) -> list[Id]:
        return [
            (kind.name, key)
            for kind in self._schema.objects.values()
            for key in _differing(_entries(kind, old), _entries(kind, new))
        ]

    def _find(self, who: Id, root: Branch) -> Branch | None:
        return _entries(self._schema.objects[who[0]], root).get(who[1])

    def _path(self, who: Id) -> Path:
        kind = self._schema.objects[who[0]]
        path = Path()
        for node in (*kind.parents, kind.list):
            path = path.child(node.module.prefix, node.module.namespace, node.name)
        return path.where(kind.list.module.prefix, dict(zip(kind.list.keys, who[1], strict=True)))

    # within one object

    def _check_local(self, who: Id, root: Branch) -> Iterator[RpcError]:
        entry = self._find(who, root)
        if entry is not None:
            yield from self._local(self._schema.objects[who[0]].list, entry, self._path(who))

    def _local(self, node: Container, branch: Branch, path: Path) -> Iterator[RpcError]:
        for child in node.children.values():
            if child.config:
                yield from self._child(child, branch, path)
        for wanted in node.need:
            if not any(_answers(node.children[name], wanted) for name in branch.children):
                yield RpcError(
                    "data-missing",
                    f"{node.name}: one of choice {wanted} must be given",
                    path=path,
                    app_tag="missing-choice",
                    info={"missing-choice": wanted},
                )

    def _child(self, node: Node, branch: Branch, path: Path) -> Iterator[RpcError]:
        value = branch.children.get(node.name)
        at = path.child(node.module.prefix, node.module.namespace, node.name)
        if not all(branch.leaf(leaf) in values for leaf, values in node.when):
            if value is not None:
                yield _forbidden(node, at)
            return
        match node, value:
            case Leaf(mandatory=True), None:
                yield RpcError("data-missing", f"{node.name} is mandatory", path=at)
            case List(), _:
                yield from self._list(node, value, at)
            case Container(), Branch():
                yield from self._local(node, value, at)
            case Container(presence=False, choice=None), None:
                yield from self._local(node, EMPTY, at)
            case _:
                pass

    def _list(self, node: List, value: Data | None, path: Path) -> Iterator[RpcError]:
        entries = value.entries if isinstance(value, Listing) else {}
        low, high = node.limits
        if len(entries) < low:
            yield _count(path, node, "too-few-elements", f"at least {low}")
        if high is not None and len(entries) > high:
            yield _count(path, node, "too-many-elements", f"at most {high}")
        if node.object:
            return
        for key, entry in entries.items():
            at = path.where(node.module.prefix, dict(zip(node.keys, key, strict=True)))
            yield from self._local(node, entry, at)

    # between objects

    def _check_between(self, who: Id, root: Branch) -> Iterator[RpcError]:
        entry = self._find(who, root)
        if entry is None:
            return
        for place in _places(self._schema.objects[who[0]].list, entry, self._path(who)):
            yield from self._check_reference(place, root)
        for _, rule in self._rules[who[0]]:
            yield from self._check_rule(rule, who, entry, root)

    def _check_reference(self, place: Place, root: Branch) -> Iterator[RpcError]:
        target = self._find((place.ref.target, (place.text,)), root)
        if target is None:
            yield RpcError(
                "data-missing",
                f"there is no {place.ref.target} {place.text!r}",
                path=place.path,
                app_tag="instance-required",
            )
        elif place.ref.kinds and target.leaf("type") not in place.ref.kinds:
            yield RpcError(
                "operation-failed",
                f"{place.text} is {target.leaf('type')}, not {' or '.join(place.ref.kinds)}",
                path=place.path,
                app_tag="must-violation",
            )

    def _check_rule(
        self, rule: Mapping[str, Any], who: Id, entry: Branch, root: Branch
    ) -> Iterator[RpcError]:
        match rule:
            case {"range": allowed, "value": path, "by": by}:
                value, kind = self._texts(who, entry, root, path, by)
                ranges = parse_ranges(allowed.get(kind, "0..99999999")) if value and kind else ()
                if ranges and value and not any(a <= int(value) <= b for a, b in ranges):
                    why = f"{path} {value} is outside {allowed[kind or '']} of {kind}"
                    yield self._violation(who, path, rule.get("message", why))
            case {"left": left, "right": right}:
                one, other = self._texts(who, entry, root, left, right)
                if one is not None and one != other:
                    yield self._violation(who, right, rule["message"])
            case {"at-least": path, "sum": parts}:
                whole, *some = self._texts(who, entry, root, path, *parts)
                if whole is not None and int(whole) < sum(int(text or 0) for text in some):
                    yield self._violation(who, path, rule["message"])
            case _:
                pass

    def _violation(self, who: Id, path: str, message: str) -> RpcError:
        at = self._leaf_path(who, path.split(">", maxsplit=1)[0])
        return RpcError("operation-failed", message, path=at, app_tag="must-violation")

    def _leaf_path(self, who: Id, steps: str) -> Path:
        path = self._path(who)
        node: Node = self._schema.objects[who[0]].list
        for name in steps.split("/"):
            if isinstance(node, Container):
                node = node.children[name]
                path = path.child(node.module.prefix, node.module.namespace, name)
        return path

    # unique values

    def _check_unique(
        self, affected: Iterable[Id], index: Index, root: Branch
    ) -> Iterator[RpcError]:
        affected = list(affected)
        free = set(affected)
        seen: dict[UniqueKey, Id] = {}
        for who in affected:
            entry = self._find(who, root)
            for key in self._takes(who, entry, root) if entry else ():
                other = index.taken.get(key)
                holder = seen.setdefault(key, who) if other is None or other in free else other
                if holder != who:
                    yield self._not_unique(key, who, holder)

    def _not_unique(self, key: UniqueKey, who: Id, holder: Id) -> RpcError:
        rule = self._schema.rules[key[0]]
        return RpcError(
            "operation-failed",
            f"{rule['message']}: {' '.join(key[1])} is already used by {' '.join(holder[1])}",
            path=self._path(who),
            app_tag="data-not-unique",
            info={"non-unique": str(self._path(holder))},
        )

    def _takes(self, who: Id, entry: Branch, root: Branch) -> Iterator[UniqueKey]:
        for number, rule in self._rules[who[0]]:
            if "unique" not in rule:
                continue
            for values in self._unique_values(rule, who, entry, root):
                if None not in values:
                    yield number, tuple(value or "" for value in values)

    def _unique_values(
        self, rule: Mapping[str, Any], who: Id, entry: Branch, root: Branch
    ) -> Iterator[list[str | None]]:
        paths = rule["unique"]
        if "each" not in rule:
            yield self._texts(who, entry, root, *paths)
            return
        kind = self._schema.objects[who[0]]
        node, inner = _descend(kind.list, entry, _steps(rule["each"]))
        if not isinstance(node, List) or not isinstance(inner, Listing):
            return
        for item in inner.entries.values():
            yield [
                self._follow(kind.list, entry, root, path[1:])
                if path.startswith("/")
                else self._follow(node, item, root, path)
                for path in paths
            ]

    # paths

    def _texts(self, who: Id, entry: Branch, root: Branch, *paths: str) -> list[str | None]:
        node = self._schema.objects[who[0]].list
        return [self._follow(node, entry, root, path) for path in paths]

    def _follow(self, node: Container, branch: Branch, root: Branch, path: str) -> str | None:
        """Return the leaf at `path`: `a/b` descends, `list=key` takes an entry, `>` follows a leafref."""
        *hops, last = path.split(">")
        for hop in hops:
            leaf, text = _descend(node, branch, _steps(hop))
            if not isinstance(leaf, Leaf) or leaf.ref is None or not isinstance(text, str):
                return None
            target = self._find((leaf.ref.target, (text,)), root)
            if target is None:
                return None
            node, branch = self._schema.objects[leaf.ref.target].list, target
        _, value = _descend(node, branch, _steps(last))
        return value if isinstance(value, str) else None


def _closure(changed: Iterable[Id], index: Index) -> dict[Id, None]:
    affected = dict.fromkeys(changed)
    frontier = list(affected)
    for _ in range(REACH):
        frontier = [
            one for who in frontier for one in index.referrers.get(who, ()) if one not in affected
        ]
        affected.update(dict.fromkeys(frontier))
    return affected


def _entries(kind: ObjectType, root: Branch) -> Mapping[Key, Branch]:
    *parents, name = kind.path
    return root.at(*parents).listing(name).entries


def _differing(old: Mapping[Key, Branch], new: Mapping[Key, Branch]) -> Iterator[Key]:
    if old is new:
        return
    for key, entry in new.items():
        before = old.get(key)
        if before is not entry and before != entry:
            yield key
    yield from (key for key in old if key not in new)


def _places(node: Container, branch: Branch, path: Path) -> Iterator[Place]:
    for name, value in branch.children.items():
        child = node.children[name]
        at = path.child(child.module.prefix, child.module.namespace, name)
        match child, value:
            case Leaf(ref=Ref() as ref), str():
                yield Place(ref, value, at)
            case List(), Listing():
                for key, entry in value.entries.items():
                    keys = dict(zip(child.keys, key, strict=True))
                    yield from _places(child, entry, at.where(child.module.prefix, keys))
            case Container(), Branch():
                yield from _places(child, value, at)
            case _:
                pass


@cache
def _steps(path: str) -> tuple[tuple[str, Key | None], ...]:
    parts = (step.partition("=") for step in path.split("/"))
    return tuple((name, (key,) if equals else None) for name, equals, key in parts)


def _descend(
    node: Container, branch: Branch, steps: tuple[tuple[str, Key | None], ...]
) -> tuple[Node | None, Data | None]:
    at: Node | None = node
    value: Data | None = branch
    for name, key in steps:
        if not isinstance(value, Branch) or not isinstance(at, Container):
            return None, None
        at, value = at.children.get(name), value.children.get(name)
        if key is not None:
            value = value.entries.get(key) if isinstance(value, Listing) else None
    return at, value


def _answers(node: Node, wanted: str) -> bool:
    return node.name == wanted or (node.choice is not None and node.choice[0] == wanted)


def _forbidden(node: Node, path: Path) -> RpcError:
    conditions = " and ".join(f"{leaf} is {' or '.join(values)}" for leaf, values in node.when)
    return RpcError(
        "unknown-element",
        f"{node.name} may be given only when {conditions}",
        path=path,
        info={"bad-element": node.name},
    )


def _count(path: Path, node: List, app_tag: str, how_many: str) -> RpcError:
    message = f"{node.name}: {how_many} must be given"
    return RpcError("operation-failed", message, path=path, app_tag=app_tag)
