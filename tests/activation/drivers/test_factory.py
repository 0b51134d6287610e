"""Which endpoint and which driver; where secrets come from and where they never go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from activation.credentials import CredentialError, Credentials, Secret
from activation.drivers.base import DriverError, Endpoint, Mode
from activation.drivers.eos import EosDriver
from activation.drivers.factory import PROTOCOLS, DriverMissing, Drivers, endpoint_of
from activation.drivers.netconf import NetconfDriver
from activation.drivers.rest import RestDriver


@dataclass(frozen=True)
class Registered:
    endpoints: tuple[Any, ...]
    name: str = "box"
    platform: str = "p"
    host: str = "10.0.0.1"
    credential_ref: str | None = "lab:admin"
    host_key: str | None = "key"
    ca_path: str | None = None


def access(protocol: str, port: int = 1, **more: Any) -> dict[str, Any]:
    return {"protocol": protocol, "port": port, "username": "admin", **more}


CREDENTIALS = Credentials(lab={"admin": "s3cret"})


def test_best_protocol_is_taken() -> None:
    device = Registered(
        (access("ssh"), access("rest", 2), access("netconf", 3), access("netconf", 4))
    )
    endpoint = endpoint_of(device, CREDENTIALS, timeout_s=3)
    assert (endpoint.protocol, endpoint.port, endpoint.host) == ("netconf", 3, "10.0.0.1")
    assert (endpoint.password, endpoint.host_key, endpoint.timeout_s) == ("s3cret", "key", 3)


def test_endpoint_has_its_own_host() -> None:
    device = Registered((access("eapi", host="10.0.0.2"),))
    assert endpoint_of(device, CREDENTIALS).host == "10.0.0.2"


def test_no_driver() -> None:
    with pytest.raises(DriverMissing, match="no driver speaks ssh"):
        endpoint_of(Registered((access("ssh"),)), CREDENTIALS)
    with pytest.raises(DriverMissing, match="telnet"):
        Drivers()(Endpoint("box", "p", "telnet", "h", 23, "u", "p"))


@pytest.mark.parametrize(
    ("protocol", "kind"), [("netconf", NetconfDriver), ("eapi", EosDriver), ("rest", RestDriver)]
)
def test_drivers(protocol: str, kind: type) -> None:
    driver = Drivers()(Endpoint("box", "p", protocol, "h", 1, "u", "s3cret"))
    assert type(driver) is kind
    assert driver.mode == PROTOCOLS[protocol]
    assert not driver.alive
    assert "s3cret" not in repr(driver)
    driver.abort()


def test_modes_are_ordered_by_strength() -> None:
    assert Mode.CONFIRMED < Mode.CANDIDATE < Mode.IMMEDIATE


def test_every_driver_error_has_a_code_of_its_own() -> None:
    def tree(kind: type[DriverError]) -> list[type[DriverError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in tree(child))]

    kinds = tree(DriverError)
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    docs = Path(__file__).parents[3] / "docs" / "errors"
    missing = [code for code in codes if not (docs / f"{code}.md").exists()]
    assert missing == []


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNUP_TEST_SECRET", "s3cret")
    assert Credentials().resolve("env:TURNUP_TEST_SECRET").reveal() == "s3cret"


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret").write_bytes(content.encode())
    assert Credentials().resolve(f"file:{tmp_path}/secret").reveal() == "s3cret"


def test_file_keeps_inner_and_leading_space(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" a b \n")
    assert Credentials().resolve(f"file:{tmp_path}/secret").reveal() == " a b "


@pytest.mark.parametrize(
    "ref", ["env:TURNUP_TEST_NOT_SET", "file:/nowhere/secret", "lab:nobody", "vault:x", "plain", ""]
)
def test_nothing_there(ref: str) -> None:
    with pytest.raises(CredentialError):
        Credentials().resolve(ref)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(CredentialError, match="empty"):
        Credentials().resolve(f"file:{tmp_path}/secret")


@pytest.mark.parametrize("ref", ["hunter2", "Tr0ub4dor:x", "http://u:hunter2@h", "HUNTER2:a"])
def test_password_typed_as_reference_is_not_repeated(ref: str) -> None:
    with pytest.raises(CredentialError) as caught:
        Credentials().resolve(ref)
    assert "hunter2" not in caught.value.message.lower()
    assert "Tr0ub4dor" not in caught.value.message


def test_secrets_do_not_show_themselves() -> None:
    secret = Secret("s3cret")
    assert "s3cret" not in f"{secret} {secret!r} {CREDENTIALS!r} {[secret]}"
