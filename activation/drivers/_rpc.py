"""NETCONF messages: what is said to a device and how its answers are read (RFC 6241)."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from activation.drivers.base import DeviceMessage

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
CAP_BASE_10 = "urn:ietf:params:netconf:base:1.0"
CAP_BASE_11 = "urn:ietf:params:netconf:base:1.1"
CAP_CANDIDATE = "urn:ietf:params:netconf:capability:candidate:1.0"
CAP_CONFIRMED = "urn:ietf:params:netconf:capability:confirmed-commit:1.1"
CAP_VALIDATE = (
    "urn:ietf:params:netconf:capability:validate:1.0",
    "urn:ietf:params:netconf:capability:validate:1.1",
)
CAP_ROLLBACK = "urn:ietf:params:netconf:capability:rollback-on-error:1.0"
CAP_STARTUP = "urn:ietf:params:netconf:capability:startup:1.0"

RPC_REPLY = f"{{{BASE}}}rpc-reply"
NOTIFICATION = "{urn:ietf:params:xml:ns:netconf:notification:1.0}notification"
_NS = {"nc": BASE}
_DATA = f"{{{BASE}}}data"
_ERROR = f"{{{BASE}}}rpc-error"


class Garbage(Exception):
    """What the peer sent is no NETCONF message; the session cannot be trusted any more."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What the device said of itself."""

    session_id: str
    capabilities: frozenset[str]
    """Capability URIs without their parameters (`?module=...`)."""

    def has(self, *names: str) -> bool:
        """Return whether one of `names` is offered."""
        return not self.capabilities.isdisjoint(names)


def client_hello() -> bytes:
    """Return our hello: both framings, nothing else (RFC 6241 §8.1)."""
    capabilities = "".join(
        f"<capability>{name}</capability>" for name in (CAP_BASE_10, CAP_BASE_11)
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><hello xmlns="{BASE}">'
        f"<capabilities>{capabilities}</capabilities></hello>"
    ).encode()


def parse_hello(root: etree._Element) -> Hello:
    """Read the device's hello.

    Raises:
        Garbage: no hello, no session-id, or no common base capability.
    """
    session_id = (root.findtext("nc:session-id", namespaces=_NS) or "").strip()
    names = {
        (node.text or "").strip().partition("?")[0]
        for node in root.iterfind("nc:capabilities/nc:capability", _NS)
    }
    if root.tag != f"{{{BASE}}}hello" or not session_id:
        msg = "the device's first message is no hello with a session-id"
        raise Garbage(msg)
    if names.isdisjoint((CAP_BASE_10, CAP_BASE_11)):
        msg = "the device speaks neither NETCONF base:1.0 nor base:1.1"
        raise Garbage(msg)
    return Hello(session_id, frozenset(names))


def parse(message: bytes) -> etree._Element:
    """Parse one message; no entities, no document type (RFC 6241 §3).

    Raises:
        Garbage: it is not well-formed or has a document type.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(message.strip(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        msg = f"a message that is not XML ({error}): {message[:80]!r}"
        raise Garbage(msg) from error
    if root.getroottree().docinfo.internalDTD is not None:
        msg = "a message with a document type"
        raise Garbage(msg)
    return root


def rpc(message_id: str, operation: str) -> bytes:
    """Return the rpc; `nc:` is bound for `nc:operation` in edits."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><rpc xmlns="{BASE}" xmlns:nc="{BASE}" '
        f'message-id="{message_id}">{operation}</rpc>'
    ).encode()


def well_formed(edit: str) -> str | None:
    """Return why `edit` cannot be the content of `<config>`, None when it can."""
    try:
        etree.fromstring(f'<config xmlns="{BASE}" xmlns:nc="{BASE}">{edit}</config>')
    except (etree.XMLSyntaxError, ValueError) as error:
        return str(error)
    return None


def get_config(selection: str) -> str:
    """Read running, restricted by a subtree filter unless it is empty (§7.1)."""
    return f"<get-config><source><running/></source>{_filter(selection)}</get-config>"


def get(selection: str) -> str:
    """Read running configuration and state (§7.7)."""
    return f"<get>{_filter(selection)}</get>"


def _filter(selection: str) -> str:
    # An empty <filter/> selects nothing (§6.4.2), no filter selects everything (§6.4.1).
    return f'<filter type="subtree">{selection}</filter>' if selection.strip() else ""


def edit_config(edit: str, hello: Hello) -> str:
    """Merge `edit`, byte for byte, into the candidate, all or nothing where the device can (§7.2)."""
    rollback = "<error-option>rollback-on-error</error-option>" if hello.has(CAP_ROLLBACK) else ""
    return (
        "<edit-config><target><candidate/></target><default-operation>merge</default-operation>"
        f"{rollback}<config>{edit}</config></edit-config>"
    )


LOCK = "<lock><target><candidate/></target></lock>"
UNLOCK = "<unlock><target><candidate/></target></unlock>"
DISCARD = "<discard-changes/>"
VALIDATE = "<validate><source><candidate/></source></validate>"
COMMIT = "<commit/>"
SAVE = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
CLOSE = "<close-session/>"


def confirmed_commit(name: str, timeout_s: int, *, renew: bool) -> str:
    """Commit that reverts after `timeout_s` unless confirmed by `name` (§8.4); `renew` extends a pending one."""
    follow = f"<persist-id>{escape(name)}</persist-id>" if renew else ""
    return (
        f"<commit><confirmed/><confirm-timeout>{timeout_s}</confirm-timeout>"
        f"<persist>{escape(name)}</persist>{follow}</commit>"
    )


def confirming_commit(name: str) -> str:
    """Make the pending commit `name` permanent, from any session (§8.4.5.1)."""
    return f"<commit><persist-id>{escape(name)}</persist-id></commit>"


def cancel_commit(name: str) -> str:
    """Undo the pending commit `name`, from any session (§8.4.4.1)."""
    return f"<cancel-commit><persist-id>{escape(name)}</persist-id></cancel-commit>"


def data_text(reply: etree._Element) -> str:
    """Return the content of `<data>` as XML text.

    Raises:
        Garbage: the reply has no data.
    """
    data = reply.find(_DATA)
    if data is None:
        msg = "a reply without <data>"
        raise Garbage(msg)
    return "".join(
        etree.tostring(child, encoding="unicode", with_tail=False)
        for child in data
        if isinstance(child.tag, str)
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """One `rpc-error` (§4.3)."""

    message: DeviceMessage
    warning: bool


def problems(reply: etree._Element) -> list[Problem]:
    """Return every `rpc-error` of a reply, warnings too, in the device's order."""
    return [_problem(error) for error in reply.iterfind(_ERROR)]


def _problem(error: etree._Element) -> Problem:
    def text(name: str) -> str:
        return (error.findtext(f"nc:{name}", namespaces=_NS) or "").strip()

    words = [text("error-message"), text("error-app-tag"), _info(error)]
    tag = text("error-tag") or "operation-failed"
    message = DeviceMessage(
        tag, "; ".join(word for word in words if word) or tag, text("error-path") or None
    )
    return Problem(message, warning=text("error-severity") == "warning")


def _info(error: etree._Element) -> str:
    info = error.find("nc:error-info", _NS)
    if info is None:
        return ""
    return ", ".join(
        f"{etree.QName(node).localname} {(node.text or '').strip()}"
        for node in info
        if isinstance(node.tag, str)
    )
