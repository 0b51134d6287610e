"""Every command on pools against a real server: what it prints in both forms, and how it refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Server, server_on
from tests.turnup.conftest import WIDTH, Ended, Run
from tests.turnup.pool_app import pools_alone

__all__ = ["server_on"]
COMMAND = (sys.executable, "-P", "-m", "turnup")


@pytest.fixture
def pool(run: Run, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run `turnup pool …` against the calls on pools, on each store."""

    def running(*arguments: str) -> Ended:
        ended = run("pool", *arguments)
        assert "Traceback" not in ended.err
        if arguments[0] != "export":
            assert all(len(line) <= WIDTH for line in ended.lines), ended.out
        return ended

    with pools_alone(store_url) as http:
        monkeypatch.setenv("TURNUP_SERVER", str(http.client.base_url))
        yield running


def well(ended: Ended) -> str:
    assert ended.code == 0, ended.err
    return ended.out


def fields(ended: Ended) -> dict[str, str]:
    """Return what is printed as a title and a value per line."""
    lines = (re.split(r"  +", line, maxsplit=1) for line in well(ended).splitlines())
    return {parts[0]: parts[1] for parts in lines if len(parts) == 2}


def values(ended: Ended) -> list[str]:
    return [line.split()[0] for line in well(ended).splitlines()[1:]]


def test_a_pool_is_created_shown_and_used(pool: Run) -> None:
    made = pool(
        *("create", "ipv4", "bng-1", "--prefix", "100.64.0.0/24", "--exclude", "100.64.0.9"),
        *("--band", "static=100.64.0.200-100.64.0.210", "--domain", "red"),
    )
    assert well(made).splitlines()[1].split()[:2] == ["ipv4@bng-1", "252"]
    take = ("allocate", "ipv4@bng-1", "--owner")
    assert values(pool(*take, "cpe/1?", "--count", "3")) == [
        *("100.64.0.2", "100.64.0.3", "100.64.0.4"),
    ]
    assert values(pool(*take, "cpe/1?")) == ["100.64.0.2", "100.64.0.3", "100.64.0.4"]
    assert values(pool(*take, "s%", "--band", "static")) == ["100.64.0.200"]
    assert values(pool(*take, "v", "--value", "100.64.0.77", "--ttl", "600")) == ["100.64.0.77"]
    assert "active" in well(pool("confirm", "ipv4@bng-1", "--owner", "v"))
    assert well(pool("release", "ipv4@bng-1", "--owner", "cpe/1?")).startswith("released")
    assert values(pool("reassign", "ipv4@bng-1", "--owner", "v", "--to", "w")) == ["100.64.0.77"]

    shown = pool("show", "ipv4@bng-1", "--resting", "--limit", "3")
    assert fields(shown)["VALUES"] == "100.64.0.2 to 100.64.0.254"
    assert fields(shown)["DOMAIN"] == "red"
    assert "2 allocated █  0 reserved ▓  3 resting ░  247 free ·  of 252" in shown.out
    assert re.search(r"^\[█░·+\] 0.8 % used$", shown.out, re.MULTILINE)
    assert re.search(r"^static +100.64.0.200 to 100.64.0.210 +11 +10$", shown.out, re.MULTILINE)
    assert "excluded: 100.64.0.9" in shown.out
    assert "1 to 3 of 5 allocations" in shown.out
    whole = pool("show", "ipv4@bng-1", "--output", "json").json
    assert (whole["allocationsTotal"], len(whole["allocations"])) == (2, 2)


