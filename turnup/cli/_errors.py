"""How the command line ends: 0 well, 1 findings or failure, 2 wrong usage; errors are one line `CODE: message`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import typer

WELL, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def reported(app: Callable[..., object]) -> int:
    """Run the application and turn errors into one line on stderr and an exit code."""
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # `| head` has what it wanted; the interpreter would complain about stdout once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001
        return _failed(error)
    return result if isinstance(result, int) else WELL


def _usage(error: typer.TyperException) -> int:
    """Show what is wrong with the call; a group called without a command shows its help."""
    text = error.format_message()
    if text.startswith("Usage:"):
        print(text, file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "turnup"
    return _say("WRONG_USAGE", f"{text.rstrip('.')}; see `{command} --help`.", WRONG_USAGE)


def _failed(error: Exception) -> int:
    from lab.errors import LabError
    from store.errors import TurnupError
    from turnup.environment import debugging
    from turnup.errors import WrongUsage

    match error:
        case WrongUsage():
            return _say(error.code, str(error), WRONG_USAGE)
        case TurnupError() | LabError():
            return _say(error.code, str(error), FAILED)
        case _ if debugging():
            raise error
        case OSError():
            return _say("INTERNAL_ERROR", f"{error}; TURNUP_DEBUG=1 shows where.", FAILED)
        case _:
            named = f"{type(error).__name__}: {error}"
            return _say("INTERNAL_ERROR", f"{named}; TURNUP_DEBUG=1 shows where.", FAILED)


def _say(code: str, message: str, exit_code: int) -> int:
    print(f"{code}: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    return exit_code
