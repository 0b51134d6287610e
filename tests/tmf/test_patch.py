"""Merge Patch and JSON Patch, by the examples of their RFCs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf.errors import InvalidPatch, NotPatchable
from tmf.patch import JsonPatch, MergePatch, Operation, apply_patch, json_patch, merge_patch


@pytest.mark.parametrize(  # RFC 7396 appendix A
    ("doc", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(doc: Any, patch: Any, expected: Any) -> None:
    before = copy.deepcopy((doc, patch))
    assert merge_patch(doc, patch) == expected
    assert (doc, patch) == before


def run(doc: Any, *operations: dict[str, Any]) -> Any:
    return json_patch(doc, [Operation.model_validate(operation) for operation in operations])


@pytest.mark.parametrize(  # RFC 6902 appendix A
    ("doc", "operation", "expected"),
    [
        ({"foo": "bar"}, {"op": "add", "path": "/baz", "value": "q"}, {"foo": "bar", "baz": "q"}),
        (
            {"foo": ["a", "b"]},
            {"op": "add", "path": "/foo/1", "value": "q"},
            {"foo": ["a", "q", "b"]},
        ),
        ({"foo": ["a"]}, {"op": "add", "path": "/foo/-", "value": ["b"]}, {"foo": ["a", ["b"]]}),
        ({"foo": ["a"]}, {"op": "add", "path": "/foo/1", "value": "b"}, {"foo": ["a", "b"]}),
        ({"baz": 1, "foo": 2}, {"op": "remove", "path": "/baz"}, {"foo": 2}),
        ({"foo": ["a", "b", "c"]}, {"op": "remove", "path": "/foo/1"}, {"foo": ["a", "c"]}),
        ({"baz": 1}, {"op": "replace", "path": "/baz", "value": 2}, {"baz": 2}),
        ({"baz": 1}, {"op": "replace", "path": "", "value": [2]}, [2]),
        (
            {"foo": {"w": 1, "x": 2}, "q": {}},
            {"op": "move", "from": "/foo/w", "path": "/q/t"},
            {"foo": {"x": 2}, "q": {"t": 1}},
        ),
        (
            {"foo": ["all", "grass", "cows", "eat"]},
            {"op": "move", "from": "/foo/1", "path": "/foo/3"},
            {"foo": ["all", "cows", "eat", "grass"]},
        ),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"a/b": 1}, {"op": "remove", "path": "/a~1b"}, {}),
        ({"": 1}, {"op": "replace", "path": "/", "value": 2}, {"": 2}),
    ],
)
def test_json_patch(doc: Any, operation: dict[str, Any], expected: Any) -> None:
    before = copy.deepcopy(doc)
    assert run(doc, operation) == expected
    assert doc == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/baz/bat", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/foo/x", "value": 1},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "replace", "path": "/list/-", "value": 1},
        {"op": "test", "path": "/foo", "value": 2},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/none", "value": None},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "move", "path": "/list"},
        {"op": "copy", "from": "/none", "path": "/x"},
        {"op": "add", "path": "foo", "value": 1},
    ],
)
def test_json_patch_refusals(operation: dict[str, Any]) -> None:
    with pytest.raises(InvalidPatch):
        run({"foo": "bar", "list": [1, 2], "one": 1}, operation)


def test_copies_do_not_share() -> None:
    copied = run(
        {"a": [1]},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "add", "path": "/b/-", "value": 2},
    )
    assert copied == {"a": [1], "b": [1, 2]}


def test_refused_attributes() -> None:
    doc = {"id": "1", "state": "held"}
    assert apply_patch(doc, MergePatch({"id": "1", "x": 2}), refused={"id"})["x"] == 2
    for patch in (
        MergePatch({"id": "2"}),
        MergePatch({"id": None}),
        JsonPatch((Operation(op="remove", path="/id"),)),
        JsonPatch((Operation(op="replace", path="", value={"state": "x"}),)),
    ):
        with pytest.raises(NotPatchable) as refused:
            apply_patch(doc, patch, refused={"id"})
        assert refused.value.details == {"attributes": ["id"]}
    with pytest.raises(InvalidPatch):
        apply_patch(doc, JsonPatch((Operation(op="replace", path="", value=[]),)))
    assert doc == {"id": "1", "state": "held"}


docs = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.integers() | st.text(max_size=2),
        lambda inner: (
            st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2)
        ),
        max_leaves=6,
    ),
    max_size=3,
)


def difference(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Make the merge patch that leads from one document to the other."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            patch[key] = difference(old[key], value)
        elif key not in old or old[key] != value:
            patch[key] = value
    return patch


@given(docs, docs)
def test_a_merge_patch_leads_from_any_document_to_any_other(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert merge_patch(old, difference(old, new)) == new
    assert merge_patch(merge_patch(old, new), new) == merge_patch(old, new)
