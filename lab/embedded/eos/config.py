"""A configuration as EOS keeps it: an ordered tree of sections, rendered in the box's own order.

Defaults are not shown, VLAN lists are joined to ranges, host bits of prefixes are cleared, and
VLANs without a line of their own are written together (`vlan 10,20-22`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from lab.embedded.eos.arguments import FIRST_VLAN, LAST_VLAN, Texts
from lab.embedded.eos.errors import CannotRun, InvalidCommand
from lab.embedded.eos.grammar import Command, Form, eos_grammar
from lab.embedded.eos.numbers import format_numbers, parse_numbers

TOP: Final = "config"
INDENT: Final = "   "
_EVERY_VLAN: Final = frozenset(range(FIRST_VLAN, LAST_VLAN + 1))
_PHYSICAL: Final = ("Ethernet", "Management")
_DIGITS: Final = re.compile(r"(\d+)")
_CONTEXT_LINES: Final = 3


def config_lines(text: str) -> list[str]:
    """The lines of a text that mean something."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and line != "end" and not line.startswith("!")]


@dataclass
class Line:
    """One line and the lines below it, by key."""

    words: Texts
    form: Form
    lines: dict[Texts, Line] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The line without indent."""
        return " ".join(self.words)

    def copy(self) -> Line:
        """The same line with lines of its own."""
        return Line(self.words, self.form, {key: line.copy() for key, line in self.lines.items()})

    def order(self) -> tuple[int, list[tuple[bool, int, str]]]:
        """Where the line stands among its siblings."""
        return self.form.rank, _natural(self.text)


Lines = dict[Texts, Line]


class Configuration:
    """One datastore: running, or the candidate of a session.

    Args:
        ports: names of the ports the box has (`Ethernet1`, `Management1`); their sections always
            exist, `no interface` only empties them.
    """

    def __init__(self, ports: Sequence[str]) -> None:
        self.ports = tuple(ports)
        self.lines: Lines = {}
        self._add_ports()

    def copy(self) -> Configuration:
        """An independent copy, as the start of a session is."""
        new = Configuration(())
        new.ports = self.ports
        new.lines = {key: line.copy() for key, line in self.lines.items()}
        return new

    def clear(self) -> None:
        """`rollback clean-config`: as delivered."""
        self.lines.clear()
        self._add_ports()

    def load(self, text: str) -> None:
        """Merge a rendered configuration. InvalidCommand: a line of it is unknown."""
        cursor = Cursor(self)
        for line in config_lines(text):
            cursor.run(line)

    def find(self, *words: str) -> Line | None:
        """A top-level section or line by its key, such as `("vlan", "1001")`."""
        return self.lines.get(words)

    def section(self, keyword: str) -> list[Line]:
        """Top-level lines whose first word is `keyword`, in order."""
        return [line for line in _ordered(self.lines) if line.words[0] == keyword]

    def text(self, *, everything: bool = False) -> str:
        """The body as `show running-config` prints it, from the first `!` to `end`.

        `everything` is its option `all`: sections also show what they have by default.
        """
        return "\n".join([*_render(self.lines, everything), "!", "end"]) + "\n"

    def diff(self, other: Configuration, name: str) -> str:
        """Unified diff from this (running) to `other` (the session `name`), as EOS prints it."""
        lines = difflib.unified_diff(
            self.text().splitlines(),
            other.text().splitlines(),
            "system:/running-config",
            f"session:/{name}-session-config",
            n=_CONTEXT_LINES,
            lineterm="",
        )
        return "".join(f"{line}\n" for line in lines)

    def _add_ports(self) -> None:
        for port in self.ports:
            command = eos_grammar().match(TOP, f"interface {port}")
            _store(self.lines, command, command.lines[0])


class Cursor:
    """A place in a configuration: the mode of a command line, and what it stands on."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.mode = TOP
        self._targets: list[Lines] = [configuration.lines]

    def run(self, line: str) -> None:
        """Carry out one configuration line; a line of the top level leaves a section.

        Raises:
            InvalidCommand, CannotRun: the configuration is unchanged.
        """
        try:
            command = eos_grammar().match(self.mode, line)
        except InvalidCommand as here:
            command = self._match_at_top(line, here)
            self.leave()
        self._apply(command)

    def leave(self) -> bool:
        """`exit`: back to the top level; False when there already."""
        left = self.mode != TOP
        self.mode, self._targets = TOP, [self.configuration.lines]
        return left

    def _match_at_top(self, line: str, here: InvalidCommand) -> Command:
        """The line as one of the top level; else the error of the mode that understood more."""
        if self.mode == TOP:
            raise here
        try:
            return eos_grammar().match(TOP, line)
        except InvalidCommand as at_top:
            raise max(here, at_top, key=lambda error: error.index) from None

    def _apply(self, command: Command) -> None:
        self._check_ports(command)
        entered = [
            section
            for target in self._targets
            for words in command.lines
            if (section := self._change(target, command, words)) is not None
        ]
        if command.form.enters and not command.negated:
            self.mode = command.form.enters
            self._targets = [section.lines for section in entered]

    def _change(self, target: Lines, command: Command, words: Texts) -> Line | None:
        if command.negated:
            self._negate(target, command, words)
            return None
        return _store(target, command, words)

    def _negate(self, target: Lines, command: Command, words: Texts) -> None:
        form = command.form
        for key in [key for key, line in target.items() if _begins(line, form, words)]:
            if words[0] == "interface" and words[1] in self.configuration.ports:
                target[key].lines.clear()
            else:
                del target[key]
        if form.on_by_default and command.negated == "no":
            target[words] = Line(("no", *words), form)

    def _check_ports(self, command: Command) -> None:
        if self.mode != TOP or command.lines[0][0] != "interface":
            return
        for _, name in command.lines:
            if name.startswith(_PHYSICAL) and name not in self.configuration.ports:
                raise CannotRun(f"Interface {name} does not exist")


