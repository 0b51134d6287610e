"""How the command line ends: 0 well, 1 findings or failure, 2 wrong usage."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click


def reported(app: Callable[..., object]) -> int:
    """Run the application and turn errors into one line on stderr and an exit code."""
    try:
        result = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001
        return _known(error)
    return result if isinstance(result, int) else 0


def _known(error: Exception) -> int:
    from lab.errors import LabError
    from store.errors import TurnupError

    if not isinstance(error, TurnupError | LabError):
        raise error
    print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201
    return 1
