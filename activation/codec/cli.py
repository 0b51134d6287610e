"""Line dialects (Cisco-like CLIs): sections by indentation, `no` removes, sets of numbers are edited by add and remove.

A line is a leaf with its text as path and no value. `values` names commands of which a section keeps one: their rest
is the value. `sets` names commands that list numbers: every number is a leaf of its own. Patterns are
`section pattern/command`, or only `command` at the top; `*` stands for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from activation.codec.base import CodecError
from activation.leaves import Leaves, Path, missing_or_changed, prefixes


@dataclass(frozen=True, slots=True)
class CliSet:
    """A command that lists numbers; `{items}` stands for the list, `empty` for none at all."""

    add: str
    remove: str
    empty: str = "none"


@dataclass(frozen=True, slots=True)
class CliSchema:
    """What must be known of a CLI to read and write it: data of the platform."""

    indent: int = 3
    negation: str = "no"
    permanent: tuple[str, ...] = ()
    """Sections that always exist: never made, never removed, and no leaf of their own."""
    values: tuple[str, ...] = ()
    sets: Mapping[str, CliSet] = field(default_factory=dict)
    split: tuple[str, ...] = ()
    """Section commands that may list several numbers (`vlan 10,20-22`)."""
    ignore: tuple[str, ...] = ("!*", "end", "exit")


class CliCodec:
    """The codec of one platform with a command line."""

    def __init__(self, schema: CliSchema) -> None:
        self._schema = schema

    def parse(self, text: str) -> Leaves:
        """Return the leaves of configuration text."""
        leaves: Leaves = {}
        stack: list[tuple[int, tuple[Path, ...]]] = [(-1, ((),))]
        for indent, line in self._lines(text):
            while stack[-1][0] >= indent:
                stack.pop()
            entered = []
            for parent in stack[-1][1]:
                for path in self._split(parent, line):
                    self._add(path, leaves)
                    entered.append(path)
            stack.append((indent, tuple(entered)))
        return leaves

    def edits(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> tuple[str, ...]:
        """Return one edit of several lines: what goes first, then what comes."""
        lines = list(self._removals(before, after))
        lines += self._write(missing_or_changed(before, after))
        return ("\n".join(lines),) if lines else ()

    def text(self, leaves: Mapping[Path, str | None]) -> str:
        """Return leaves as configuration text."""
        return "\n".join(self._write(leaves))

    def selection(self, paths: Iterable[Path]) -> str:  # noqa: ARG002 - a CLI shows all or nothing
        """Return nothing: the whole running configuration is read."""
        return ""

    def everything(self) -> str:
        """Return nothing: the whole running configuration is read."""
        return ""

    def root(self, path: Path) -> Path:
        """Return the section; in one that always exists, the leaf itself (else all users of a trunk would meet)."""
        return path if self._permanent(path[0]) else path[:1]

    def _lines(self, text: str) -> Iterator[tuple[int, str]]:
        for raw in text.splitlines():
            line = raw.strip()
            if line and not any(fnmatchcase(line, pattern) for pattern in self._schema.ignore):
                yield len(raw) - len(raw.lstrip()), line

    def _split(self, parent: Path, line: str) -> Iterator[Path]:
        command, _, rest = line.rpartition(" ")
        if not parent and command in self._schema.split:
            for number in _numbers(rest):
                yield (f"{command} {number}",)
        else:
            yield (*parent, line)

    def _add(self, path: Path, leaves: Leaves) -> None:
        line = path[-1]
        if command := self._set_command(path):
            for number in self._members(command, line):
                leaves[*path[:-1], command, str(number)] = None
        elif command := self._value_command(path):
            leaves[*path[:-1], command] = line[len(command) + 1 :]
        elif not (len(path) == 1 and self._permanent(line)):
            leaves[path] = None

    def _members(self, command: str, line: str) -> list[int]:
        rest = line[len(command) :].strip().removeprefix("add ")
        if rest == self._set(command).empty:
            return []
        return _numbers(rest)

    def _removals(
        self, before: Mapping[Path, str | None], after: Mapping[Path, str | None]
    ) -> Iterator[str]:
        alive = prefixes(after)
        gone = [path for path in before if path not in after and path not in alive]
        tops = [path for path in gone if not any(path[:n] in gone for n in range(1, len(path)))]
        for section, paths in self._by_section(reversed(tops)):
            yield from self._in_section(section, list(self._negated(paths)))

    def _negated(self, paths: Iterable[Path]) -> Iterator[str]:
        for command, members in self._grouped(paths):
            if members:
                yield self._set(command).remove.format(items=_ranges(members))
            else:
                yield f"{self._schema.negation} {command}"

    def _write(self, leaves: Mapping[Path, str | None]) -> list[str]:
        lines: list[str] = []
        for section, paths in self._by_section(leaves):
            inner = [path for path in paths if path != section]
            written = list(self._affirmed(inner, leaves))
            lines += self._in_section(section, written)
        return lines

    def _affirmed(self, paths: Iterable[Path], leaves: Mapping[Path, str | None]) -> Iterator[str]:
        paths = list(paths)
        values = {path[-1]: leaves[path] for path in paths}
        for command, members in self._grouped(paths):
            if members:
                yield self._set(command).add.format(items=_ranges(members))
            else:
                value = values[command]
                yield command if value is None else f"{command} {value}"

    def _grouped(self, paths: Iterable[Path]) -> Iterator[tuple[str, list[int]]]:
        """Return commands in order, numbers of a set together."""
        groups: dict[str, list[int]] = {}
        for path in paths:
            if len(path) > 1 and self._set_command(path[:-1]):
                groups.setdefault(path[-2], []).append(int(path[-1]))
            else:
                groups.setdefault(path[-1], [])
        yield from groups.items()

    def _in_section(self, section: Path, lines: list[str]) -> list[str]:
        indent = " " * self._schema.indent
        opened = [indent * depth + line for depth, line in enumerate(section)]
        return [*opened, *(indent * len(section) + line for line in lines)]

    def _by_section(self, paths: Iterable[Path]) -> Iterator[tuple[Path, list[Path]]]:
        """Return paths by the section in which they are written; a section that is entered is its own."""
        paths = list(paths)
        standing = {path: self._section(path) for path in paths}
        entered = set(standing.values())
        sections: dict[Path, list[Path]] = {}
        for path in paths:
            section = path if path in entered else standing[path]
            sections.setdefault(section, []).append(path)
        yield from sections.items()

    def _section(self, path: Path) -> Path:
        is_member = len(path) > 1 and self._set_command(path[:-1])
        return path[:-2] if is_member else path[:-1]

    def _permanent(self, section: str) -> bool:
        return any(fnmatchcase(section, pattern) for pattern in self._schema.permanent)

    def _set_command(self, path: Path) -> str | None:
        return _matching(path, self._schema.sets)

    def _value_command(self, path: Path) -> str | None:
        return _matching(path, self._schema.values)

    def _set(self, command: str) -> CliSet:
        return next(
            found
            for pattern, found in self._schema.sets.items()
            if pattern.rpartition("/")[2] == command
        )


def _matching(path: Path, patterns: Iterable[str]) -> str | None:
    """Return the command of the first pattern that fits the path's last line in its section."""
    line, section = path[-1], "/".join(path[:-1])
    for pattern in patterns:
        where, _, command = pattern.rpartition("/")
        fits = line == command or line.startswith(f"{command} ")
        if fits and fnmatchcase(section, where):
            return command
    return None


def _numbers(text: str) -> list[int]:
    """Return the numbers of `10,20-22`.

    Raises:
        CodecError: it is no such list.
    """
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError as error:
        raise CodecError(f"{text!r} is no list of numbers") from error
    return numbers


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers as `10,20-22`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}-{b}" if b > a else str(a) for a, b in spans)
