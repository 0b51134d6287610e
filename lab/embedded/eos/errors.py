"""What goes wrong at the command line, with the error codes of eAPI.

CliError
├── InvalidCommand   1002  the text is no command (with the token at fault, as EOS names it)
├── CannotRun        1000  a command that cannot be carried out now
├── Unconverted      1003  has no JSON form
└── Incompatible     1004  interactive, not for the API
"""

from __future__ import annotations

from typing import ClassVar


class CliError(Exception):
    """`message` is what a terminal shows after `% `."""

    code: ClassVar[int] = 1000
    summary: ClassVar[str] = "could not run command"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class CannotRun(CliError):
    """A valid command that the box refuses now."""


class InvalidCommand(CliError):
    """Text the grammar does not know."""

    code = 1002
    summary = "invalid command"

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index

    @classmethod
    def at(cls, index: int, token: str) -> InvalidCommand:
        """The token at `index` (from 0) is the first that fits nothing."""
        return cls(f"Invalid input (at token {index}: '{token}')", index)

    @classmethod
    def incomplete(cls, index: int) -> InvalidCommand:
        """Words are missing from `index` on."""
        return cls(f"Incomplete command (at token {index}: None)", index)


class Unconverted(CliError):
    """Only text output exists."""

    code = 1003
    summary = "unconverted command"

    def __init__(self) -> None:
        super().__init__(
            "Command cannot be used over the API at this time. "
            "To see ASCII output, set format='text' in your request"
        )


class Incompatible(CliError):
    """An interactive command."""

    code = 1004
    summary = "incompatible command"
