"""NETCONF driver: mode A by confirmed-commit:1.1 with persist, else B with candidate, else it refuses.

RFC 6241 (operations), RFC 6242 (framing). Without a candidate nothing can be checked before it is active,
so such a device is not driven at all rather than driven worse.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from lxml import etree

from activation.drivers import _rpc
from activation.drivers._channel import Channel, SshSettings, connect
from activation.drivers.base import (
    DeviceLocked,
    DeviceMessage,
    DeviceRejected,
    DeviceUnreachable,
    DriverError,
    Endpoint,
    Mode,
    SessionDropped,
)

__all__ = ["NO_SUCH_COMMIT", "NetconfDriver", "NetconfSettings", "SshSettings"]

log = logging.getLogger(__name__)
LOCK_TAGS = frozenset({"lock-denied", "in-use"})
NO_SUCH_COMMIT = "no-such-commit"
_NOTHING_PENDING = re.compile(
    r"no (such |pending |ongoing |confirmed )*commit|not pending", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class NetconfSettings:
    """`commit_timeout_s`: longest answer to validate, commit, confirm and cancel; real OLTs need tens of seconds."""

    ssh: SshSettings = field(default_factory=SshSettings)
    commit_timeout_s: float = 60.0


class NetconfDriver:
    """One NETCONF session. `mode` is what the device offers; it is known after `open`."""

    def __init__(self, endpoint: Endpoint, settings: NetconfSettings | None = None) -> None:
        self.mode = Mode.CONFIRMED
        self.hello: _rpc.Hello | None = None
        self.warnings: tuple[DeviceMessage, ...] = ()
        """Warnings of the last answer."""
        self._endpoint = endpoint
        self._settings = settings or NetconfSettings()
        self._channel: Channel | None = None
        self._locked: str | None = None
        self._staged: str | None = None
        self._provisional: str | None = None

    def __repr__(self) -> str:
        return f"NetconfDriver({self._endpoint!r}, mode={self.mode})"

    @property
    def alive(self) -> bool:
        """Whether a call can still be sent."""
        return self._channel is not None and self._channel.lost is None

    @property
    def holds(self) -> bool:
        """Whether this session holds the candidate lock."""
        return self.alive and self._locked is not None

    async def open(self) -> None:
        """Log in and learn what the device offers.

        Raises:
            DeviceRejected: it offers no candidate, or no base version in common.
        """
        self._channel, self.hello = await connect(self._endpoint, self._settings.ssh)
        if not self.hello.has(_rpc.CAP_CANDIDATE):
            self.abort()
            raise self._refused(
                "it offers no candidate datastore, so nothing could be checked before it is active; "
                "Turnup does not drive it over NETCONF"
            )
        confirmed = self.hello.has(_rpc.CAP_CONFIRMED)
        self.mode = Mode.CONFIRMED if confirmed else Mode.CANDIDATE

    async def close(self) -> None:
        """End the session politely; the device discards what was staged, a named commit stays pending."""
        if self.alive:
            try:
                await self._call(_rpc.CLOSE)
            except DriverError as error:
                log.debug("closing: %s", error)
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        if self._channel is not None:
            self._channel.end("closed by us")
        self._locked = self._staged = None

    async def read(self, selection: str) -> str:
        """Return the content of `<data>` of get-config running with a subtree filter (empty: everything)."""
        return self._data(await self._call(_rpc.get_config(selection)))

    async def read_state(self, selection: str) -> str:
        """Return the content of `<data>` of get with a subtree filter."""
        return self._data(await self._call(_rpc.get(selection)))

    async def lock(self, name: str) -> None:
        """Lock the candidate; it is clean afterwards.

        A lock this session still holds for another name is taken over: names are batches, and only a batch that
        was given up leaves one behind. What that one staged is discarded, so it can commit nothing any more.
        """
        if self.holds:
            self._staged = None
            await self._call(_rpc.DISCARD)
        else:
            await self._call(_rpc.LOCK)
        self._locked, self._staged = name, None

    async def unlock(self, name: str) -> None:
        """Discard what was staged and give the lock back; does nothing when `name` holds none here."""
        if not self.holds or self._locked != name:
            return
        self._staged = None
        try:
            await self._call(_rpc.DISCARD)
        finally:
            if self.alive:
                await self._call(_rpc.UNLOCK)
            self._locked = None

    async def stage(self, name: str, edits: Sequence[str]) -> None:
        """Load each edit into the candidate with an edit-config of its own.

        Raises:
            DeviceRejected: an edit is not XML (nothing sent) or the device refused it; `unlock` discards the rest.
        """
        for edit in edits:
            if why := _rpc.well_formed(edit):
                raise self._refused(f"an edit is not well-formed XML ({why}); nothing was sent")
        self._staged = None
        for edit in edits:
            await self._call(_rpc.edit_config(edit, self._offers()))
        self._staged = name

    async def validate(self, name: str) -> None:
        """Let the device check the candidate, where it offers that."""
        self._must_have_staged(name)
        if self._offers().has(*_rpc.CAP_VALIDATE):
            await self._slow(_rpc.VALIDATE)

    async def commit(self, name: str, timeout_s: int) -> None:
        """Mode A: confirmed commit with persist `name`; again with the same name = renew its timer. Mode B: commit.

        Raises:
            SessionDropped: also when the session that staged `name` is gone; then nothing was committed.
        """
        renew = self._provisional == name
        if not renew:
            self._must_have_staged(name)
        if self.mode is Mode.CONFIRMED:
            await self._slow(_rpc.confirmed_commit(name, timeout_s, renew=renew))
            self._provisional = name
        else:
            await self._slow(_rpc.COMMIT)
        self._staged = None

    async def confirm(self, name: str) -> None:
        """Make the pending commit `name` permanent, from any session.

        Raises:
            DeviceRejected: with tag `no-such-commit` when the device knows none of that name: it was confirmed
                before or has reverted; reading the device tells which.
        """
        self._must_be_confirmed_mode()
        try:
            await self._slow(_rpc.confirming_commit(name))
        except DeviceRejected as error:
            raise self._gone(name, error) if _nothing_pending(error) else error from error
        finally:
            self._provisional = None

    async def cancel(self, name: str) -> None:
        """Undo the pending commit `name`, from any session; harmless when there is none."""
        self._must_be_confirmed_mode()
        self._provisional = None
        try:
            await self._slow(_rpc.cancel_commit(name))
        except DeviceRejected as error:
            if not _nothing_pending(error):
                raise

    async def apply(self, edit: str) -> None:
        """Make one edit active now: lock, edit, validate and commit in one go; all or nothing."""
        name, borrowed = self._locked or "apply", self.holds
        if not borrowed:
            await self.lock(name)
        try:
            await self.stage(name, [edit])
            await self.validate(name)
            await self._slow(_rpc.COMMIT)
            self._staged = None
        except DeviceRejected:
            await self._call(_rpc.DISCARD)
            raise
        finally:
            if not borrowed and self.alive:
                await self.unlock(name)

    async def save(self) -> None:
        """Copy running to startup where the device keeps them apart (:startup)."""
        if self._offers().has(_rpc.CAP_STARTUP):
            await self._slow(_rpc.SAVE)

    async def rpc(self, operation: str) -> etree._Element:
        """Send any operation (XML text) and return its `rpc-reply`; errors raised as for every call."""
        return await self._call(operation)

    async def _slow(self, operation: str) -> None:
        await self._call(operation, max(self._settings.commit_timeout_s, self._endpoint.timeout_s))

    async def _call(self, operation: str, timeout_s: float | None = None) -> etree._Element:
        if self._channel is None:
            raise DeviceUnreachable(self._endpoint.device, "the session is not open")
        reply = await self._channel.rpc(operation, timeout_s or self._endpoint.timeout_s)
        found = _rpc.problems(reply)
        self.warnings = tuple(problem.message for problem in found if problem.warning)
        errors = [problem.message for problem in found if not problem.warning]
        if errors:
            raise self._error(errors)
        return reply

    def _error(self, errors: Sequence[DeviceMessage]) -> DriverError:
        words = "; ".join(
            f"{m.tag}: {m.message}" + (f" at {m.path}" if m.path else "") for m in errors
        )
        if any(message.tag in LOCK_TAGS for message in errors):
            return DeviceLocked(self._endpoint.device, f"locked ({words})", messages=errors)
        return DeviceRejected(self._endpoint.device, f"refused ({words})", messages=errors)

    def _data(self, reply: etree._Element) -> str:
        try:
            return _rpc.data_text(reply)
        except _rpc.Garbage as error:
            self.abort()
            raise SessionDropped(self._endpoint.device, f"it sent {error}") from error

    def _offers(self) -> _rpc.Hello:
        if self.hello is None:
            raise DeviceUnreachable(self._endpoint.device, "the session is not open")
        return self.hello

    def _must_have_staged(self, name: str) -> None:
        # A session that was opened anew has an empty candidate: its commit would succeed and change nothing.
        if self._staged != name or not self.alive:
            raise SessionDropped(
                self._endpoint.device,
                f"the session that staged {name} is gone and the device discarded it; nothing was committed",
            )

    def _must_be_confirmed_mode(self) -> None:
        if self.mode is not Mode.CONFIRMED:
            raise self._refused("it has no confirmed commit; undo with the inverse")

    def _refused(self, why: str) -> DeviceRejected:
        message = DeviceMessage("operation-not-supported", why)
        return DeviceRejected(self._endpoint.device, why, messages=[message])

    def _gone(self, name: str, error: DeviceRejected) -> DeviceRejected:
        message = DeviceMessage(NO_SUCH_COMMIT, f"no pending commit {name}")
        return DeviceRejected(
            self._endpoint.device,
            f"it has no pending commit {name}: confirmed before, or reverted; read it to know which",
            messages=[message, *error.messages],
        )


def _nothing_pending(error: DeviceRejected) -> bool:
    """RFC 6241: a persist-id that does not match is invalid-value; servers also say operation-failed in words."""
    return any(
        message.tag == "invalid-value" or _NOTHING_PENDING.search(message.message)
        for message in error.messages
    )
