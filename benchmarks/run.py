"""Run all benchmarks, one after the other (they need the machine for themselves), and print their tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Run each script beside this one."""
    for script in sorted(HERE.glob("*.py")):
        if script.name != "run.py" and not script.name.startswith("_"):
            print(f"\n## {script.stem}\n", flush=True)
            subprocess.run([sys.executable, "-P", str(script)], check=True, cwd=HERE.parent)


if __name__ == "__main__":
    main()
