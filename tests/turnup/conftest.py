"""The command line in this process, against a real server on the real lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Server, metro, server
from turnup.cli._errors import reported
from turnup.cli.app import app

__all__ = ["metro", "server"]
WIDTH = 100


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def refused(self, code: str, exit_code: int = 1) -> str:
        """Return the message: exactly one line, of that code, nothing on stdout, no traceback."""
        assert self.code == exit_code, (self.out, self.err)
        assert self.err.startswith(f"{code}: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("TURNUP_SERVER", "http://127.0.0.1:9")

    def running(*arguments: str) -> Ended:
        capsys.readouterr()
        code = reported(partial(app, list(arguments), prog_name="turnup"))
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return running


@pytest.fixture
def turnup(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the server and its lab."""
    monkeypatch.setenv("TURNUP_SERVER", server.url)
    monkeypatch.setenv("TURNUP_STATE_DIR", str(server.state_dir))
    return run
