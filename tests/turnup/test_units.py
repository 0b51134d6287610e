"""The small parts: order files, where data is, settings from the environment, tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import InvalidInput, NotFound
from tests.turnup.conftest import Run
from turnup.cli._print import table
from turnup.data import catalog_folders, find_file, folder
from turnup.environment import (
    database_url,
    environment_name,
    server_url,
    state_dir,
    synchronous,
)
from turnup.errors import WrongUsage
from turnup.orderfile import fill, items_of, json_object, layer_of, read_order
from turnup.settings import Settings

ROOT = Path(__file__).parents[2]


def test_layers_are_told_by_their_items() -> None:
    assert layer_of({"productOrderItem": []}) == "productOrder"
    assert layer_of({"serviceOrderItem": []}) == "serviceOrder"
    assert layer_of({"orderItem": []}) == "resourceOrder"
    with pytest.raises(InvalidInput, match="no order"):
        layer_of({"item": []})
    assert items_of({"orderItem": [{"id": "1"}]}) == [{"id": "1"}]
    assert items_of({}) == []


@given(st.text())
def test_any_value_survives_in_a_file(value: str) -> None:
    text = fill('{"id": "${id}", "again": "${id}"}', {"id": value, "unused": "x"}, "f")
    try:
        value.encode()
    except UnicodeEncodeError:
        with pytest.raises(InvalidInput):
            json_object(text, "f")
    else:
        assert json_object(text, "f") == {"id": value, "again": value}


def test_values_that_are_missing_are_all_named() -> None:
    with pytest.raises(WrongUsage, match=r"f needs --set a=… --set b=…"):
        fill("${b} ${a} ${c}", {"c": ""}, "f")


@pytest.mark.parametrize("file", sorted((ROOT / "examples" / "orders").glob("*.json")), ids=str)
def test_every_example_can_be_read_from_anywhere(run: Run, file: Path) -> None:
    values = ["productId=pr1"] if "productId" in file.read_text() else []
    assert layer_of(read_order(Path(file.name), values))
    assert read_order(Path("examples/orders") / file.name, values) == read_order(file, values)


def test_a_file_here_comes_before_a_shipped_one(run: Run) -> None:
    here = Path("superfibre-200-home.new.json")
    here.write_text('{"orderItem": []}')
    assert read_order(here, []) == {"orderItem": []}


def test_shipped_files_are_found_by_name(run: Run) -> None:
    assert find_file(Path("x/metro.clab.yml"), "topologies") == ROOT / "topologies/metro.clab.yml"
    assert all(place.is_dir() for place in catalog_folders())
    for wrong in ("none.yml", "..", ""):
        if Path(wrong).exists():
            continue
        with pytest.raises(NotFound):
            find_file(Path(wrong), "topologies")
    with pytest.raises(NotFound, match="reinstall"):
        folder("no-such-folder")


def test_settings_given_come_before_the_environment_and_that_before_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DATABASE_URL", "SERVER", "STATE_DIR", "ENVIRONMENT"):
        monkeypatch.delenv(f"TURNUP_{name}", raising=False)
    assert database_url(None) == Settings().database_url == "sqlite:///turnup.db"
    assert server_url(None) == "http://127.0.0.1:8080"
    assert state_dir(None) == Settings().state_dir == Path(".turnup")
    assert environment_name() == Settings().environment == "lab"
    monkeypatch.delenv("TURNUP_SQLITE_SYNCHRONOUS", raising=False)
    assert synchronous() == Settings().synchronous == "FULL"
    monkeypatch.setenv("TURNUP_SQLITE_SYNCHRONOUS", "off")
    with pytest.raises(WrongUsage):
        synchronous()
    monkeypatch.setenv("TURNUP_DATABASE_URL", "sqlite:///e.db")
    monkeypatch.setenv("TURNUP_SERVER", "http://e:1/")
    monkeypatch.setenv("TURNUP_STATE_DIR", "e")
    monkeypatch.setenv("TURNUP_ENVIRONMENT", "staging")
    assert database_url(None) == "sqlite:///e.db"
    assert server_url(None) == "http://e:1"
    assert state_dir(None) == Path("e")
    assert environment_name() == "staging"
    assert database_url("sqlite:///g.db") == "sqlite:///g.db"
    assert server_url("http://g:2") == "http://g:2"
    assert state_dir(Path("g")) == Path("g")


words = st.text("abc", min_size=1, max_size=9)
sentences = st.lists(words, max_size=12).map(" ".join)


@given(st.lists(st.tuples(words, sentences, sentences), min_size=1, max_size=5))
def test_a_table_fits_and_breaks_no_word(rows: list[tuple[str, str, str]]) -> None:
    columns = ("id", "first:FIRST", "second")
    lines = table(
        [dict(zip(("id", "first", "second"), row, strict=True)) for row in rows], columns, 40
    )
    assert all(len(line) <= 40 for line in lines)
    assert lines[0].split() == ["ID", "FIRST", "SECOND"]
    shown = [word for line in lines[1:] for word in line.split()]
    assert sorted(shown) == sorted(word for row in rows for cell in row for word in cell.split())


def test_a_word_that_is_too_wide_is_not_broken() -> None:
    lines = table([{"id": "x" * 60, "state": "open"}], ("id", "state"), 40)
    assert lines[1] == "x" * 60 + "  open"


def test_cells() -> None:
    row = {"a": {"b": 1}, "none": None, "yes": True, "list": ["x", "y"], "deep": [{"k": 1}]}
    (line,) = table([row], ("a.b", "none", "yes", "list", "deep", "absent.far"), 200)[1:]
    assert line.split() == ["1", "yes", "x,", "y", '{"k":', "1}"]
