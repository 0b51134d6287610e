"""Expressions of the catalog: CEL (github.com/google/cel-spec), compiled once, without side effects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

from catalog._cel import cel
from catalog.errors import ExpressionFailed

_LITERAL = re.compile(r"""[rR]?("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)(\s*\()?")
_MACRO = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*([A-Za-z_]\w*)\s*,")
_WORDS = frozenset({"true", "false", "null", "in"})


class Expression:
    """One expression.

    Raises:
        ExpressionFailed: the text is not CEL.

    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = _compile(text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    @cached_property
    def _paths(self) -> frozenset[str]:
        return frozenset(_paths(self.text))

    def references(self) -> frozenset[str]:
        """Return the dotted paths that the expression reads, e.g. `ref.access.olt`; variables of macros are left out."""
        return self._paths

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """Return the value; numbers of integer value are int, on the way in and out.

        Raises:
            ExpressionFailed: a name is not bound or the types do not fit; the message names no values,
                because some are secret.

        """
        try:
            return plain(self._program.execute({name: plain(v) for name, v in context.items()}))
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            bound = ", ".join(sorted(context)) or "nothing"
            raise ExpressionFailed(
                f"{self.text!r} cannot be evaluated ({_cause(error, self.text)}); bound are {bound}. "
                "Correct the catalog and retry."
            ) from None

    def holds(self, context: Mapping[str, Any]) -> bool:
        """Return the value of a condition (raises ExpressionFailed when it is not a boolean)."""
        value = self.evaluate(context)
        if not isinstance(value, bool):
            raise ExpressionFailed(
                f"{self.text!r} is used as a condition but gives {type(value).__name__}; compare it to something."
            )
        return value


def plain(value: Any) -> Any:
    """Return JSON as CEL wants it: 200.0 is 200, because CEL multiplies no int with a float."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


@lru_cache(maxsize=4096)
def _compile(text: str) -> Any:
    try:
        return cel.compile(text)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise ExpressionFailed(
            f"{text!r} is not an expression: {first}. Correct the catalog."
        ) from None


def _paths(text: str) -> Iterator[str]:
    bare = _LITERAL.sub("''", text)
    local = set(_MACRO.findall(bare))
    for name, call in _NAME.findall(bare):
        parts = [part.strip() for part in name.split(".")]
        if call:
            parts.pop()
        if parts and parts[0] not in local | _WORDS:
            yield ".".join(parts)


def _cause(error: Exception, text: str) -> str:
    """Say what went wrong without any value in it."""
    match error:
        case KeyError() if str(error.args[0]) in text:
            return f"{error.args[0]!r} has no value"
        case TypeError():
            return str(error).split(". ")[0]
        case RuntimeError() if "Undefined" in str(error):
            return str(error).split(". ")[0]
        case _:
            return type(error).__name__
