"""Nodes with HTTPS are cheap: fifty of them are up long before anybody has typed the next command."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

from lab.embedded.device import LocalLink
from lab.embedded.rest.bench import Bench

NODES = 50
LIMIT_S = 2.0
"""CPU seconds: on a busy machine wall time says nothing of us."""


def test_fifty_nodes_start_in_two_seconds(tmp_path: Path) -> None:
    links = [LocalLink(f"Ethernet{n}", "x", f"uplink-{n}") for n in range(1, 11)]
    models = ("eos", "acs", "wifi")
    with Bench(tmp_path) as bench:
        nodes = [
            bench.build(f"node-{n}", models[n % len(models)], links=links) for n in range(NODES)
        ]
        start = time.process_time()
        for node in nodes:
            bench.call(node.simulator.start())
        took = time.process_time() - start
        trusting = ssl.create_default_context(cafile=bench.ca)
        for node in nodes:
            with (
                socket.create_connection((node.context.host, node.port), timeout=5) as plain,
                trusting.wrap_socket(plain, server_hostname=node.context.host) as session,
            ):
                assert session.version() == "TLSv1.3"
    assert took < LIMIT_S
