"""Calls of a source: pages, patience, and a token that only goes where it belongs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from inventory.sources import Client, Patience
from inventory.sources.errors import (
    SourceAnswerInvalid,
    SourceDenied,
    SourceInvalid,
    SourceRefused,
    SourceUnreachable,
)
from tests.sources import likeness

ADDRESSES = "ipam/ip-addresses/"


class Waits(list[float]):
    """How long the client waited; it does not really."""


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def client(netbox: Any, waits: Waits) -> Iterator[Client]:
    patience = Patience(attempts=4, backoff_s=1.0, longest_wait_s=10.0, connect_s=1, read_s=0.5)
    made = Client(
        netbox.url,
        f"Token {likeness.TOKEN}",
        label="NetBox sot",
        patience=patience,
        sleep=waits.append,
    )
    yield made
    made.close()


def listed(client: Client) -> list[str]:
    return [one["address"] for page in client.pages(ADDRESSES, {}, 3) for one in page]


def test_all_pages_are_read_though_next_names_another_host(client: Client, netbox: Any) -> None:
    for n in range(1, 9):
        netbox.put("ipam/ip-addresses", address=f"10.0.0.{n}/24")
    assert listed(client) == [f"10.0.0.{n}/24" for n in range(1, 9)]
    assert len(netbox.requests) == 3


def test_what_is_deleted_while_pages_are_read_hides_nothing(client: Client, netbox: Any) -> None:
    made = [netbox.put("ipam/ip-addresses", address=f"10.0.0.{n}/24") for n in range(1, 9)]

    def deleting(request: Any) -> None:
        if request.query["offset"] == ["3"]:
            netbox.fault = None
            netbox.drop("ipam/ip-addresses", made[0])
            netbox.drop("ipam/ip-addresses", made[1])

    netbox.fault = deleting
    assert set(listed(client)) == {f"10.0.0.{n}/24" for n in range(1, 9)}


def test_a_smaller_page_than_asked_for_is_no_end(client: Client, netbox: Any) -> None:
    netbox.page = 2
    for n in range(1, 8):
        netbox.put("ipam/ip-addresses", address=f"10.0.0.{n}/24")
    assert len(listed(client)) == 7


def test_retry_after_in_seconds_and_as_a_date(client: Client, netbox: Any, waits: Waits) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=5), usegmt=True)
    answers = iter(
        [
            likeness.Answer(429, {}, {"Retry-After": "2"}),
            likeness.Answer(503, {}, {"Retry-After": soon}),
        ]
    )
    netbox.fault = lambda _: next(answers, None)
    assert listed(client) == []
    assert waits[0] == 2
    assert 3 <= waits[1] <= 5


def test_backoff_grows_and_ends(client: Client, netbox: Any, waits: Waits) -> None:
    netbox.fault = lambda _: likeness.Answer(502, b"<html>Bad Gateway</html>")
    with pytest.raises(SourceUnreachable, match="502"):
        listed(client)
    assert len(netbox.requests) == 4
    assert [0.5 <= waits[0] <= 1, 1 <= waits[1] <= 2, 2 <= waits[2] <= 4] == [True] * 3


def test_a_dropped_connection_is_tried_again(client: Client, netbox: Any) -> None:
    answers = iter([likeness.Answer(None), likeness.Answer(None)])
    netbox.fault = lambda _: next(answers, None)
    assert listed(client) == []


def test_a_create_that_may_have_arrived_is_not_repeated(client: Client, netbox: Any) -> None:
    netbox.fault = lambda _: likeness.Answer(None, after=True)
    with pytest.raises(SourceUnreachable):
        client.post(ADDRESSES, {"address": "10.0.0.1/24"})
    assert len(netbox.sent("POST")) == len(netbox.all("ipam/ip-addresses")) == 1


def test_a_slow_answer_is_given_up(client: Client, netbox: Any) -> None:
    netbox.fault = lambda _: likeness.Answer(200, {}, delay_s=1.0)
    with pytest.raises(SourceUnreachable):
        client.post(ADDRESSES, {})


def test_nobody_there(waits: Waits) -> None:
    client = Client("http://127.0.0.1:9", "Token x", label="NetBox sot", sleep=waits.append)
    with pytest.raises(SourceUnreachable, match="NetBox sot does not answer"):
        client.get("status/")
    assert len(waits) == 3
    client.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_not_tried_again(
    client: Client, netbox: Any, status: int
) -> None:
    netbox.fault = lambda _: likeness.Answer(status, {"detail": "Invalid token"})
    with pytest.raises(SourceDenied, match="Invalid token") as error:
        client.get("status/")
    assert len(netbox.requests) == 1
    assert likeness.TOKEN not in str(error.value) + repr(client)


def test_the_sources_own_words_are_kept(client: Client) -> None:
    with pytest.raises(SourceRefused, match="is not a valid choice"):
        client.post(ADDRESSES, {"address": "10.0.0.1/24", "status": "odd"})


@pytest.mark.parametrize(
    "answer",
    [
        likeness.Answer(200, b"<html>login</html>"),
        likeness.Answer(200, {"detail": "no page"}),
        likeness.Answer(200, []),
        likeness.Answer(302, None, {"Location": "https://login.invalid/"}),
    ],
)
def test_what_is_no_page_is_said_to_be_none(client: Client, netbox: Any, answer: Any) -> None:
    netbox.fault = lambda _: answer
    with pytest.raises(SourceAnswerInvalid):
        listed(client)
    assert len(netbox.requests) == 1


def test_an_authority_that_is_none(tmp_path: Any) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SourceInvalid, match="holds no certificates"):
        Client("https://a.invalid", "Token x", label="x", ca_path=str(tmp_path / "ca.pem"))
