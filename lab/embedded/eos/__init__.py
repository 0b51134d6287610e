"""A simulated Arista EOS router: eAPI with configuration sessions and commit timer."""

from __future__ import annotations

from lab.embedded.device import NodeContext
from lab.embedded.eos.router import EosRouter

__all__ = ["EosRouter", "build"]


def build(context: NodeContext) -> EosRouter:
    """The factory that the lab process calls."""
    return EosRouter(context)
