"""The operations of RFC 6241, from the `<rpc>` element to the content of `<rpc-reply>`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from lab.embedded.faults import LOCK_HOLDER, FaultSet, Refused
from lab.embedded.netconf import edit
from lab.embedded.netconf.data import EMPTY, Branch, merge
from lab.embedded.netconf.datastores import (
    CANDIDATE,
    DATASTORES,
    STARTUP,
    Confirm,
    Datastores,
)
from lab.embedded.netconf.edit import Element, Operation, elements, text_of
from lab.embedded.netconf.render import select, to_xml
from lab.embedded.netconf.rpcerror import RpcError, denied, in_use, invalid
from lab.embedded.netconf.schema import Schema

OK = "<ok/>"
CAPABILITIES = (
    "urn:ietf:params:netconf:base:1.0",
    "urn:ietf:params:netconf:base:1.1",
    "urn:ietf:params:netconf:capability:candidate:1.0",
    "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
    "urn:ietf:params:netconf:capability:startup:1.0",
)
DEFAULT_TIMEOUT_S = 600


class Device(Protocol):
    """What the operations need of the device they run on."""

    schema: Schema
    stores: Datastores
    faults: FaultSet
    changing: asyncio.Lock
    """Held while datastores are read and changed in one go."""

    def state(self) -> Branch:
        """Return operational state."""

    def alive(self, session: int) -> bool:
        """Return whether the session has not been killed."""

    def kill(self, session: int) -> bool:
        """End another session; False: there is none of that id."""


@dataclass(frozen=True, slots=True)
class Request:
    """One operation of one session."""

    device: Device
    session: int
    element: Element


Handler = Callable[[Request], Awaitable[str]]


async def execute(device: Device, session: int, rpc: Element) -> str:
    """Run the operation in `rpc` and return the content of its reply.

    Raises:
        RpcError, Errors: nothing was done.
    """
    operation = next(elements(rpc), None)
    if operation is None:
        raise RpcError(
            "missing-element",
            "the rpc holds no operation",
            info={"bad-element": "operation"},
            kind="rpc",
        )
    # By local name: napalm's IOS-XR driver sends <get> in the namespace ...:base:1.1.
    name = etree.QName(operation).localname
    handler = HANDLERS.get(name)
    if handler is None:
        raise RpcError("operation-not-supported", f"{name} is not supported", kind="protocol")
    return await handler(Request(device, session, operation))


# reading


async def _get(request: Request) -> str:
    device = request.device
    return _data(request, merge(device.stores.running, device.state()))


async def _get_config(request: Request) -> str:
    source = _datastore(request, "source")
    return _data(request, request.device.stores.get(source))


def _data(request: Request, tree: Branch) -> str:
    schema = request.device.schema
    wanted = _child(request.element, "filter")
    if wanted is not None:
        if wanted.get("type", "subtree") != "subtree":
            raise RpcError(
                "bad-attribute",
                "only filters of type subtree are supported",
                info={"bad-attribute": "type", "bad-element": "filter"},
                kind="protocol",
            )
        tree = select(schema, tree, wanted)
    return f"<data>{to_xml(schema, tree)}</data>"


# editing


async def _edit_config(request: Request) -> str:
    device = request.device
    _writable(request)
    config = _needed(request.element, "config")
    test = _word(request.element, "test-option", ("test-then-set", "set", "test-only"), None)
    errors = ("stop-on-error", "rollback-on-error", "continue-on-error")
    if _word(request.element, "error-option", errors, "stop-on-error") == "continue-on-error":
        raise RpcError("operation-not-supported", "error-option continue-on-error", kind="protocol")
    operations = ("merge", "replace", "none")
    default = Operation(_word(request.element, "default-operation", operations, "merge") or "")
    async with device.changing:
        device.stores.check_free(request.session, CANDIDATE)
        _ask_faults(request, config)
        tree = edit.apply(device.schema, device.stores.candidate, config, default)
        # RFC 7950 §8.3.3: on a candidate, constraints wait for validate or commit unless asked for.
        if test in {"test-then-set", "test-only"}:
            device.stores.validate(tree)
        if test != "test-only":
            device.stores.stage(request.session, tree)
    return OK


def _writable(request: Request) -> None:
    target = _datastore(request, "target")
    if target != CANDIDATE:
        raise RpcError(
            "operation-not-supported",
            f"{target} cannot be edited; edit the candidate and commit it",
            kind="protocol",
        )


def _ask_faults(request: Request, config: Element) -> None:
    _check_not_held(request)
    if request.device.faults.get("reject") is None:
        return
    text = "\n".join(_paths(config, "")) + etree.tostring(config, encoding="unicode")
    try:
        request.device.faults.refuse_edit(text)
    except Refused as refused:
        raise RpcError("operation-failed", str(refused), app_tag="fault") from None


def _paths(parent: Element, path: str) -> Iterator[str]:
    for child in elements(parent):
        at = f"{path}/{etree.QName(child).localname}"
        yield at
        yield from _paths(child, at)


def _check_not_held(request: Request) -> None:
    if request.device.faults.locked:
        raise in_use(f"the configuration is locked by session {LOCK_HOLDER}")


async def _copy_config(request: Request) -> str:
    device = request.device
    target = _datastore(request, "target")
    async with device.changing:
        _check_not_held(request)
        tree = _source_tree(request)
        match target:
            case "startup":
                device.stores.save(request.session, tree)
            case "candidate":
                device.stores.stage(request.session, tree)
            case _:
                _writable(request)
    return OK


async def _delete_config(request: Request) -> str:
    target = _datastore(request, "target")
    if target != STARTUP:
        raise RpcError("operation-not-supported", f"{target} cannot be deleted", kind="protocol")
    async with request.device.changing:
        request.device.stores.save(request.session, EMPTY)
    return OK


async def _validate(request: Request) -> str:
    request.device.stores.validate(_source_tree(request))
    return OK


def _source_tree(request: Request) -> Branch:
    """The tree that `<source>` names or, as `<config>`, holds."""
    source = _needed(request.element, "source")
    inline = _child(source, "config")
    if inline is not None:
        return edit.apply(request.device.schema, EMPTY, inline, Operation.MERGE)
    return request.device.stores.get(_datastore(request, "source"))


# commit


async def _commit(request: Request) -> str:
    device, session = request.device, request.session
    persist_id = _text(request.element, "persist-id")
    confirm = _confirm(request.element)
    async with device.changing:
        _check_not_held(request)
        device.stores.check_commit(session, persist_id)
        device.stores.validate(device.stores.candidate)
        try:
            await device.faults.commit()
        except Refused as refused:
            raise RpcError("operation-failed", str(refused), app_tag="fault") from None
        if not device.alive(session):
            raise RpcError("operation-failed", "the session was killed", kind="protocol")
        device.stores.commit(session, persist_id, confirm)
    return OK


def _confirm(element: Element) -> Confirm | None:
    persist = _text(element, "persist")
    timeout = _text(element, "confirm-timeout")
    if _child(element, "confirmed") is None:
        if persist is not None or timeout is not None:
            raise invalid(
                "persist and confirm-timeout need confirmed", **{"bad-element": "persist"}
            )
        return None
    if timeout is not None and not (timeout.isdigit() and 0 < int(timeout) < 2**32):
        raise invalid(
            f"confirm-timeout is seconds, at least 1: {timeout!r}",
            **{"bad-element": "confirm-timeout"},
        )
    return Confirm(float(timeout or DEFAULT_TIMEOUT_S), persist)


async def _cancel_commit(request: Request) -> str:
    async with request.device.changing:
        request.device.stores.cancel(request.session, _text(request.element, "persist-id"))
    return OK


async def _discard_changes(request: Request) -> str:
    async with request.device.changing:
        request.device.stores.stage(request.session, request.device.stores.running)
    return OK


# locks and sessions


async def _lock(request: Request) -> str:
    target = _datastore(request, "target")
    if request.device.faults.locked:
        raise denied(LOCK_HOLDER)
    request.device.stores.lock(request.session, target)
    return OK


async def _unlock(request: Request) -> str:
    async with request.device.changing:
        request.device.stores.unlock(request.session, _datastore(request, "target"))
    return OK


async def _close_session(request: Request) -> str:  # noqa: ARG001
    return OK


async def _kill_session(request: Request) -> str:
    text = _text(request.element, "session-id") or ""
    if not text.isdigit() or int(text) == request.session or not request.device.kill(int(text)):
        raise invalid(f"no other session has the id {text!r}", **{"bad-element": "session-id"})
    return OK


HANDLERS: dict[str, Handler] = {
    "get": _get,
    "get-config": _get_config,
    "edit-config": _edit_config,
    "copy-config": _copy_config,
    "delete-config": _delete_config,
    "validate": _validate,
    "commit": _commit,
    "cancel-commit": _cancel_commit,
    "discard-changes": _discard_changes,
    "lock": _lock,
    "unlock": _unlock,
    "close-session": _close_session,
    "kill-session": _kill_session,
}


# parameters


def _child(element: Element, name: str) -> Element | None:
    return next((e for e in elements(element) if etree.QName(e).localname == name), None)


def _needed(element: Element, name: str) -> Element:
    child = _child(element, name)
    if child is None:
        raise RpcError(
            "missing-element",
            f"{etree.QName(element).localname} needs {name}",
            info={"bad-element": name},
            kind="protocol",
        )
    return child


def _text(element: Element, name: str) -> str | None:
    child = _child(element, name)
    return None if child is None else text_of(child)


def _word(element: Element, name: str, allowed: tuple[str, ...], default: str | None) -> str | None:
    word = _text(element, name)
    if word is not None and word not in allowed:
        raise invalid(f"{name} {word!r} is none of {', '.join(allowed)}", **{"bad-element": name})
    return word or default


def _datastore(request: Request, parameter: str) -> str:
    holder = _needed(request.element, parameter)
    name = next((etree.QName(child).localname for child in elements(holder)), "")
    if name not in DATASTORES:
        raise RpcError(
            "operation-not-supported" if name == "url" else "bad-element",
            f"{parameter} {name!r} is none of {', '.join(DATASTORES)}",
            info={"bad-element": name or parameter},
            kind="protocol",
        )
    return name
