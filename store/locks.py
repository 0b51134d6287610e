"""One process writes: a file lock beside the SQLite file, an advisory lock on PostgreSQL."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any

from sqlalchemy.engine import make_url

from store.errors import DatabaseInUse

_ADVISORY_KEY = 0x7475726E7570  # "turnup"


class DatabaseLock:
    """The right to run the embedded executor on a database; freed by the system when its process dies."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file: IO[str] | None = None
        self._connection: Any = None

    def acquire(self) -> None:
        """Take the lock at once or raise DatabaseInUse."""
        url = make_url(self._url)
        if url.get_backend_name() != "sqlite":
            self._acquire_advisory()
        elif url.database not in (None, "", ":memory:"):
            self._acquire_file(Path(f"{url.database}.lock"))

    def release(self) -> None:
        """Give the lock back."""
        if self._file:
            self._file.close()
        if self._connection:
            self._connection.close()
        self._file = self._connection = None

    def _acquire_file(self, path: Path) -> None:
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            self._file = None
            raise DatabaseInUse(
                f"{path.stem} is open for writing in process {owner}; stop it, or use another --database."
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def _acquire_advisory(self) -> None:
        import psycopg

        self._connection = psycopg.connect(self._url.replace("+psycopg", ""), autocommit=True)
        row = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s)", (_ADVISORY_KEY,)
        ).fetchone()
        if not row[0]:
            self.release()
            raise DatabaseInUse(
                "Another server runs on this PostgreSQL database; stop it, or use another one."
            )
