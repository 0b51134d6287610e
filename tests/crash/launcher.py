"""Start the real server such that it kills itself (SIGKILL) just before or just after its n-th commit.

The counting begins when the file named by CRASH_ARMED exists. Product code has no hooks: the commit is wrapped here.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from store.database import Tx

ARMED = Path(os.environ["CRASH_ARMED"])
AT = int(os.environ["CRASH_AT"])
AFTER = os.environ["CRASH_WHEN"] == "after"
COUNT = Path(os.environ["CRASH_COUNT"])

_commit = Tx.commit
_lock = threading.Lock()
_seen = 0


def _counted(self: Tx) -> None:
    global _seen  # noqa: PLW0603
    if not ARMED.exists():
        _commit(self)
        return
    with _lock:
        _seen += 1
        mine = _seen
        COUNT.write_text(str(mine))
    if mine == AT and not AFTER:
        os.kill(os.getpid(), signal.SIGKILL)
    _commit(self)
    if mine == AT:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Wrap the commit and run the command line."""
    Tx.commit = _counted  # type: ignore[method-assign]
    from turnup.cli.main import run

    run()


if __name__ == "__main__":
    main()
