"""pytest fixtures for tests against a lab.

``lab`` is one lab per test session (option ``--lab-topology FILE``, ini ``lab_topology``; default:
``topologies/metro.clab.yml``), in a temporary state directory; it ends with pytest, however that
ends. ``fresh_lab`` is the same lab with every node booted from the topology and no fault armed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.api import LabInfo, NodeInfo

METRO = Path("topologies") / "metro.clab.yml"


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that is up, with what a test does to it."""

    info: LabInfo
    state_dir: Path

    def node(self, name: str) -> NodeInfo:
        """Return a node by name."""
        return self.info.node(name)

    def state(self, name: str) -> str:
        """Return the node's state now."""
        from lab import api

        nodes = api.inspect(self.info.name, self.state_dir)[self.info.name]
        return str(next(node["state"] for node in nodes if node["name"] == name))

    def fault(self, node: str, fault: str, **params: Any) -> None:
        """Arm a fault until it is cleared."""
        from lab import api

        api.fault(self.info.name, node, fault, params, self.state_dir)

    def clear_faults(self, node: str | None = None) -> None:
        """Disarm the faults of a node, or of all."""
        from lab import api

        api.clear_faults(self.info.name, node, self.state_dir)

    def plug(self, node: str, place: str | None = None) -> dict[str, str]:
        """Plug an ONT in; return ``{olt, port}``."""
        from lab import api

        return api.plug(self.info.name, node, place, self.state_dir)

    def unplug(self, node: str) -> None:
        """Unplug an ONT."""
        from lab import api

        api.unplug(self.info.name, node, self.state_dir)

    def reboot(self, node: str) -> None:
        """Cut a node's power and give it back."""
        from lab import api

        api.reboot(self.info.name, node, self.state_dir)

    def reset(self, node: str | None = None) -> None:
        """Boot a node, or all, from the topology's configuration."""
        from lab import api

        api.reset(self.info.name, node, self.state_dir)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting."""
    help_text = "topology file of the fixture `lab` (default: topologies/metro.clab.yml)"
    parser.getgroup("lab").addoption("--lab-topology", help=help_text)
    parser.addini("lab_topology", help_text)


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that is up for the whole session; tests take nodes of their own, or `fresh_lab`."""
    from lab import api

    state_dir = tmp_path_factory.mktemp("lab")
    info = api.up(_topology(pytestconfig), state_dir, owner_pid=os.getpid())
    yield Lab(info, state_dir)
    api.down(info.name, state_dir)


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """Return the session's lab, reset: no fault armed, nothing plugged, nothing configured."""
    lab.reset()
    return lab


def _topology(config: pytest.Config) -> Path:
    given = config.getoption("--lab-topology") or config.getini("lab_topology")
    if given:
        return Path(config.rootpath, given)
    found = [path for path in _places(config.rootpath) if path.exists()]
    if not found:
        pytest.skip("no topology: give --lab-topology FILE")
    return found[0]


def _places(root: Path) -> Iterator[Path]:
    yield root / METRO
    yield Path(__file__).parents[1] / METRO
    installed = find_spec("turnup")
    for directory in (installed and installed.submodule_search_locations) or ():
        yield Path(directory) / "data" / METRO
