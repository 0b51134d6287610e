"""Wrong usage is one line and exit 2; what fails is one line and exit 1; never a traceback."""

from __future__ import annotations

import io
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.turnup.conftest import Run
from turnup.origin import PACKAGES

GROUPS = ("lab", "order", "catalog", "pool", "device", "batch", "fallout", "task", "service", "db")
COMMAND = (sys.executable, "-P", "-m", "turnup")


@pytest.mark.parametrize("arguments", [(), *((group,) for group in GROUPS)])
def test_a_group_alone_shows_its_help_and_is_wrong_usage(
    run: Run, arguments: tuple[str, ...]
) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.err.startswith("Usage: turnup")
    assert "Commands:" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("order", "nonsense"),
        ("order", "submit"),
        ("order", "list", "--bogus"),
        ("order", "list", "--output", "xml"),
        ("order", "list", "--layer", "x"),
        ("order", "list", "--limit", "0"),
        ("order", "submit", "superfibre-200-home.cease.json"),
        ("order", "submit", "superfibre-200-home.cease.json", "--set", "productId"),
        ("order", "submit", "superfibre-200-home.cease.json", "--set", "=1"),
        ("order", "list", "--server", "no-address"),
        ("serve", "--host", "0.0.0.0"),
        ("serve", "--port", "99999"),
        ("serve", "--port", "x"),
        ("serve", "--runtime", "packet"),
        ("demo", "--runtime", "packet"),
        ("demo", "--script", "absent.yaml"),
        ("lab", "up", "metro.clab.yml", "--runtime", "containerlab"),
        ("lab", "fault", "bng-1", "latency", "ms"),
        ("lab", "fault", "bng-1", "clear", "ms=3"),
        ("device", "config", "bng-1", "--view", "x"),
        ("device", "config", "bng-1", "--at", "yesterday"),
        ("device", "config", "bng-1", "--view", "running", "--at", "2026-01-01"),
        ("pool", "allocate", "ipv4@bng-1"),
        ("pool", "allocate", "ipv4@bng-1", "--owner", "me", "--count", "0"),
        ("fallout", "skip", "f1"),
        ("fallout", "complete", "f1"),
        ("fallout", "list", "--state", "x"),
        ("task", "complete", "t1", "--result", "garbage"),
        ("task", "complete", "t1", "--result", "[]"),
        ("trace",),
        ("impact",),
        ("catalog", "check"),
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...]) -> None:
    run(*arguments).refused("WRONG_USAGE", exit_code=2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("order", "submit", "superfibre-200-home.new.json"),
        ("order", "simulate", "superfibre-200-home.new.json"),
        ("order", "list"),
        ("order", "show", "po1"),
        ("order", "cancel", "po1"),
        ("pool", "list"),
        ("pool", "release", "ipv4@bng-1", "--owner", "me"),
        ("device", "list"),
        ("device", "audit"),
        ("device", "import", "metro"),
        ("batch", "list"),
        ("fallout", "list"),
        ("fallout", "retry", "f1"),
        ("task", "list"),
        ("service", "show", "se1"),
        ("impact", "bng-1"),
        ("trace", "po1"),
        ("catalog", "load", "."),
    ],
    ids=" ".join,
)
def test_a_server_that_does_not_answer(run: Run, arguments: tuple[str, ...]) -> None:
    assert "turnup serve" in run(*arguments).refused("SERVER_UNREACHABLE")


@contextmanager
def _some_web_server(answer: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize("status", ["200 OK", "502 Bad Gateway"])
def test_a_server_that_is_not_ours(run: Run, status: str) -> None:
    page = f"HTTP/1.1 {status}\r\nContent-Length: 13\r\n\r\n<html>\n</html>"
    with _some_web_server(page.encode()) as url:
        run("order", "list", "--server", url).refused("SERVER_ERROR")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "NOT_FOUND"),
        (b"", "INVALID_INPUT"),
        (b"{", "INVALID_INPUT"),
        (b"[]", "INVALID_INPUT"),
        (b"{}", "INVALID_INPUT"),
        (b'{"productOrderItem": NaN}', "INVALID_INPUT"),
        (b'{"productOrderItem": "\\ud800"}', "INVALID_INPUT"),
        (b"\xff\xfe\x00", "INVALID_INPUT"),
        (b"[" * 100_000, "INVALID_INPUT"),
    ],
)
def test_a_file_that_is_no_order(run: Run, content: bytes | None, code: str) -> None:
    file = Path("order.json")
    if content is not None:
        file.write_bytes(content)
    for command in ("submit", "simulate"):
        assert str(file) in run("order", command, str(file)).refused(code) or content == b"{}"


