"""Rules are data: which record fits, what a template gives, and what the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from inventory.sources import parse_rules
from inventory.sources.errors import SourceInvalid
from inventory.sources.port import Prefix, VlanGroup
from inventory.sources.rest import pick
from inventory.sources.rules import Match, facts, filled

PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
RECORD = Prefix(
    id="7",
    prefix="100.64.0.0/24",
    domain="red",
    status="active",
    role="subscribers",
    site="east",
    tags=("turnup", "cgnat"),
    fields={"bng": {"value": "bng-1", "label": "BNG 1"}, "empty": None},
)


def test_the_rules_of_the_documentation_are_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    rules = parse_rules(yaml.safe_load(text))
    assert rules.prefixes[1].prefix_length == 56
    assert rules.ranges == ()
    assert rules.write_back.owner_field == "turnup_owner"


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"tag": ["Turnup"]}, True),
        ({"tag": ["other"]}, False),
        ({"tag": ["other", "cgnat"]}, True),
        ({"status": ["active", "reserved"], "family": 4}, True),
        ({"family": 6}, False),
        ({"domain": ["red"]}, True),
        ({"domain": ["global"]}, False),
        ({"role": ["servers"]}, False),
        ({"site": ["EAST"]}, True),
        ({"fields": {"bng": "bng-1"}}, True),
        ({"fields": {"bng": "bng-2"}}, False),
    ],
)
def test_what_fits(match: dict[str, Any], *, fits: bool) -> None:
    assert Match.model_validate(match).fits(facts(RECORD, family=4)) is fits


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{site}", "east"),
        ("{fields.none|fields.empty|site}", "east"),
        ("{fields.bng}/{site}", "bng-1/east"),
        ("{fields.none}", None),
        ("fixed", "fixed"),
        ("{domain}", "red"),
    ],
)
def test_templates(template: str, text: str | None) -> None:
    assert filled(template, facts(RECORD)) == text


def test_no_vrf_is_called_global() -> None:
    assert facts(Prefix(id="1", prefix="10.0.0.0/8"))["domain"] == "global"
    assert "domain" not in facts(VlanGroup(id="1", name="metro"))


def test_a_wrong_rule_says_where() -> None:
    with pytest.raises(SourceInvalid, match=r"rules\.devices\.0\.port"):
        parse_rules({"devices": [{"port": 0}]})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", 1),
        ("a.none|a.b", 1),
        ("list.*.n", [1, 2]),
        ("list.0.n", 1),
        ("list.7.n", None),
        ("none.b", None),
        ("empty|a.b", 1),
    ],
)
def test_where_a_field_stands(path: str, found: Any) -> None:
    entry = {"a": {"b": 1}, "list": [{"n": 1}, {"n": 2}], "none": None, "empty": ""}
    assert pick(entry, path) == found
