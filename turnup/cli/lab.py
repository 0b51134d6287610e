"""`turnup lab`: bring a topology up as answering devices, look at it, break it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from turnup.cli._print import Output, OutputOption, print_json, print_table
from turnup.errors import WrongUsage

app = typer.Typer(help="A network on this machine.", no_args_is_help=True)
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="State folder (TURNUP_STATE_DIR)"),
]
LabName = Annotated[
    str | None, typer.Option("--lab", metavar="NAME", help="Which lab, when several run")
]
NameArgument = Annotated[str | None, typer.Argument(help="Which lab, when several run")]
FAULTS = "down, latency ms=N, drop rpc=N [when=before|after], reject [path=P], commit-fail [times=N], lock, slow-commit ms=N"


@app.command("up")
def up(
    file: Annotated[
        Path, typer.Argument(help="Topology (containerlab's format), or a shipped one")
    ],
    runtime: Annotated[str, typer.Option(help="How it runs: embedded")] = "embedded",
    reconfigure: Annotated[
        bool, typer.Option("--reconfigure", help="Boot from the topology's configuration")
    ] = False,
    owner_pid: Annotated[
        int | None, typer.Option(metavar="PID", help="The lab ends when this process ends")
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Start a lab and return when every device answers its protocol."""
    if runtime != "embedded":
        raise WrongUsage(f"--runtime {runtime} is not there yet; use embedded.")
    from lab import api
    from turnup.data import find_file

    topology = find_file(file, "topologies")
    info = api.up(topology, _state(state_dir), reconfigure=reconfigure, owner_pid=owner_pid)
    how = "started" if info.started else "were up already"
    typer.echo(f"{info.name}: {len(info.nodes)} nodes {how}; inventory in {info.state_dir}")


@app.command("down")
def down(name: NameArgument = None, state_dir: StateDir = None) -> None:
    """Stop a lab (a power cut: what was not saved is lost)."""
    from lab import api

    api.down(name, _state(state_dir))
    typer.echo(f"{name or 'the lab'} is down")


@app.command("inspect")
def inspect(
    name: NameArgument = None,
    state_dir: StateDir = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the nodes of running labs, where they answer, and the faults armed on them."""
    from lab import api

    answer = api.inspect(name, _state(state_dir))
    if output is Output.JSON:
        print_json(answer)
        return
    nodes = [_node(node) for lab in answer.values() for node in lab]
    print_table(nodes, ("lab_name:LAB", "name", "role", "state", "access"))
    for lab in answer:
        for armed in api.faults(lab, _state(state_dir)):
            parameters = " ".join(f"{k}={v}" for k, v in armed["params"].items())
            typer.echo(f"fault on {lab} {armed['node']}: {armed['fault']} {parameters}".rstrip())


@app.command("fault")
def fault(
    node: str,
    fault_name: Annotated[str, typer.Argument(metavar="FAULT", help=f"{FAULTS}; or clear")],
    parameters: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The fault's parameters")
    ] = None,
    lab: LabName = None,
    state_dir: StateDir = None,
) -> None:
    """Arm a fault on a node, or clear its faults."""
    from lab import api

    given = _parameters(parameters or [])
    if fault_name == "clear":
        if given:
            raise WrongUsage("clear takes no parameters: it clears all faults of the node.")
        api.clear_faults(lab, node, state_dir=_state(state_dir))
        typer.echo(f"{node}: no faults")
        return
    api.fault(lab, node, fault_name, given, state_dir=_state(state_dir))
    typer.echo(f"{node}: {' '.join([fault_name, *(parameters or [])])}")


@app.command("plug")
def plug(
    node: Annotated[str, typer.Argument(help="An ONT of the topology")],
    place: Annotated[
        str | None,
        typer.Option(help="Place or place-id; default: where an OLT expects its serial number"),
    ] = None,
    lab: LabName = None,
    state_dir: StateDir = None,
) -> None:
    """Plug an ONT in."""
    from lab import api

    found = api.plug(lab, node, place=place, state_dir=_state(state_dir))
    typer.echo(f"{node}: plugged in at {found['olt']}/{found['port']}")


@app.command("unplug")
def unplug(
    node: Annotated[str, typer.Argument(help="An ONT of the topology")],
    lab: LabName = None,
    state_dir: StateDir = None,
) -> None:
    """Pull an ONT out."""
    from lab import api

    api.unplug(lab, node, state_dir=_state(state_dir))
    typer.echo(f"{node}: unplugged")


def _state(given: Path | None) -> Path:
    from turnup.environment import state_dir

    return state_dir(given)


def _node(node: dict[str, Any]) -> dict[str, Any]:
    access = [f"{a['protocol']} {a['username']}@{a['host']}:{a['port']}" for a in node["access"]]
    return {**node, "access": access}


def _parameters(texts: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise WrongUsage(f"{text}: write parameters as key=value.")
        parameters[name] = value
    return parameters