def test_who_has_an_address_now_and_then(pool: Run) -> None:
    pool("create", "ipv4-prefix", "region", "--prefix", "10.0.0.0/8", "--prefix-length", "24")
    pool("create", "ipv4", "bng-1", "--parent", "ipv4-prefix@region", "--prefix", "/24")
    pool("allocate", "ipv4@bng-1", "--owner", "cpe-1")
    time.sleep(0.005)
    then = datetime.now(UTC).isoformat()
    found = pool("who", "10.0.0.2")
    assert fields(found)["STATE"] == "active"
    first, second = found.out.split("\n\n")
    assert re.search("^OWNER +cpe-1$", first, re.MULTILINE)
    assert re.search("^OWNER +pool:ipv4@bng-1$", second, re.MULTILINE)
    pool("release", "ipv4@bng-1", "--owner", "cpe-1")
    now = pool("who", "10.0.0.2", "--kind", "ipv4")
    assert fields(now)["STATE"] == "quarantined"
    assert fields(now)["RESTS UNTIL"]
    past = pool("who", "10.0.0.2", "--kind", "ipv4", "--at", then)
    assert fields(past)["STATE"] == "active"
    assert "1" in well(pool("show", "ipv4@bng-1", "--at", then)).split("allocated")[0]
    assert fields(pool("who", "10.0.0.3", "--kind", "ipv4"))["STATE"] == "free"
    assert "no pool has it" in well(pool("who", "192.0.2.1"))
    assert "--kind" in well(pool("who", "17"))
    assert "cpe-1" in well(pool("who", "--owner", "cpe-1", "--at", then))
    assert well(pool("who", "--owner", "cpe-1")) == "cpe-1: no pool has it\n"
    assert pool("who", "10.0.0.2", "--output", "json").json[0]["pool"] == "ipv4@bng-1"


def test_a_set_is_all_or_nothing(pool: Run) -> None:
    pool("create", "ipv4", "bng-1", "--prefix", "100.64.0.0/24")
    pool("create", "s-vlan", "tiny", "--first", "5", "--last", "5")
    taken = pool("set", "ipv4@bng-1", "c-vlan@bng-1/100=17", "--owner", "line-1")
    rows = [line.split()[:3] for line in well(taken).splitlines()[1:]]
    assert rows == [["ipv4@bng-1", "100.64.0.2", "active"], ["c-vlan@bng-1/100", "17", "active"]]
    pool("allocate", "s-vlan@tiny", "--owner", "somebody")
    refused = pool("set", "ipv4@bng-1", "s-vlan@tiny", "--owner", "line-2").refused(
        "POOL_EXHAUSTED"
    )
    assert "sets.0.items.1" in refused
    assert "no pool has it" in well(pool("who", "--owner", "line-2"))
    Path("sets.json").write_text(
        json.dumps({"sets": [{"owner": "line-3", "items": [{"pool": "ipv4@bng-1"}]}]})
    )
    answer = pool("set", "--file", "sets.json", "--output", "json").json
    assert answer["sets"][0]["items"][0]["allocations"][0]["owner"] == "line-3"


def test_a_pool_is_reshaped(pool: Run) -> None:
    pool("create", "s-vlan", "a", "--first", "100", "--last", "199")
    pool("allocate", "s-vlan@a", "--owner", "me", "--value", "180")
    assert "150" in well(pool("grow", "s-vlan@a", "--last", "249"))
    assert "120" in well(pool("shrink", "s-vlan@a", "--last", "219"))
    assert "'me'" in pool("shrink", "s-vlan@a", "--last", "150").refused("POOL_IN_USE")
    assert values(pool("split", "s-vlan@a", "--at", "150", "--scope", "b")) == [
        *("s-vlan@a", "s-vlan@b"),
    ]
    pool("move", "s-vlan@b", "--to", "s-vlan@a", "--first", "150", "--last", "160")
    assert "draining" in well(pool("drain", "s-vlan@a"))
    pool("allocate", "s-vlan@a", "--owner", "x").refused("POOL_DRAINING")
    assert "draining" not in well(pool("drain", "s-vlan@a", "--off"))
    pressed = pool("pressure", "s-vlan@a", "--seconds", "60", "--reason", "late delivery")
    assert "pressure" in well(pressed).splitlines()[1]
    assert "late delivery" in well(pool("events", "s-vlan@a"))
    assert "pressure" not in well(pool("pressure", "s-vlan@a", "--end")).splitlines()[1]
    changed = pool("change", "s-vlan@a", "--quarantine-seconds", "5", "--output", "json").json
    assert changed["quarantineSeconds"] == 5
    pool("remove", "s-vlan@b").refused("POOL_IN_USE")
    pool("release", "s-vlan@b", "--owner", "me")
    assert well(pool("remove", "s-vlan@b")) == "removed s-vlan@b\n"
    assert values(pool("list")) == ["s-vlan@a"]
    assert well(pool("events", "s-vlan@b")).splitlines()[-1].split()[1] == "removed"


