"""All settings, read here and nowhere else (`TURNUP_*`), and handed down as frozen values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from activation.api import ActivationSettings
from orders.model import EngineSettings

DEFAULT_DATABASE = "sqlite:///turnup.db"
DEFAULT_SERVER = "http://127.0.0.1:8080"
DEFAULT_STATE_DIR = ".turnup"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs."""

    database_url: str = DEFAULT_DATABASE
    host: str = "127.0.0.1"
    port: int = 8080
    environment: str = "lab"
    state_dir: Path = field(default_factory=lambda: Path(DEFAULT_STATE_DIR))
    catalogs: tuple[Path, ...] = ()
    topology: Path | None = None
    runtime: str = "embedded"
    owner_pid: int | None = None
    engine_threads: int = 4
    engine: EngineSettings = field(default_factory=EngineSettings)
    activation: ActivationSettings = field(default_factory=ActivationSettings)


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
