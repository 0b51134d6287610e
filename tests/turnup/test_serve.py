"""`turnup serve` as a process: what it takes down when it stops, and what it leaves when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lab import api as lab

LIMIT_S = 40


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Serve the shipped metro lab from a folder, on any free port."""
    log = folder / "log"
    command = [sys.executable, "-P", "-m", "turnup", "serve", "--port", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--topology", "metro.clab.yml", "--owner-pid", str(os.getpid())],
            cwd=folder,
            stderr=file,
        )
    try:
        yield process, _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + LIMIT_S
    while "serving on " not in (text := log.read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    url = text.partition("serving on ")[2].split()[0]
    while True:
        try:
            assert httpx.get(f"{url}/readyz").is_success
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return url


def _up(folder: Path) -> bool:
    return lab.connect("metro", folder / ".turnup") is not None


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_takes_down_what_it_brought_up(tmp_path: Path, stop: signal.Signals) -> None:
    with _serving(tmp_path) as (process, url):
        assert len(httpx.get(f"{url}/turnup/v1/devices").json()) == 6
        assert _up(tmp_path)
        process.send_signal(stop)
        assert process.wait(LIMIT_S) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert not _up(tmp_path)


def test_a_killed_server_leaves_the_lab_and_the_next_one_uses_it(tmp_path: Path) -> None:
    try:
        with _serving(tmp_path) as (process, _):
            process.kill()
            process.wait()
        before = lab.connect("metro", tmp_path / ".turnup")
        assert before
        with _serving(tmp_path) as (process, _):
            process.terminate()
            assert process.wait(LIMIT_S) == 0
        after = lab.connect("metro", tmp_path / ".turnup")
        assert after
        assert after.instance_id == before.instance_id
    finally:
        lab.down("metro", tmp_path / ".turnup")
