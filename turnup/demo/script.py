"""The demo's script: which orders, what to show, what must be true afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

Show = Literal["diff", "verification", "inventory"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class External(_Model):
    """What to do before an external task is reported: plug the ONT whose serial the example names."""

    plug: str | None = None


class Step(_Model):
    """One order: what it says, which file, which values to keep for later steps."""

    name: str
    says: str
    submit: Path
    save: dict[str, str] = Field(default_factory=dict)
    show: tuple[Show, ...] = ()
    traces: Literal["none", "some"] = "some"


class Script(_Model):
    """A whole demo."""

    title: str
    topology: Path
    events: tuple[str, ...] = ()
    external_tasks: dict[str, External] = Field(default_factory=dict, alias="externalTasks")
    steps: tuple[Step, ...]


def load_script(file: Path) -> Script:
    """Read a script; order files are relative to it."""
    return Script.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
