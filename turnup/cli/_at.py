"""`--at TIME`: as it was then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from turnup.errors import WrongUsage

AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="As it was then: ISO 8601, UTC unless it says otherwise"
    ),
]


def instant(text: str | None) -> str | None:
    """Return a time with its offset, as the server wants it; a time without one is UTC. Raises WRONG_USAGE."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUsage(f"--at {text}: write it as 2026-11-24T22:30:00Z.") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
