"""HTTP Basic authentication (RFC 7617) of a node's one account."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping


def authenticated(headers: Mapping[str, str], username: str, password: str) -> bool:
    """Whether the Authorization header carries exactly this name and password."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(token.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, f"{username}:{password}".encode())
