"""Configuration as an immutable tree: a datastore is one `Branch`, an edit makes a new one.

What an edit does not touch is shared between old and new, so that a copy costs nothing, a rollback
is an assignment, and the difference of two datastores is found by identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """A container or a list entry: children by local name. Nobody changes `children` once made."""

    children: dict[str, Data] = field(default_factory=dict)

    def branch(self, name: str) -> Branch:
        """Return the child container, an empty one when it is absent."""
        child = self.children.get(name)
        return child if isinstance(child, Branch) else EMPTY

    def listing(self, name: str) -> Listing:
        """Return the child list, an empty one when it is absent."""
        child = self.children.get(name)
        return child if isinstance(child, Listing) else NOTHING

    def leaf(self, name: str) -> str | None:
        """Return the text of the child leaf."""
        child = self.children.get(name)
        return child if isinstance(child, str) else None

    def at(self, *names: str) -> Branch:
        """Return the container below, an empty one when it is absent."""
        return self if not names else self.branch(names[0]).at(*names[1:])


@dataclass(frozen=True, slots=True)
class Listing:
    """The entries of a list by their key values, in order."""

    entries: dict[Key, Branch] = field(default_factory=dict)


Data = Branch | Listing | str | tuple[str, ...]
EMPTY = Branch()
NOTHING = Listing()


def merge(base: Branch, more: Branch) -> Branch:
    """Return `base` with everything of `more` added; where both have a leaf, that of `more`."""
    children = dict(base.children)
    for name, value in more.children.items():
        children[name] = _merged(children.get(name), value)
    return Branch(children)


def _merged(old: Data | None, new: Data) -> Data:
    match old, new:
        case Branch(), Branch():
            return merge(old, new)
        case Listing(), Listing():
            entries = dict(old.entries)
            for key, entry in new.entries.items():
                entries[key] = merge(entries.get(key, EMPTY), entry)
            return Listing(entries)
        case _:
            return new
