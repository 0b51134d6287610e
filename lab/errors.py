"""The lab's one error.

LabError(code): TOPOLOGY_NOT_FOUND, TOPOLOGY_INVALID, LAB_NOT_FOUND, LAB_RUNNING, LAB_START_FAILED,
LAB_UNREACHABLE, NODE_UNKNOWN, NODE_NOT_SIMULATED, NODE_NOT_PLUGGABLE, FAULT_UNKNOWN, FAULT_PARAMETER.
"""

from __future__ import annotations


class LabError(Exception):
    """Something about a lab that its user can put right; `code` is stable, the message says how."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
