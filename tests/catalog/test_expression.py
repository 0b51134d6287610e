"""CEL behind one class: what it reads, what it gives, what it says when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.errors import ExpressionFailed
from catalog.expression import Expression


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("service.accessTechnology in ['GPON', 'XGS-PON']", {"service.accessTechnology"}),
        ("ref.access.bng + '/' + string(self.sVlan)", {"ref.access.bng", "self.sVlan"}),
        ("has(ref.x) && ref.x.a == null", {"ref.x", "ref.x.a"}),
        (
            "product.sites.map(site, site.name + product.suffix)",
            {"product.sites", "product.suffix"},
        ),
        ("self.name.startsWith('service.text')", {"self.name"}),
        ("true ? place : 'x'", {"place"}),
        ('"a \\" self.no" + self.yes', {"self.yes"}),
        ("'static'", set()),
    ],
)
def test_it_knows_what_it_reads(text: str, names: set[str]) -> None:
    assert Expression(text).references() == names


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.n * 2", 400),
        ("a.half", 0.5),
        ("a.absent == null", True),
        ("a.list.map(x, x + 1)", [2, 3]),
        ("a.n / 3.0 > 66.0", None),
    ],
)
def test_json_numbers_of_integer_value_are_integers(text: str, value: Any) -> None:
    context = {"a": {"n": 200.0, "half": 0.5, "absent": None, "list": [1.0, 2]}}
    if value is None:
        with pytest.raises(ExpressionFailed, match="No such overload"):
            Expression(text).evaluate(context)
    else:
        result = Expression(text).evaluate(context)
        assert result == value
        assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("self.gone", "'gone' has no value"),
        ("nowhere.x", "Undefined variable or function: 'nowhere'"),
        ("self.n / 0", "ZeroDivisionError"),
        ("self.list[5]", "IndexError"),
        ("self.n + self.secret", "No such overload"),
        ("2.5 * 2", "Unsupported operation: float [*] int"),
        ("int(self.secret)", "RuntimeError"),
        ("{'a': 1}[self.secret]", "KeyError"),
    ],
)
def test_failures_name_the_text_and_the_names_but_no_value(text: str, cause: str) -> None:
    context = {"self": {"n": 1, "list": [], "secret": "hunter2"}, "place": None}
    with pytest.raises(ExpressionFailed, match=cause) as caught:
        Expression(text).evaluate(context)
    assert text in caught.value.message
    assert "bound are place, self" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_what_is_no_expression_is_refused_at_once() -> None:
    with pytest.raises(ExpressionFailed, match=r"'1 [+]' is not an expression"):
        Expression("1 +")


def test_a_condition_is_a_boolean() -> None:
    assert Expression("self.on").holds({"self": {"on": True}})
    with pytest.raises(ExpressionFailed, match="gives int"):
        Expression("self.on").holds({"self": {"on": 1}})


def test_there_is_no_way_out() -> None:
    for text in ("__import__('os')", "open('/etc/passwd')", "self.__class__.__name__"):
        with pytest.raises(ExpressionFailed):
            Expression(text).evaluate({"self": {}})
