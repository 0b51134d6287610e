"""The environment variables (`TURNUP_*`), read here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from turnup.errors import WrongUsage

Synchronous = Literal["FULL", "NORMAL"]
DEFAULT_DATABASE = "sqlite:///turnup.db"
DEFAULT_SERVER = "http://127.0.0.1:8080"
DEFAULT_STATE_DIR = ".turnup"


def database_url(given: str | None, environment: Mapping[str, str] | None = None) -> str:
    """Return the database URL: as given, else `TURNUP_DATABASE_URL`, else a file in the working folder."""
    return given or (environment or os.environ).get("TURNUP_DATABASE_URL") or DEFAULT_DATABASE


def server_url(given: str | None) -> str:
    """Return the server that client commands talk to."""
    return (given or os.environ.get("TURNUP_SERVER") or DEFAULT_SERVER).rstrip("/")


def state_dir(given: Path | None) -> Path:
    """Return the folder for labs and other state."""
    return given or Path(os.environ.get("TURNUP_STATE_DIR") or DEFAULT_STATE_DIR)


def environment_name() -> str:
    """Return which environment this server is (`TURNUP_ENVIRONMENT`, default lab)."""
    return os.environ.get("TURNUP_ENVIRONMENT") or "lab"


def synchronous() -> Synchronous:
    """Return what SQLite promises at a power cut (`TURNUP_SQLITE_SYNCHRONOUS`: full, the default, or normal).

    Raises WrongUsage.
    """
    given = os.environ.get("TURNUP_SQLITE_SYNCHRONOUS", "full").lower()
    if given not in {"full", "normal"}:
        raise WrongUsage(f"TURNUP_SQLITE_SYNCHRONOUS={given}: use full or normal.")
    return "FULL" if given == "full" else "NORMAL"


def debugging() -> bool:
    """Say whether unexpected errors are shown with their traceback (`TURNUP_DEBUG`)."""
    return bool(os.environ.get("TURNUP_DEBUG"))
