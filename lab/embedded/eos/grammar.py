"""The commands of configuration modes, read from grammar.yaml, and the matching of a line to them.

EOS answers an unknown line with the first token that fits nothing; so does `Grammar.match`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby, product
from typing import Any, Literal

import yaml

from lab.embedded.eos.arguments import Parser, Texts, parser_for
from lab.embedded.eos.errors import InvalidCommand

SetOperation = Literal["none", "all", "assign", "add", "remove", "except"]
_SET_WORDS: dict[SetOperation, tuple[str, ...]] = {
    "none": ("none",),
    "all": ("all",),
    "add": ("add", "<vlan-set>"),
    "remove": ("remove", "<vlan-set>"),
    "except": ("except", "<vlan-set>"),
    "assign": ("<vlan-set>",),
}


@dataclass(frozen=True)
class Word:
    """A literal, or an argument with its parser."""

    text: str
    parser: Parser | None = None
    takes_rest: bool = False

    def accept(self, token: str) -> Texts | None:
        """The normalised texts of a token that fits."""
        if self.parser is not None:
            return self.parser(token)
        return (self.text,) if token.lower() == self.text.lower() else None


@dataclass(frozen=True)
class Form:
    """One way to write one kind of line. `rank` is its place in the running configuration."""

    rank: int
    words: tuple[Word, ...]
    key_length: int
    least: int
    enters: str | None = None
    default: str | None = None
    on_by_default: bool = False
    implied: str | None = None
    set_operation: SetOperation | None = None

    def absent(self, section: Texts) -> str:
        """What `show running-config all` says in `section` where the line is not configured."""
        if self.implied is not None:
            return self.implied.format(number=int(section[-1]))
        if self.default is not None:
            return self.default
        key = " ".join(word.text for word in self.words[: self.key_length])
        return key if self.on_by_default else f"no {key}"


@dataclass(frozen=True)
class Command:
    """A line that was understood. `lines` has one entry per object named; each is its words."""

    form: Form
    lines: tuple[Texts, ...]
    negated: Literal["", "no", "default"] = ""


class Grammar:
    """All modes."""

    def __init__(self, modes: dict[str, tuple[Form, ...]]) -> None:
        self._modes = modes

    def forms(self, mode: str) -> Iterator[Form]:
        """One form per rank of a mode, in order."""
        return (next(forms) for _, forms in groupby(self._modes[mode], key=lambda form: form.rank))

    def match(self, mode: str, line: str) -> Command:
        """Understand one line of a mode.

        Raises:
            InvalidCommand: nothing fits; the message names the token as EOS does.
        """
        tokens = line.split()
        negated = _negation(tokens)
        wanted = tokens[1:] if negated else tokens
        furthest = 0
        for form in self._modes[mode]:
            texts, reached = _walk(form, wanted)
            if texts is not None and _long_enough(form, len(texts), bool(negated)):
                return Command(form, tuple(product(*texts)), negated)
            furthest = max(furthest, reached)
        raise _misfit(tokens, furthest + bool(negated))


def _negation(tokens: Sequence[str]) -> Literal["", "no", "default"]:
    first = tokens[0].lower() if tokens else ""
    return "no" if first == "no" else "default" if first == "default" else ""


def _misfit(tokens: Sequence[str], index: int) -> InvalidCommand:
    if index >= len(tokens):
        return InvalidCommand.incomplete(index)
    return InvalidCommand.at(index, tokens[index])


def _walk(form: Form, tokens: Sequence[str]) -> tuple[list[Texts] | None, int]:
    """Texts of the tokens when all fit the form's beginning, and how many fitted."""
    found: list[Texts] = []
    for index, word in enumerate(form.words):
        if index >= len(tokens):
            break
        texts = word.accept(_token(word, tokens, index))
        if texts is None:
            return None, index
        found.append(texts)
        if word.takes_rest:
            return found, len(tokens)
    reached = len(found)
    return (found if reached == len(tokens) else None), reached


def _token(word: Word, tokens: Sequence[str], index: int) -> str:
    return " ".join(tokens[index:]) if word.takes_rest else tokens[index]


def _long_enough(form: Form, length: int, negated: bool) -> bool:
    return length >= form.least if negated else length == len(form.words)


@cache
def eos_grammar() -> Grammar:
    """The grammar shipped beside this module, read once per process."""
    raw = yaml.safe_load(files("lab.embedded.eos").joinpath("grammar.yaml").read_text("utf-8"))
    return Grammar({mode: tuple(_forms(entries)) for mode, entries in raw.items()})


def _forms(entries: Iterable[dict[str, Any]]) -> Iterator[Form]:
    for rank, entry in enumerate(entries):
        for words, operation in _variants(entry):
            yield _form(rank, entry, words, operation)


def _variants(entry: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], SetOperation | None]]:
    words = tuple(entry["form"].split())
    if entry.get("set"):
        base = words[:-1]
        yield from ((base + tail, name) for name, tail in _SET_WORDS.items())
    else:
        yield from ((variant, None) for variant in _optional(entry["form"]))


def _optional(form: str) -> Iterator[tuple[str, ...]]:
    """Every choice of the parts in square brackets, all present first."""
    head, bracket, rest = form.partition("[")
    if not bracket:
        yield tuple(form.split())
        return
    inner, _, tail = rest.partition("]")
    for following in _optional(tail):
        yield (*head.split(), *inner.split(), *following)
    for following in _optional(tail):
        yield (*head.split(), *following)


def _form(
    rank: int, entry: dict[str, Any], words: tuple[str, ...], operation: SetOperation | None
) -> Form:
    literals = _leading_literals(entry["form"].split())
    key_length = len(entry["key"].split()) if "key" in entry else literals
    least = len(entry["removed_by"].split()) if "removed_by" in entry else key_length
    return Form(
        rank=rank,
        words=tuple(_word(word) for word in words),
        key_length=key_length,
        least=least,
        enters=entry.get("enters"),
        default=entry.get("default"),
        on_by_default=bool(entry.get("on_by_default")),
        implied=entry.get("implied"),
        set_operation=operation,
    )


def _leading_literals(words: Sequence[str]) -> int:
    return next((i for i, word in enumerate(words) if word[0] in "<["), len(words))


def _word(text: str) -> Word:
    if not text.startswith("<"):
        return Word(text)
    kind = text.strip("<>")
    return Word(text, parser_for(kind), takes_rest=kind == "text")