def test_kinds_are_shown_and_declared(pool: Run) -> None:
    assert "msisdn" in well(pool("kinds"))
    Path("kind.yaml").write_text("{name: trunk-id, render: digits, digits: 4, scope: switch}\n")
    assert "trunk-id" in well(pool("kinds", "--declare", "kind.yaml"))
    pool("create", "trunk-id", "sw-1", "--first", "0007", "--last", "0010")
    assert values(pool("allocate", "trunk-id@sw-1", "--owner", "x")) == ["0007"]
    Path("kind.yaml").write_text("{name: bad, render: nothing}\n")
    pool("kinds", "--declare", "kind.yaml").refused("KIND_INVALID")
    Path("kind.yaml").write_text("{")
    pool("kinds", "--declare", "kind.yaml").refused("INVALID_INPUT")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_is_exported_can_be_imported_elsewhere(
    pool: Run, form: str, tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool("create", "ipv4", "bng-1", "--prefix", "100.64.0.0/24", "--band", "s=100.64.0.200")
    pool("create", "s-vlan", "x", "--first", "1", "--last", "9")
    pool("allocate", "ipv4@bng-1", "--owner", "=cpe/é,1", "--count", "2")
    only = well(pool("export", "--format", form, "--kind", "s-vlan", "--no-allocations"))
    assert "bng-1" not in only
    exported = well(pool("export", "--format", form))
    file = tmp_path / f"pools.{form}"
    file.write_bytes(exported.encode())
    again = pool("import", str(file), "--output", "json").json
    assert again["allocations"] == {"created": 0, "unchanged": 2}

    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.write_bytes(sqlite_template.read_bytes())
    with pools_alone(f"sqlite:///{elsewhere}") as other:
        monkeypatch.setenv("TURNUP_SERVER", str(other.client.base_url))
        assert well(pool("import", str(file))).split()[3:] == [
            *("pools", "2", "0", "allocations", "2", "0"),
        ]
        assert well(pool("export", "--format", form)) == exported
        pool("release", "ipv4@bng-1", "--owner", "=cpe/é,1")
        pool("allocate", "ipv4@bng-1", "--owner", "other", "--value", "100.64.0.3").refused(
            "VALUE_QUARANTINED"
        )


def test_a_file_with_wrong_lines_is_told_line_by_line(pool: Run) -> None:
    Path("bad.csv").write_text("kind,scope,value,owner\nipv4,nope,100.64.0.9,me\nzz,x,1,me\n")
    ended = pool("import", "bad.csv")
    assert ended.code == 1
    assert ended.err.startswith("IMPORT_INVALID: Nothing was imported: line 2")
    assert [line.split()[0] for line in ended.lines] == ["LINE", "2", "3"]
    pool("import", "absent.csv").refused("NOT_FOUND")
    pool("import", ".").refused("INVALID_INPUT")
    Path("bad.json").write_text("{")
    pool("import", "bad.json").refused("MALFORMED_JSON")


@pytest.mark.parametrize(
    "arguments",
    [
        ("who",),
        ("who", "1", "--owner", "x"),
        ("who", "1", "--at", "yesterday"),
        ("set",),
        ("set", "ipv4@x"),
        ("set", "ipv4@x", "--owner", "me", "--file", "x"),
        ("create", "ipv4"),
        ("create", "ipv4", "x", "--band", "nothing"),
        ("change", "ipv4@x"),
        ("pressure", "ipv4@x"),
        ("pressure", "ipv4@x", "--seconds", "5"),
        ("pressure", "ipv4@x", "--seconds", "5", "--reason", "x", "--end"),
        ("move", "ipv4@x"),
        ("split", "ipv4@x", "--at", "1"),
        ("export", "--format", "xml"),
        ("list", "--limit", "0"),
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    run("pool", *arguments).refused("WRONG_USAGE", exit_code=2)


# -- with orders, and with processes ----------------------------------------------------------------


def test_an_orders_address_names_its_line_and_item(
    server_on: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNUP_SERVER", server_on.url)
    before = datetime.now(UTC).isoformat()
    order, product = server_on.new_line()
    held = [
        one
        for found in server_on.get("/turnup/v1/pools", kind="ipv4")
        for one in server_on.get(f"/turnup/v1/pools/{found['id']}/allocations")
    ]
    (mine,) = held
    found = fields(run("pool", "who", mine["text"], "--kind", "ipv4"))
    assert found["STATE"] == "active"
    assert found["ORDERED BY"].startswith("order ")
    assert found["LINE"]
    assert server_on.get(f"/turnup/v1/instances/{found['RESOURCE']}")["line"] == found["LINE"]
    shown = run("pool", "who", mine["text"], "--kind", "ipv4", "--at", before)
    assert fields(shown)["STATE"] == "free"
    refused = run("pool", "release", mine["pool"], "--owner", mine["owner"])
    refused.refused("OWNED_BY_ORDER")
    at_work = datetime.now(UTC).isoformat()
    server_on.cease(product)
    rests = fields(run("pool", "who", mine["text"], "--kind", "ipv4"))
    assert (rests["STATE"], rests["ENDED BY"][:6]) == ("quarantined", "order ")
    then = fields(run("pool", "who", mine["text"], "--kind", "ipv4", "--at", at_work))
    assert (then["STATE"], then["LINE"]) == ("active", found["LINE"])
    assert order["state"] == "completed"


def test_a_server_process_and_command_processes(store_url: str, tmp_path: Path) -> None:
    arguments = ("serve", "--runtime", "none", "--port", "0", "--database", store_url)
    log = tmp_path / "serve.log"
    with log.open("w") as out:
        server = subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=out)
    try:
        url = _address(log)

        def pool(*words: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [*COMMAND, "pool", *words],
                cwd=tmp_path,
                env=os.environ | {"TURNUP_SERVER": url},
                capture_output=True,
                check=False,
            )

        assert pool("create", "s-vlan", "a/b", "--first", "1", "--last", "2").returncode == 0
        assert pool("allocate", "s-vlan@a/b", "--owner", "x/é?%").returncode == 0
        sheet = pool("export", "--format", "csv").stdout
        assert "x/é?%".encode() in sheet
        # as RFC 4180 has it: nothing on the way may turn its line ends into others
        assert sheet.count(b"\r\n") == sheet.count(b"\n") == 3
        full = pool("allocate", "s-vlan@a/b", "--owner", "y", "--count", "2")
        assert (full.returncode, full.stdout) == (1, b"")
        assert full.stderr.startswith(b"POOL_EXHAUSTED: ")
        assert httpx.get(f"{url}/turnup/v1/pools/s-vlan@a%2Fb").json()["allocated"] == 1
    finally:
        server.terminate()
        assert server.wait(20) == 0


def _address(log: Path) -> str:
    deadline = time.monotonic() + 60
    while True:
        found = re.search(r"serving on (http://\S+)", log.read_text())
        if found:
            break
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    while True:
        try:
            httpx.get(f"{found[1]}/healthz").raise_for_status()
        except httpx.HTTPError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return found[1]