def _begins(line: Line, form: Form, words: Texts) -> bool:
    own = line.words[1:] if form.on_by_default else line.words
    return line.form.rank == form.rank and own[: len(words)] == words


def _store(target: Lines, command: Command, words: Texts) -> Line | None:
    form = command.form
    key = words[: form.key_length]
    if form.set_operation is not None:
        words = _changed_set(target.get(key), form, words)
    if form.on_by_default or " ".join(words) == form.default:
        target.pop(key, None)
        return None
    line = target.get(key)
    if line is None:
        line = target[key] = Line(words, form)
    line.words = words
    return line


def _changed_set(present: Line | None, form: Form, words: Texts) -> Texts:
    """The line of a set after none / all / add / remove / except / a list."""
    base = words[: form.key_length]
    members = _members(present)
    given = parse_numbers(words[-1], FIRST_VLAN, LAST_VLAN) or frozenset()
    match form.set_operation:
        case "none":
            members = frozenset()
        case "all":
            members = _EVERY_VLAN
        case "add":
            members |= given
        case "remove":
            members -= given
        case "except":
            members = _EVERY_VLAN - given
        case _:
            members = given
    return (*base, format_numbers(members) or "none")


def _members(line: Line | None) -> frozenset[int]:
    if line is None:
        return _EVERY_VLAN
    return parse_numbers(line.words[-1], FIRST_VLAN, LAST_VLAN) or frozenset()


def _natural(text: str) -> list[tuple[bool, int, str]]:
    return [
        (part.isdigit(), int(part) if part.isdigit() else 0, part)
        for part in _DIGITS.split(text)
        if part
    ]


def _ordered(lines: Lines) -> list[Line]:
    return sorted(lines.values(), key=Line.order)


def _render(lines: Lines, everything: bool) -> Iterator[str]:
    """Top-level text; `!` before every section and before every group of single lines."""
    for (_, is_section), group in groupby(_ordered(lines), key=_group):
        members = list(group)
        if everything and is_section:
            yield from _whole_sections(members)
        elif is_section:
            yield from _sections(members)
        else:
            yield "!"
            yield from (line.text for line in members)


def _group(line: Line) -> tuple[int, bool]:
    return line.form.rank, line.form.enters is not None


def _sections(sections: Iterable[Line]) -> Iterator[str]:
    for bare_vlan, group in groupby(sections, key=_is_bare_vlan):
        members = list(group)
        if bare_vlan:
            yield "!"
            yield f"vlan {format_numbers(int(line.words[1]) for line in members)}"
            continue
        for section in members:
            yield "!"
            yield from section_text(section)


def section_text(section: Line) -> Iterator[str]:
    """The lines of one section, its header first."""
    yield section.text
    yield from (f"{INDENT}{line.text}" for line in _visible(section))


def _visible(section: Line) -> list[Line]:
    """The lines that say something else than the default of this very section (`VLAN0010`)."""
    lines = _ordered(section.lines)
    return [line for line in lines if line.text != line.form.absent(section.words)]


def _whole_sections(sections: Iterable[Line]) -> Iterator[str]:
    for section in sections:
        yield "!"
        yield section.text
        present = {line.form.rank: line.text for line in section.lines.values()}
        assert section.form.enters is not None
        for form in eos_grammar().forms(section.form.enters):
            yield INDENT + present.get(form.rank, form.absent(section.words))


def _is_bare_vlan(line: Line) -> bool:
    return line.words[0] == "vlan" and not _visible(line)
