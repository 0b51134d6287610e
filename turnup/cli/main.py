"""`turnup`: where the command line begins. Nothing of ours is imported before it is known to be ours."""

from __future__ import annotations

import sys

from turnup.origin import check_origin


def run() -> None:
    """Run the command line; every error of ours is one line with its code."""
    check_origin()
    from turnup.cli._errors import reported
    from turnup.cli.app import app

    sys.exit(reported(app))
