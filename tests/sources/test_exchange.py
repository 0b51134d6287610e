"""Over HTTP and on the command line: sources are registered, imported and pushed; the token is nowhere."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from activation.credentials import Credentials
from inventory import allocator
from inventory.tables import source as source_table
from store import Database
from tests.sources import likeness
from tests.sources.conftest import fill
from tmf.errors import install
from turnup.cli._errors import reported
from turnup.cli.app import app as commands
from turnup.exchange import Exchange
from turnup.http import sources

PATH = "/turnup/v1/sources"
Json = dict[str, Any]


@dataclass
class Server:
    url: str
    base: Database
    exchange: Exchange
    imported: list[str]


@pytest.fixture
def server(store: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The routes in a server of their own."""
    monkeypatch.setenv("SOT_TOKEN", likeness.TOKEN)
    imported: list[str] = []
    exchange = Exchange(store, Credentials(), lambda: imported.append("devices"))
    http = FastAPI()
    install(http)
    http.include_router(sources.router(store, exchange))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(http, log_level="error"))
    thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}", store, exchange, imported)
    running.should_exit = True
    thread.join()
    listening.close()
    exchange.stop()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as made:
        yield made


def body(there: Any, **more: Any) -> Json:
    return {"name": "sot", "type": there.kind, "url": there.url, "tokenRef": "env:SOT_TOKEN"} | more


def take(server: Server, owner: str) -> str:
    with server.base.write() as tx:
        return allocator.take(tx, kind="ipv4", scope="bng-1", owner=owner)[0].text


def test_import_take_and_push(server: Server, client: httpx.Client, there: Any) -> None:
    assert client.post(PATH, json=body(there)).status_code == 201
    report = client.post(f"{PATH}/sot/import").json()
    assert (report["state"], report["version"], report["findings"]) == ("done", "4.6.8", [])
    assert "ipv4@bng-1" in report["created"]
    assert server.imported == ["devices"]
    text = take(server, "line-1")
    pushed = client.post(f"{PATH}/sot/push").json()
    assert (pushed["created"], pushed["changes"]["done"]) == (1, 1)
    answer = client.get(f"{PATH}/sot/changes", params={"state": "done"})
    assert answer.headers["X-Total-Count"] == "1"
    (change,) = answer.json()
    assert (change["value"], change["owner"], change["wanted"]) == (text, "line-1", "reserved")
    shown = client.get(f"{PATH}/sot").json()
    assert shown["lastImport"]["run"] == 1
    assert shown["changes"] == {"waiting": 0, "parked": 0, "done": 1}


def test_the_token_of_netbox_4_5_is_a_bearers(
    client: httpx.Client, netbox: Any, tmp_path: Path
) -> None:
    fill(netbox)
    (tmp_path / "token").write_text(likeness.TOKEN_2 + "\n")
    reference = f"file:{tmp_path / 'token'}"
    client.post(PATH, json=body(netbox, tokenRef=reference))
    assert client.post(f"{PATH}/sot/import").status_code == 200


def test_the_token_is_nowhere(
    server: Server, client: httpx.Client, netbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fill(netbox)
    client.post(PATH, json=body(netbox))
    netbox.fault = lambda _: likeness.Answer(403, {"detail": "Invalid token"})
    refused = client.post(f"{PATH}/sot/import")
    assert (refused.status_code, refused.json()["code"]) == (502, "SOURCE_DENIED")
    shown = client.get(f"{PATH}/sot").text + refused.text + caplog.text
    with server.base.read() as rx:
        shown += str(rx.execute(select(source_table)).mappings().all())
    assert "env:SOT_TOKEN" in shown
    assert likeness.TOKEN not in shown
    assert client.get(f"{PATH}/sot").json()["lastImport"]["failed"]["code"] == "SOURCE_DENIED"


def test_a_reference_to_another_file_sends_nothing(
    client: httpx.Client, netbox: Any, tmp_path: Path
) -> None:
    (tmp_path / "passwd").write_text("root:x:0:0\nbin:x:1:1\n")
    client.post(PATH, json=body(netbox, tokenRef=f"file:{tmp_path / 'passwd'}"))
    refused = client.post(f"{PATH}/sot/import")
    assert refused.json()["code"] == "CREDENTIAL_MISSING"
    assert netbox.requests == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://192.0.2.1"},
        {"url": "ftp://127.0.0.1"},
        {"url": "https://user:secret@netbox.example.net"},
        {"url": "https://netbox.example.net/?token=secret"},
        {"url": "https://"},
        {"url": "http://localhost.example.net"},
        {"tokenRef": "secret"},
        {"tokenRef": "lab:admin"},
        {"name": "a b"},
        {"name": ""},
        {"rules": {"prefixes": [{"matches": {}}]}},
        {"rules": {"prefixes": [{"prefixLength": 0}]}},
    ],
)
def test_bad_descriptions_are_refused(client: httpx.Client, netbox: Any, wrong: Json) -> None:
    refused = client.post(PATH, json=body(netbox) | wrong)
    assert (refused.status_code, refused.json()["code"]) == (400, "SOURCE_INVALID")
    assert "secret@" not in refused.text
    assert client.get(PATH).json() == []


def test_http_to_another_machine_must_be_wanted(client: httpx.Client, netbox: Any) -> None:
    wanted = body(netbox, url="http://192.0.2.1", insecure=True)
    assert client.post(PATH, json=wanted).status_code == 201


