"""Every code that can come out of Turnup is stable and explained: a page per code, and a code per page."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from store import TurnupError

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"
ROOMS = (
    "store",
    "tmf",
    "orders",
    "inventory",
    "catalog",
    "activation",
    "com",
    "som",
    "rom",
    "turnup",
    "lab",
)
# who takes a code: by position, or by the name `code`
CARRIERS = {
    "Hold": 0,
    "Failed": 0,
    "Retry": None,
    "ChangeOutcome": None,
    "LabError": 0,
    "ServerError": 0,
}
CODE = re.compile(r"^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$")


def kinds(root: type[TurnupError]) -> Iterator[type[TurnupError]]:
    yield root
    for child in root.__subclasses__():
        yield from kinds(child)


def all_kinds() -> list[type[TurnupError]]:
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if "migrations" not in module.name and not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    return [kind for kind in kinds(TurnupError) if kind.__module__.split(".")[0] in ROOMS]


# not carried by an object: the default of Retry, and what is said before anything of ours is imported
ELSEWHERE = {"RETRIES_EXHAUSTED": "orders/model.py", "NAME_CLASH": "turnup/origin.py"}


def literals() -> dict[str, str]:
    """Return every code written down where it is used, with the first place of each."""
    for code, where in ELSEWHERE.items():
        assert code in (ROOT / where).read_text("utf-8")
    found = dict(ELSEWHERE)
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if room == "lab" and isinstance(node, ast.Dict):
                    continue  # what simulated devices say in their own protocols
                for code in _codes(node):
                    found.setdefault(code, f"{path.relative_to(ROOT)}:{node.lineno}")  # type: ignore[attr-defined]
    return found


def _codes(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in CARRIERS:
            position = CARRIERS[name]
            values = [k.value for k in node.keywords if k.arg == "code"]
            if position is not None and len(node.args) > position:
                values.append(node.args[position])
            yield from _texts(values)
        case ast.Dict(keys=keys, values=found):
            pairs = zip(keys, found, strict=True)
            yield from _texts(
                [v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "code"]
            )


def _texts(values: list[ast.expr]) -> Iterator[str]:
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def page_problem(code: str) -> str | None:
    page = PAGES / f"{code}.md"
    if not page.is_file():
        return "no page"
    text = page.read_text("utf-8")
    lines = text.strip().splitlines()
    if code not in lines[0] or not lines[0].startswith("#"):
        return "the page's title does not name it"
    if len(lines) > 15:
        return f"{len(lines)} lines, at most 15"
    return None if len(text.split()) >= 20 else "it explains nothing"


def test_every_code_has_its_page() -> None:
    codes = {kind.code: f"{kind.__module__}.{kind.__qualname__}" for kind in all_kinds()}
    codes |= literals()
    assert {"NO_ACCESS_PATH", "EXTERNAL_OVERDUE", "POOL_EXHAUSTED", "NODE_UNKNOWN"} <= set(codes)
    assert [code for code in codes if not CODE.match(code)] == []
    found = {f"{code} ({where})": page_problem(code) for code, where in codes.items()}
    assert {name: what for name, what in found.items() if what} == {}


def test_every_page_has_its_code() -> None:
    written = {kind.code for kind in all_kinds()} | set(literals())
    assert {page.stem for page in PAGES.glob("*.md")} - written - {"README"} == set()


def test_every_kind_says_what_it_is() -> None:
    for kind in all_kinds():
        assert kind.reason[0].isupper(), kind
        assert 400 <= kind.status < 600, kind
        assert kind.__doc__, kind


def test_the_finder_sees_codes_wherever_they_are_given() -> None:
    source = (
        "Hold('A'); model.Failed(code='B'); Retry('c', code='C'); x = {'code': 'D'}; Hold(e.code)"
    )
    found = [code for node in ast.walk(ast.parse(source)) for code in _codes(node)]
    assert sorted(found) == ["A", "B", "C", "D"]
    assert page_problem("NO_SUCH_CODE") == "no page"
