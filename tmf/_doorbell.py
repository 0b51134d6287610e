"""Who to wake when events have been committed on a database; spares every deliverer a poll."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

Listener = Callable[[Collection[str]], None]


class Doorbell:
    """Listeners of one database; rung with the ids of the subscriptions that have something new."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def attach(self, listener: Listener) -> None:
        """Ring this one too from now on."""
        self._listeners = (*self._listeners, listener)

    def detach(self, listener: Listener) -> None:
        """Leave it in peace."""
        self._listeners = tuple(other for other in self._listeners if other != listener)

    def ring(self, subscription_ids: Collection[str]) -> None:
        """Tell all listeners, in the caller's thread; they must not block."""
        for listener in self._listeners:
            listener(subscription_ids)


_bells: WeakKeyDictionary[Engine, Doorbell] = WeakKeyDictionary()
_guard = threading.Lock()


def doorbell(engine: Engine) -> Doorbell:
    """Return the one doorbell of a database."""
    with _guard:
        return _bells.setdefault(engine, Doorbell())
