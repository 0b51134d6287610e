"""A user's own `lab.py` or `store/` beside his script would shadow a package of ours: say so, instead of failing oddly."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "store",
    "tmf",
    "orders",
    "inventory",
    "catalog",
    "activation",
    "com",
    "som",
    "rom",
    "lab",
)


def check_origin() -> None:
    """Exit 2 with NAME_CLASH when one of our packages is found elsewhere than beside this one."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None or found.parent != home / name:
            print(  # noqa: T201
                f"NAME_CLASH: {found} hides turnup's package {name!r}; rename it, or start from another folder.",
                file=sys.stderr,
            )
            sys.exit(2)
