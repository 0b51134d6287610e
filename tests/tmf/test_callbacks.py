"""No callback may lead into the server's own network."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tmf.callbacks import CallbackPolicy
from tmf.errors import CallbackRefused

REFUSED = [
    "http://127.0.0.1/x",
    "http://localhost/x",
    "http://[::1]/x",
    "http://[::ffff:127.0.0.1]/x",
    "http://[::ffff:10.0.0.1]/x",
    "http://[64:ff9b::a00:1]/x",
    "http://[2002:a00:1::]/x",
    "http://10.1.2.3/x",
    "http://192.168.0.1/x",
    "http://172.16.5.5/x",
    "http://100.64.0.1/x",
    "http://169.254.169.254/latest/meta-data",
    "http://[fe80::1]/x",
    "http://[fd00::1]/x",
    "http://0.0.0.0/x",
    "http://224.0.0.1/x",
    "http://255.255.255.255/x",
    "http://2130706433/x",
    "http://0x7f.1/x",
    "ftp://93.184.216.34/x",
    "file:///etc/passwd",
    "http:///x",
    "//93.184.216.34/x",
    "93.184.216.34",
    "http://user:word@93.184.216.34/x",
    "http://93.184.216.34/x#part",
    "http://93.184.216.34:99999/x",
    "http://[::1",
    "http://93.184.216.34/" + "x" * 2000,
]


@pytest.mark.parametrize("callback", REFUSED)
def test_refused(callback: str) -> None:
    with pytest.raises(CallbackRefused):
        CallbackPolicy().targets(callback)


@pytest.mark.parametrize(
    "callback", ["http://93.184.216.34/x", "https://[2606:2800:220:1::1]:8443/x"]
)
def test_public_addresses_are_allowed(callback: str) -> None:
    assert len(CallbackPolicy().targets(callback)) == 1


def test_loopback_is_allowed_to_a_server_on_loopback_only() -> None:
    policy = CallbackPolicy(allow_loopback=True)
    assert policy.targets("http://127.0.0.1:8080/x") == ("127.0.0.1",)
    assert policy.targets("http://localhost:8080/x")
    with pytest.raises(CallbackRefused):
        policy.targets("http://10.0.0.1/x")


def test_private_networks_can_be_allowed_one_by_one() -> None:
    policy = CallbackPolicy(allow_networks=("10.20.0.0/16",))
    assert policy.targets("http://10.20.1.1/x") == ("10.20.1.1",)
    with pytest.raises(CallbackRefused):
        policy.targets("http://10.21.1.1/x")


def test_a_name_is_refused_when_any_of_its_addresses_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(_host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET, 1, 6, "", ("93.184.216.34", port)),
            (socket.AF_INET, 1, 6, "", ("10.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(CallbackRefused, match=r"10\.0\.0\.1"):
        CallbackPolicy().targets("http://rebind.example/x")
