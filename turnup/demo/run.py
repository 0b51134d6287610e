"""Set a demo up, play it, tell how it went, and leave nothing behind."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from turnup.data import find_file, folder
from turnup.demo.listener import Listener
from turnup.demo.player import Check, Player
from turnup.demo.processes import World
from turnup.demo.screen import Screen
from turnup.demo.script import load_script


def run_demo(script: Path | None, *, keep: bool = False) -> bool:
    """Play a script (default: the shipped one) and return whether every check passed."""
    started = time.monotonic()
    file = script or folder("examples") / "demo.yaml"
    plot = load_script(file)
    screen = Screen()
    screen.title(plot.title, "bringing the lab and the server up")
    place = Path(tempfile.mkdtemp(prefix="turnup-demo-"))
    world = World(place, find_file(plot.topology, "topologies"), keep=keep)
    listener = Listener()
    try:
        screen.note(
            f"{len(world.info.nodes)} nodes answer; server at {world.url} ({time.monotonic() - started:.1f} s)"
        )
        checks: list[Check] = Player(plot, file.parent, world, screen, listener).play()
        screen.summary(checks, time.monotonic() - started)
    finally:
        listener.close()
        if keep:
            screen.note(
                f"kept: {world.url}, lab {world.info.name}, folder {place} (stop with: kill {world.pid})"
            )
        else:
            world.close()
            shutil.rmtree(place, ignore_errors=True)
    return bool(checks) and all(check.passed for check in checks)
