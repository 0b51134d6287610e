"""Who runs tasks: the runner (one task) and the embedded executor (threads of this process)."""

from __future__ import annotations

from orders.embedded import EmbeddedExecutor
from orders.model import Executor
from orders.runner import Runner

__all__ = ["EmbeddedExecutor", "Executor", "Runner"]
