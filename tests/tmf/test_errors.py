"""Every code of this room has a page, and remote refusals keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmf.errors
from store import Conflict, TurnupError
from tmf.errors import RemoteRefused, error_body

PAGES = Path(__file__).parents[2] / "docs" / "errors"
CODES = sorted(
    {
        kind.code
        for kind in vars(tmf.errors).values()
        if isinstance(kind, type)
        and issubclass(kind, TurnupError)
        and kind.__module__ == "tmf.errors"
    }
)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_page(code: str) -> None:
    lines = (PAGES / f"{code}.md").read_text("utf-8").splitlines()
    assert lines[0] == f"# {code}"
    assert len(lines) <= 15
    assert code in (tmf.errors.__doc__ or "")


def test_error_body() -> None:
    assert error_body(Conflict("No.", details={"a": 1})) == {
        "@type": "Error",
        "code": "CONFLICT",
        "reason": Conflict.reason,
        "message": "No.",
        "status": "409",
        "referenceError": "/docs/errors/CONFLICT",
        "details": {"a": 1},
    }


def test_a_remote_refusal_looks_like_the_refusal_itself() -> None:
    there = Conflict("No.", details={"a": 1})
    here = RemoteRefused("No.", status=409, body=error_body(there))
    assert error_body(here) | {"details": {}} == error_body(there) | {"details": {}}
    assert RemoteRefused.code == "REMOTE_REFUSED"
    assert RemoteRefused("?", status=500, body={}).status == 502
