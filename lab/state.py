"""Files of a lab: ``STATE/labs/NAME/`` with lab.json, log, block, keys, Nornir inventory, nodes/."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

DEFAULT = Path(".turnup")


def lab_dir(state_dir: Path, name: str) -> Path:
    """Return the directory of one lab."""
    return state_dir / "labs" / name


def lab_names(state_dir: Path) -> list[str]:
    """Return the names of all labs that run or crashed."""
    return sorted(path.parent.name for path in (state_dir / "labs").glob("*/lab.json"))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in `path`; None when there is none."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content


def write_json(path: Path, content: Mapping[str, Any], *, secret: bool = False) -> None:
    """Write at once or not at all; `secret`: for the owner's eyes only."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600 if secret else 0o644)
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(temporary, path)  # noqa: PTH105


PORTS = {"netconf": 1, "ssh": 2, "eapi": 3, "rest": 4}
"""Nornir knows one port per host: the first of these."""


def write_inventory(path: Path, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Write a Nornir SimpleInventory as containerlab does, and the port that it lacks."""
    hosts = {node["name"]: _host(node) for node in nodes if node["access"]}
    path.write_text("---\n" + yaml.safe_dump(hosts, sort_keys=False))


def _host(node: Mapping[str, Any]) -> dict[str, Any]:
    first = min(node["access"], key=lambda access: PORTS[access["protocol"]])
    labels = node["labels"]
    host: dict[str, Any] = {
        "username": first["username"],
        "password": labels.get("sim-password", "admin"),
        "platform": node["platform"],
        "hostname": first["host"],
        "port": first["port"],
    }
    groups = [value for key, value in labels.items() if key.startswith("nornir-group")]
    return host | ({"groups": groups} if groups else {})
