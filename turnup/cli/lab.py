"""`turnup lab`: bring a topology up as answering devices, look at it, break it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from store.errors import InvalidInput
from turnup.cli._client import Output, OutputOption, show

app = typer.Typer(help="A network on this machine.", no_args_is_help=True)
StateDir = Annotated[
    Path | None, typer.Option("--state-dir", help="State folder (TURNUP_STATE_DIR)")
]
LabName = Annotated[str | None, typer.Option("--lab", help="Which lab, when several run")]


@app.command("up")
def up(
    file: Path,
    runtime: str = "embedded",
    reconfigure: Annotated[
        bool, typer.Option(help="Boot from the topology's configuration")
    ] = False,
    owner_pid: Annotated[
        int | None, typer.Option(help="The lab ends when this process ends")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Start a lab and return when every device answers its protocol."""
    from lab import api

    if runtime != "embedded":
        raise InvalidInput(f"--runtime {runtime} is not there yet; use embedded.")
    info = api.up(file, _state(state_dir), reconfigure=reconfigure, owner_pid=owner_pid)
    typer.echo(
        f"{info.name}: {len(info.nodes)} nodes {'started' if info.started else 'were up already'}"
    )


@app.command("down")
def down(name: Annotated[str | None, typer.Argument()] = None, state_dir: StateDir = None) -> None:
    """Stop a lab (a power cut: what was not saved is lost)."""
    from lab import api

    api.down(_name(name, state_dir), _state(state_dir))


@app.command("inspect")
def inspect(
    name: Annotated[str | None, typer.Argument()] = None,
    state_dir: StateDir = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the nodes of running labs."""
    from lab import api

    answer = api.inspect(name, _state(state_dir))
    if output is Output.JSON:
        typer.echo(json.dumps(answer, indent=2))
        return
    nodes = [node for lab in answer.values() for node in lab]
    show(nodes, output, ("lab_name", "name", "kind", "state", "ipv4_address"))


@app.command("fault")
def fault(
    node: str,
    fault_name: Annotated[
        str,
        typer.Argument(
            metavar="FAULT",
            help="down, latency, drop, reject, commit-fail, lock, slow-commit, clear",
        ),
    ],
    parameters: Annotated[list[str] | None, typer.Argument(help="key=value")] = None,
    lab: LabName = None,
    state_dir: StateDir = None,
) -> None:
    """Arm a fault on a node, or clear its faults."""
    from lab import api

    name = _name(lab, state_dir)
    if fault_name == "clear":
        api.clear_faults(name, node, state_dir=_state(state_dir))
    else:
        api.fault(
            name, node, fault_name, _parameters(parameters or []), state_dir=_state(state_dir)
        )


@app.command("plug")
def plug(
    node: str, place: str | None = None, lab: LabName = None, state_dir: StateDir = None
) -> None:
    """Plug an ONT in."""
    from lab import api

    api.plug(_name(lab, state_dir), node, place=place, state_dir=_state(state_dir))


@app.command("unplug")
def unplug(node: str, lab: LabName = None, state_dir: StateDir = None) -> None:
    """Pull an ONT out."""
    from lab import api

    api.unplug(_name(lab, state_dir), node, state_dir=_state(state_dir))


def _state(given: Path | None) -> Path:
    from turnup.environment import state_dir

    return state_dir(given)


def _name(given: str | None, state_dir: Path | None) -> str:
    from lab import api

    if given:
        return given
    running = list(api.inspect(None, _state(state_dir)))
    if len(running) != 1:
        raise InvalidInput(
            f"{len(running)} labs run here ({', '.join(running) or 'none'}); name one."
        )
    return str(running[0])


def _parameters(texts: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise InvalidInput(f"{text}: write parameters as key=value.")
        parameters[name] = int(value) if value.isdigit() else value
    return parameters
