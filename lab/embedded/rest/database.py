"""The database of a REST node: one file per resource, written whole before the answer goes out.

Such systems have no running and startup: what was answered with success is there after a power cut.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_SUFFIX = ".json"


@dataclass(frozen=True)
class Stored:
    """A resource as it is now. `revision` grows with every change in the collection."""

    body: dict[str, Any]
    revision: int

    @property
    def etag(self) -> str:
        """Strong entity tag (RFC 9110 §8.8.3)."""
        digest = hashlib.sha256(json.dumps(self.body, sort_keys=True).encode()).hexdigest()
        return f'"{self.revision}-{digest[:12]}"'


class Database:
    """One collection in a folder of its own; ids are those of the resources.

    Args:
        durable: wait for the disk at every write; without, a crash of the whole machine may lose it.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder, self._durable = folder, durable
        self._stored: dict[str, Stored] = {}
        self._revision = 0
        self.loaded = False

    def load(self) -> None:
        """Read what the last run left."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stored = {
            unquote(path.name.removesuffix(_SUFFIX)): Stored(**json.loads(path.read_text("utf-8")))
            for path in sorted(self._folder.glob(f"*{_SUFFIX}"))
        }
        self._revision = max((one.revision for one in self._stored.values()), default=0)
        self.loaded = True

    def close(self) -> None:
        """Forget what is in memory, as the power is gone."""
        self._stored, self.loaded = {}, False

    def ids(self) -> list[str]:
        """All ids, sorted."""
        return sorted(self._stored)

    def get(self, key: str) -> Stored | None:
        """The resource, or None."""
        return self._stored.get(key)

    def put(self, key: str, body: dict[str, Any]) -> Stored:
        """Create or replace; on disk when this returns."""
        stored = Stored(body, self._revision + 1)
        text = json.dumps({"body": body, "revision": stored.revision})
        _write(self._path(key), text, self._durable)
        self._revision, self._stored[key] = stored.revision, stored
        return stored

    def delete(self, key: str) -> None:
        """Forget the resource; harmless when there is none."""
        self._path(key).unlink(missing_ok=True)
        self._stored.pop(key, None)

    def _path(self, key: str) -> Path:
        return self._folder / (quote(key, safe="") + _SUFFIX)


def _write(path: Path, text: str, durable: bool) -> None:
    fresh = path.with_name(path.name + "~")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    fresh.replace(path)
