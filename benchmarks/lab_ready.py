"""How long a lab of mixed devices takes until every one of them answers: ``lab_ready.py [N…]``.

Prints per size: seconds from the call of `lab.api.up` to its return (the new process, its imports
and the probe of every node included), the CPU seconds and the memory of the lab's process.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from lab import api, state

SIZES = (50, 300, 1000)
MIX = (
    [{"sim-role": "olt", "sim-model": "bbf-olt", "sim-pon-ports": "16"}] * 5
    + [{"sim-role": "router", "sim-model": "eos"}] * 2
    + [{"sim-role": "bng", "sim-model": "generic-bng", "pool-ipv4": "100.64.0.0/20"}]
    + [
        {"sim-role": "acs", "sim-model": "acs"},
        {"sim-role": "wifi-controller", "sim-model": "wifi"},
    ]
)
TARGET_S = {50: 2.0, 1000: 3.0}


def topology(size: int, path: Path) -> Path:
    """Write a topology of `size` devices: of ten, 5 OLTs, 2 routers, BNG, ACS, Wi-Fi controller."""
    nodes = {f"node-{n}": {"kind": "linux", "labels": dict(MIX[n % len(MIX)])} for n in range(size)}
    links = [
        {"endpoints": [f"node-{n}:uplink-1", f"node-{n + 1}:Ethernet1"]} for n in range(size - 1)
    ]
    file = path / f"bench-{size}.clab.yml"
    content = {"name": f"bench-{size}", "topology": {"nodes": nodes, "links": links}}
    file.write_text(yaml.safe_dump(content))
    return file


def measure(size: int, directory: Path) -> tuple[float, float, float]:
    """Return seconds until ready, CPU seconds and MB (resident) of the lab's process."""
    file = topology(size, directory)
    started = time.perf_counter()
    info = api.up(file, directory, owner_pid=os.getpid())
    ready = time.perf_counter() - started
    try:
        return ready, *_process(info.state_dir)
    finally:
        api.down(info.name, directory)


def _process(directory: Path) -> tuple[float, float]:
    lab = state.read_json(directory / "lab.json") or {}
    proc = Path("/proc") / str(lab["pid"])
    if not proc.exists():
        return float("nan"), float("nan")
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    pages = int((proc / "statm").read_text().split()[1])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def rows(sizes: tuple[int, ...]) -> Iterator[str]:
    """Yield the table, line by line."""
    yield f"{'devices':>8} {'ready s':>9} {'CPU s':>8} {'MB':>7}  target"
    with tempfile.TemporaryDirectory() as directory:
        for size in sizes:
            ready, cpu, memory = measure(size, Path(directory))
            target = TARGET_S.get(size)
            verdict = (
                "-" if target is None else f"{target:.0f} s {'met' if ready < target else 'MISSED'}"
            )
            yield f"{size:>8} {ready:>9.2f} {cpu:>8.2f} {memory:>7.0f}  {verdict}"


def main() -> None:
    """Print the table."""
    sizes = tuple(int(text) for text in sys.argv[1:]) or SIZES
    for row in rows(sizes):
        print(row, flush=True)


if __name__ == "__main__":
    main()
