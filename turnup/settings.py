"""How one server runs: frozen values, handed down to the rooms."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from activation.api import ActivationSettings
from orders.model import EngineSettings
from turnup.environment import DEFAULT_DATABASE, DEFAULT_STATE_DIR, Synchronous


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server runs."""

    database_url: str = DEFAULT_DATABASE
    synchronous: Synchronous = "FULL"
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
