"""What the core wants of a dialect: text into leaves, a difference of leaves into edits, paths into a read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from activation.leaves import Leaves, Path


class CodecError(ValueError):
    """A text is not of this dialect."""


class Codec(Protocol):
    """One dialect, told apart from others of its family by data. Pure."""

    def parse(self, text: str) -> Leaves:
        """Return the leaves of a native text (a rendered fragment, or what a device answered), normalised.

        Raises:
            CodecError: the text is not of this dialect.
        """
        ...

    def edits(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> tuple[str, ...]:
        """Return native edits that make `before` into `after`; leaves equal in both only guard what stays."""
        ...

    def text(self, leaves: Mapping[Path, str | None]) -> str:
        """Return leaves as native text that `parse` reads back to the same."""
        ...

    def selection(self, paths: Iterable[Path]) -> str:
        """Return what to hand to `Driver.read` to get at least these paths."""
        ...

    def everything(self) -> str:
        """Return what to hand to `Driver.read` to get all configuration."""
        ...

    def root(self, path: Path) -> Path:
        """Return the thing that the path belongs to: fragments with no root in common cannot touch each other."""
        ...