def test_names_and_numbers_that_are_not_there(client: httpx.Client, netbox: Any) -> None:
    for call in ("import", "push"):
        assert client.post(f"{PATH}/none/{call}").json()["code"] == "SOURCE_NOT_FOUND"
    client.post(PATH, json=body(netbox))
    assert client.post(PATH, json=body(netbox)).json()["code"] == "SOURCE_EXISTS"
    missing = client.post(f"{PATH}/sot/changes/7/retry")
    assert (missing.status_code, missing.json()["code"]) == (404, "SOURCE_CHANGE_NOT_FOUND")
    assert client.get(f"{PATH}/sot/changes", params={"colour": "red"}).status_code == 400


def test_a_source_is_changed_and_forgotten(client: httpx.Client, netbox: Any) -> None:
    fill(netbox)
    client.post(PATH, json=body(netbox, url="http://127.0.0.1:9"))
    down = client.post(f"{PATH}/sot/import")
    assert (down.status_code, down.json()["code"]) == (503, "SOURCE_UNREACHABLE")
    wrong = client.patch(f"{PATH}/sot", json={"colour": "red"})
    assert wrong.status_code == 400
    rules: Json = {"vlanGroups": [], "prefixes": [{"match": {"tag": ["turnup"], "family": 4}}]}
    changed = client.patch(f"{PATH}/sot", json={"url": netbox.url, "rules": rules}).json()
    assert changed["rules"]["vlanGroups"] == []
    assert client.post(f"{PATH}/sot/import").json()["created"] == ["ipv4@bng-1"]
    assert client.delete(f"{PATH}/sot").json()["code"] == "SOURCE_IN_USE"
    client.post(PATH, json=body(netbox, name="other"))
    assert client.delete(f"{PATH}/other").status_code == 204
    assert [one["name"] for one in client.get(PATH).json()] == ["sot"]


def test_a_long_import_goes_on_behind_and_keeps_pushes_out(
    server: Server, client: httpx.Client, netbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turnup.exchange._BUSY_WAIT_S", 0.05)
    fill(netbox)
    client.post(PATH, json=body(netbox))
    go_on = threading.Event()

    def waiting(request: Any) -> None:
        if request.path.endswith("/prefixes/"):
            go_on.wait(10)

    netbox.fault = waiting
    running = client.post(f"{PATH}/sot/import", params={"wait": 0})
    assert (running.status_code, running.json()["state"]) == (202, "running")
    assert client.get(f"{PATH}/sot").json()["importing"]
    busy = client.post(f"{PATH}/sot/push")
    assert (busy.status_code, busy.json()["code"]) == (409, "SOURCE_BUSY")
    go_on.set()
    done = client.post(f"{PATH}/sot/import").json()
    assert (done["state"], done["run"]) == ("done", 1)


def test_rounds_push_by_themselves(server: Server, client: httpx.Client, netbox: Any) -> None:
    fill(netbox)
    client.post(PATH, json=body(netbox, name="down", url="http://127.0.0.1:9"))
    client.post(PATH, json=body(netbox))
    client.post(f"{PATH}/sot/import")
    take(server, "line-1")
    server.exchange.round()
    assert len(netbox.sent("POST")) == 1
    server.exchange.round()
    assert len(netbox.sent("POST")) == 1


# -- command line -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def turnup(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("TURNUP_SERVER", server.url)
    monkeypatch.setenv("COLUMNS", "160")

    def running(*arguments: str) -> Ended:
        capsys.readouterr()
        code = reported(partial(commands, list(arguments), prog_name="turnup"))
        return Ended(code, *capsys.readouterr())

    return running


def test_the_command_line(turnup: Run, server: Server, netbox: Any, tmp_path: Path) -> None:
    fill(netbox)
    rules = tmp_path / "rules.yaml"
    rules.write_text("vlanGroups: []\n")
    added = turnup(
        "source",
        "add",
        "sot",
        "netbox",
        netbox.url,
        "--token",
        "env:SOT_TOKEN",
        "--rules",
        str(rules),
    )
    assert added.code == 0, added.err
    imported = turnup("source", "import", "sot")
    assert imported.code == 0, imported.err
    assert "ipv4@bng-1" in imported.out
    taken = take(server, "line-1")
    netbox.put("ipam/ip-addresses", address=f"{taken}/24", dns_name="intruder")
    assert turnup("source", "push", "sot").code == 1
    listed = turnup("source", "changes", "sot", "--state", "parked")
    assert "SOURCE_CONFLICT" in listed.out
    netbox.drop("ipam/ip-addresses", netbox.all("ipam/ip-addresses")[-1])
    assert turnup("source", "retry", "sot").code == 0
    assert turnup("source", "push", "sot").code == 0
    shown = json.loads(turnup("source", "list", "--output", "json").out)
    assert shown[0]["changes"] == {"waiting": 0, "parked": 0, "done": 1}
    netbox.put("ipam/ip-addresses", address="100.64.0.77/24")
    assert "100.64.0" not in turnup("source", "show", "sot").out
    assert turnup("source", "set", "sot").code == 2
    assert turnup("source", "remove", "sot").err.startswith("SOURCE_IN_USE: ")


def test_findings_end_with_1(turnup: Run, netbox: Any) -> None:
    fill(netbox)
    netbox.all("ipam/prefixes")[0]["custom_fields"] = {}
    turnup("source", "add", "sot", "netbox", netbox.url, "--token", "env:SOT_TOKEN")
    ended = turnup("source", "import", "sot")
    assert ended.code == 1
    assert "SOURCE_INVALID" in ended.out
