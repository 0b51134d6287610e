"""`python -m turnup`."""

from __future__ import annotations

from turnup.cli.main import run

if __name__ == "__main__":
    run()
