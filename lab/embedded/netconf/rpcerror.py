"""What an `<rpc-error>` says (RFC 6241 §4.3 and appendix A, RFC 7950 §15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
YANG = "urn:ietf:params:xml:ns:yang:1"


@dataclass(frozen=True, slots=True)
class Path:
    """Where in the data something is: steps in XPath form and the prefixes that they use."""

    steps: tuple[str, ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()

    def __truediv__(self, step: str) -> Path:
        """Return the path one plain step (no prefix) further."""
        return Path((*self.steps, step), self.prefixes)

    def child(self, prefix: str, namespace: str, name: str) -> Path:
        """Return the path of a child node; keys follow with `where`."""
        pair = (prefix, namespace)
        prefixes = self.prefixes if pair in self.prefixes else (*self.prefixes, pair)
        return Path((*self.steps, f"{prefix}:{name}"), prefixes)

    def where(self, prefix: str, keys: Mapping[str, str]) -> Path:
        """Return the path with key predicates on its last step."""
        tests = "".join(f"[{prefix}:{name}={_quoted(text)}]" for name, text in keys.items())
        return Path((*self.steps[:-1], self.steps[-1] + tests), self.prefixes)

    def __str__(self) -> str:
        return "/" + "/".join(self.steps)


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else f'"{text}"'


class RpcError(Exception):
    """One error of a request.

    `tag` is RFC 6241's error-tag, `app_tag` RFC 7950's error-app-tag, `info` the content of
    error-info as pairs of element name and text (names of RFC 7950 are known by `yang_info`).
    """

    def __init__(
        self,
        tag: str,
        message: str,
        *,
        path: Path | None = None,
        app_tag: str | None = None,
        info: Mapping[str, str] | None = None,
        kind: str = "application",
    ) -> None:
        super().__init__(message)
        self.tag = tag
        self.message = message
        self.path = path
        self.app_tag = app_tag
        self.info = dict(info or {})
        self.kind = kind

    def to_xml(self) -> str:
        """Return the `<rpc-error>` element, in the namespace of the reply."""
        parts = [
            f"<error-type>{self.kind}</error-type>",
            f"<error-tag>{self.tag}</error-tag>",
            "<error-severity>error</error-severity>",
        ]
        if self.app_tag:
            parts.append(f"<error-app-tag>{escape(self.app_tag)}</error-app-tag>")
        if self.path is not None:
            parts.append(_path_xml(self.path))
        parts.append(f'<error-message xml:lang="en">{escape(self.message)}</error-message>')
        if self.info:
            parts.append(f"<error-info>{''.join(map(_info_xml, self.info.items()))}</error-info>")
        return f"<rpc-error>{''.join(parts)}</rpc-error>"


YANG_INFO = frozenset({"non-unique", "missing-choice"})


def _info_xml(item: tuple[str, str]) -> str:
    name, text = item
    namespace = f' xmlns="{YANG}"' if name in YANG_INFO else ""
    return f"<{name}{namespace}>{escape(text)}</{name}>"


def _path_xml(path: Path) -> str:
    declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in path.prefixes)
    return f"<error-path{declared}>{escape(str(path))}</error-path>"


class Errors(Exception):
    """Several errors of one request: all that a validation found."""

    def __init__(self, found: Sequence[RpcError]) -> None:
        super().__init__("; ".join(error.message for error in found))
        self.found = tuple(found)


def denied(holder: int) -> RpcError:
    """Return the refusal of a lock that session `holder` has (0: not a NETCONF session)."""
    return RpcError(
        "lock-denied",
        f"the lock is held by session {holder}",
        info={"session-id": str(holder)},
        kind="protocol",
    )


def in_use(message: str) -> RpcError:
    """Return the refusal of a request that needs what another session holds."""
    return RpcError("in-use", message, kind="protocol")


def invalid(message: str, **more: str) -> RpcError:
    """Return a refusal of a parameter of the request itself."""
    return RpcError("invalid-value", message, info=more, kind="protocol")