def test_a_folder_is_no_order(run: Run) -> None:
    Path("folder").mkdir()
    run("order", "submit", "folder").refused("INVALID_INPUT")


def test_an_order_from_stdin(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("{"))
    run("order", "submit", "-").refused("INVALID_INPUT")


@pytest.mark.parametrize(
    "url",
    [
        "garbage",
        "oracle://x",
        "sqlite:////no/such/folder/turnup.db",
        "postgresql://me:hunter2@127.0.0.1:1/x",
    ],
)
def test_a_database_that_cannot_be_opened(run: Run, url: str) -> None:
    for command in (("db", "upgrade"), ("serve", "--runtime", "none", "--port", "0")):
        said = run(*command, "--database", url).refused("DATABASE_UNREACHABLE")
        assert "hunter2" not in said


def test_a_database_is_brought_up_to_date(run: Run) -> None:
    for _ in range(2):
        assert run("db", "upgrade", "--database", "sqlite:///new.db").out.startswith(
            "schema is at "
        )


def test_a_port_that_is_taken_is_told_before_a_database_is_made(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "--port" in run("serve", "--port", str(port)).refused("PORT_IN_USE")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "NOT_FOUND"), (b"\xff\xfe", "TOPOLOGY_INVALID"), (b"a: 3", "TOPOLOGY_INVALID")],
)
def test_a_file_that_is_no_topology(run: Run, content: bytes | None, code: str) -> None:
    if content is not None:
        Path("lab.yml").write_bytes(content)
    run("lab", "up", "lab.yml").refused(code)


def test_no_lab(run: Run) -> None:
    assert run("lab", "inspect").out == "nothing\n"
    assert run("lab", "inspect", "--output", "json").json == {}
    for arguments in (("inspect", "x"), ("down",), ("down", "x"), ("plug", "ont-1")):
        run("lab", *arguments).refused("LAB_NOT_FOUND")


def test_the_catalogs_that_are_shipped_have_no_findings(run: Run) -> None:
    catalogs = str(Path(__file__).parents[2] / "catalogs")
    assert run("catalog", "check", catalogs).out == "no findings\n"
    assert run("catalog", "check", catalogs, "--output", "json").json == []


def test_findings_of_a_catalog(run: Run) -> None:
    Path("bad").mkdir()
    Path("bad/a.yaml").write_text("a: [")
    shown = run("catalog", "check", "bad")
    assert (shown.code, shown.lines[0]) == (1, "CATALOG_INVALID bad/a.yaml")
    (finding,) = run("catalog", "check", "bad", "--output", "json").json
    assert finding.keys() == {"code", "where", "message"}
    assert run("catalog", "check", "absent").code == 1


def _turnup(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process_ends_with_these_codes(tmp_path: Path) -> None:
    assert _turnup("--version", cwd=tmp_path).stdout.startswith("turnup 0")
    wrong = _turnup("order", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    failed = _turnup("order", "list", "--server", "http://127.0.0.1:9", cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("SERVER_UNREACHABLE: ")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_enough_sees_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "--help"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert b"Traceback" not in said
    assert b"BrokenPipe" not in said


def test_help_takes_less_than_a_third_of_a_second_of_cpu(tmp_path: Path) -> None:
    def cpu() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert _turnup("--help", cwd=tmp_path).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu() for _ in range(4)) < 0.3


@pytest.mark.parametrize("name", PACKAGES)
def test_a_file_that_hides_a_package_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("print('shadow')\n")
    ended = subprocess.run(
        [sys.executable, "-m", "turnup", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert ended.stderr.startswith("NAME_CLASH: ")
    assert f"{name}.py" in ended.stderr
