"""How a pool gives and lets rest: drain, declared pressure, quarantine and order of reuse; see `reshape`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from inventory import journal
from inventory.counting.usage import Pool, pool
from inventory.raw import Raw
from inventory.shaping import shifting
from inventory.types import from_micros, to_micros
from store import Tx, to_text
from store.errors import InvalidInput

_MOST_SECONDS = 10 * 366 * 86_400


@shifting.whole
def drain(tx: Tx, id: str, on: bool = True) -> Pool:  # noqa: A002
    """Let a pool give nothing new (POOL_DRAINING), or end that; who holds its values keeps them. Raises PoolNotFound."""
    (shape,) = shifting.locked(tx, id)
    raw = Raw(tx)
    if raw.run(
        "UPDATE pool SET draining = ? WHERE number = ? AND draining <> ?",
        int(on),
        shape.number,
        int(on),
    ):
        what = "drained" if on else "drainEnded"
        journal.note(tx, shape.number, what, before={"draining": not on})
    return pool(tx, id)


@shifting.whole
def declare_pressure(tx: Tx, id: str, *, seconds: int, reason: str) -> Pool:  # noqa: A002
    """Declare that values are short for so long: resting ones may be given out before their time, which is recorded.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        InvalidInput: INVALID_INPUT, no time, or no reason.

    """
    if not (0 < seconds <= _MOST_SECONDS and reason.strip()):
        raise InvalidInput("Declared pressure needs seconds (1 to ten years) and a reason.")
    (shape,) = shifting.locked(tx, id)
    until = tx.now + timedelta(seconds=seconds)
    before = _pressed(Raw(tx), shape.number, to_micros(until), reason)
    journal.note(tx, shape.number, "pressure", until=to_text(until), because=reason, before=before)
    return pool(tx, id)


@shifting.whole
def end_pressure(tx: Tx, id: str) -> Pool:  # noqa: A002
    """End declared pressure before its time; nothing happens when there is none. Raises PoolNotFound."""
    (shape,) = shifting.locked(tx, id)
    found = pool(tx, id)
    if found.pressure is not None:
        before = _pressed(Raw(tx), shape.number, None, None)
        journal.note(tx, shape.number, "pressureEnded", before=before)
    return pool(tx, id)


@shifting.whole
def change(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    quarantine_seconds: int | None = None,
    reuse: str | None = None,
) -> Pool:
    """Change how long released values rest from now on, and in which order values are reused.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        InvalidInput: INVALID_INPUT, seconds or reuse that cannot be.

    """
    if quarantine_seconds is not None and not 0 <= quarantine_seconds <= _MOST_SECONDS:
        raise InvalidInput(f"quarantineSeconds: write 0 to {_MOST_SECONDS}.")
    if reuse not in (None, "lowest", "oldest"):
        raise InvalidInput("reuse: write lowest or oldest.")
    (shape,) = shifting.locked(tx, id)
    was = pool(tx, id)
    wanted = {
        "quarantineSeconds": (was.quarantine_seconds, quarantine_seconds),
        "reuse": (was.reuse, reuse),
    }
    changed = {
        name: pair for name, pair in wanted.items() if pair[1] is not None and pair[0] != pair[1]
    }
    if changed:
        Raw(tx).run(
            "UPDATE pool SET quarantine_seconds = ?, reuse = ? WHERE number = ?",
            was.quarantine_seconds if quarantine_seconds is None else quarantine_seconds,
            reuse or was.reuse,
            shape.number,
        )
        now_so = {name: new for name, (_, new) in changed.items()}
        before = {name: old for name, (old, _) in changed.items()}
        journal.note(tx, shape.number, "changed", **now_so, before=before)
    return pool(tx, id)


def _pressed(raw: Raw, number: int, until: int | None, reason: str | None) -> dict[str, Any]:
    """Set declared pressure; return what the journal keeps of the one before."""
    row = raw.one("SELECT pressure_until, pressure_reason FROM pool WHERE number = ?", number)
    raw.run(
        "UPDATE pool SET pressure_until = ?, pressure_reason = ? WHERE number = ?",
        until,
        reason,
        number,
    )
    was, why = row or (None, None)
    return {
        "pressureUntil": None if was is None else to_text(from_micros(was)),
        "pressureReason": why,
    }
