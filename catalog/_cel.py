"""CEL without its command line.

Importing the package also imports its shell, and with it prompt_toolkit: a tenth of a server's start for nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402

__all__ = ["cel"]
