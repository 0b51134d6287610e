"""`turnup demo`: the whole chain on this machine, in half a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from turnup.errors import WrongUsage


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave server, lab and database running")
    ] = False,
    runtime: Annotated[str, typer.Option(help="How the lab runs: embedded")] = "embedded",
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Instead of demo.yaml"),
    ] = None,
) -> None:
    """Order, change and cease a line on the lab, and check everything; exit 0 only if all passed."""
    from turnup.demo.run import run_demo

    if runtime != "embedded":
        raise WrongUsage(f"--runtime {runtime} is not there yet; use embedded.")
    if not run_demo(script, keep=keep):
        raise typer.Exit(1)
