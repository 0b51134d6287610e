"""Configuration as an ordered mapping of paths to values: all that the dialect-neutral core knows of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from activation.model import Leaf

Path = tuple[str, ...]
Leaves = dict[Path, str | None]


def leaves_of(items: Iterable[Leaf]) -> Leaves:
    """Return leaves by path; the last one wins."""
    return {leaf.path: leaf.value for leaf in items}


def leaf_tuple(leaves: Mapping[Path, str | None]) -> tuple[Leaf, ...]:
    """Return the mapping as leaves, in its order."""
    return tuple(Leaf(path, value) for path, value in leaves.items())


def missing_or_changed(
    before: Mapping[Path, str | None], after: Mapping[Path, str | None]
) -> Leaves:
    """Return what of `after` is not so in `before`, in the order of `after`."""
    return {
        path: value for path, value in after.items() if path not in before or before[path] != value
    }


def prefixes(paths: Iterable[Path]) -> set[Path]:
    """Return all paths and all that lies above them."""
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def below(path: Path, top: Path) -> bool:
    """Return whether `path` is `top` or lies below it."""
    return path[: len(top)] == top


def path_text(path: Path) -> str:
    """Return a path as people read it."""
    return "/" + "/".join(path)


def to_json(leaves: Iterable[Leaf]) -> list[list[Any]]:
    """Return leaves as JSON: [[path, value], …]."""
    return [[list(leaf.path), leaf.value] for leaf in leaves]


def from_json(data: Iterable[Any]) -> tuple[Leaf, ...]:
    """Read what `to_json` wrote."""
    return tuple(Leaf(tuple(path), value) for path, value in data)
