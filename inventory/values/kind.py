"""What a pool kind is, read from the words of `kinds.yaml`: which values exist, how they are written and handed out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from inventory.errors import InvalidRange, KindInvalid
from inventory.values.renderings import (
    Address4,
    Address6,
    Digits,
    Integer,
    Names,
    Nssai,
    Prefix,
    Rendering,
    Route,
    Serial,
    Span,
)

Reuse = Literal["lowest", "oldest"]
Document = Mapping[str, Any]

_PLAIN: Mapping[str, Rendering] = {
    "integer": Integer(),
    "ipv4": Address4(),
    "ipv6": Address6(),
    "ipv4-prefix": Prefix(4),
    "ipv6-prefix": Prefix(6),
    "onu-serial": Serial(),
    "names": Names(),
    "route": Route(),
    "s-nssai": Nssai(),
}
RENDERINGS = (*_PLAIN, "digits")


@dataclass(frozen=True, slots=True)
class Kind:
    """What all pools of one kind have in common; see the head of `kinds.yaml` for the words."""

    name: str
    render: str
    form: Rendering
    document: Document = field(repr=False, compare=False)
    about: str = ""
    scope: str = ""
    range: Span | None = None
    ranges: Mapping[str, Span] = field(default_factory=dict)
    per_port: bool = False
    on_demand: bool = False
    stock: bool = False
    shared: bool = False
    exclude_first: int = 0
    exclude_last: int = 0
    whole_from: int | None = None
    never: tuple[Span, ...] = ()
    length: int | None = None
    domain: str | None = None
    quarantine: int = 0
    reuse: Reuse = "lowest"

    def limits(self, technology: str | None = None) -> Span | None:
        """Return the first and last value that exist (None: any). Raises InvalidRange."""
        if not self.ranges:
            return self.range
        if technology is not None and technology in self.ranges:
            return self.ranges[technology]
        raise InvalidRange(
            f"Pools of kind {self.name} need a technology; use one of {', '.join(self.ranges)}.",
            details={"kind": self.name, "technology": technology},
        )

    @property
    def is_number(self) -> bool:
        """Return whether a value is a number to people, too, and not a text (`007` is no 7)."""
        return isinstance(self.form, Integer)


def read(name: str, document: Any) -> Kind:
    """Return the kind that a document describes.

    Raises:
        KindInvalid: KIND_INVALID, with everything that is wrong with it.

    """
    problems = list(_wrong_words(name, document)) or list(_contradictions(document))
    if not problems:
        try:
            return _kind(name, document)
        except ValueError as error:
            problems = [str(error)]
    raise KindInvalid(
        f"Pool kind {name!r} is not valid: {'; '.join(problems)}.",
        details={"kind": name, "problems": problems},
    )


# -- words ------------------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SAFE = re.compile(r"[!-~]{0,20}")
_YEARS = 10 * 366 * 86_400


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _word(value: Any) -> bool:
    return isinstance(value, str) and bool(_SAFE.fullmatch(value))


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _value(value: Any) -> bool:
    return _whole(value) or isinstance(value, str)


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_value, value))  # noqa: PLR2004


_WORDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "render": (lambda v: v in RENDERINGS, f"one of {', '.join(RENDERINGS)}"),
    "about": (_text, "text"),
    "source": (_text, "text"),
    "scope": (_text, "text: where a value is unique"),
    "range": (_pair, "[first, last]"),
    "ranges": (
        lambda v: isinstance(v, Mapping) and bool(v) and all(map(_pair, v.values())),
        "a mapping from access technology to [first, last]",
    ),
    "perPort": (_flag, "true or false"),
    "onDemand": (_flag, "true or false"),
    "stock": (_flag, "true or false"),
    "shared": (_flag, "true or false"),
    "exclude": (
        lambda v: (
            isinstance(v, Mapping)
            and v.keys() <= {"first", "last"}
            and all(map(_whole, v.values()))
        ),
        "{first, last}: numbers of values at the ends of a prefix",
    ),
    "wholeFrom": (_whole, "a prefix length"),
    "never": (
        lambda v: isinstance(v, list) and all(_value(one) or _pair(one) for one in v),
        "a list of values and [first, last]",
    ),
    "length": (lambda v: _whole(v) and v <= 128, "a prefix length"),  # noqa: PLR2004
    "domain": (lambda v: _word(v) and v and "/" not in v, "a word without /"),
    "quarantine": (lambda v: _whole(v) and v <= _YEARS, "seconds, ten years at most"),
    "reuse": (lambda v: v in ("lowest", "oldest"), "lowest or oldest"),
    "digits": (
        lambda v: _width(v) or _widths(v),
        "a width from 1 to 19, or [least, most]",
    ),
    "base": (lambda v: v in (10, 16), "10 or 16"),
    "before": (_word, "up to 20 printable characters"),
    "after": (_word, "up to 20 printable characters"),
    "ignore": (_word, "up to 20 printable characters"),
    "check": (lambda v: v == "luhn", "luhn"),
}


def _width(value: Any) -> bool:
    return _whole(value) and 1 <= value <= 19  # noqa: PLR2004


def _widths(value: Any) -> bool:
    return _pair(value) and all(map(_width, value)) and bool(value[0] <= value[1])


def _wrong_words(name: str, document: Any) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "name: write lower-case letters, digits and hyphens, such as trunk-id"
    if not isinstance(document, Mapping):
        yield "it is no mapping of words"
        return
    for word in ("render", "scope"):
        if word not in document:
            yield f"{word}: is missing"
    for word, value in document.items():
        if word not in _WORDS:
            yield f"{word}: is no word of a kind ({', '.join(_WORDS)})"
        elif not _WORDS[word][0](value):
            yield f"{word}: {value!r} is not {_WORDS[word][1]}"


_ADDRESSES, _PREFIXES = ("ipv4", "ipv6"), ("ipv4-prefix", "ipv6-prefix")
_ONLY_WITH: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("digits", "base", "before", "after", "ignore", "check"), ("digits",)),
    **dict.fromkeys(("exclude", "wholeFrom"), _ADDRESSES),
    "length": _PREFIXES,
}
_TOGETHER = (
    ("onDemand", "range", "give the range of a pool that is made when first asked for"),
    ("perPort", "ranges", "give the ranges by access technology"),
)


def _contradictions(document: Document) -> Iterator[str]:
    render = document["render"]
    for word, renders in _ONLY_WITH.items():
        if word in document and render not in renders:
            yield f"{word}: goes with render: {' or '.join(renders)} only"
    for word, other, remedy in _TOGETHER:
        if document.get(word) and other not in document:
            yield f"{word}: {remedy}"
    if "range" in document and "ranges" in document:
        yield "range: there are ranges by technology, too; give one of them"
    if render == "digits" and "digits" not in document:
        yield "digits: is missing; say how many there are"
    if render == "names" and not document.get("stock"):
        yield "stock: names are single values; say stock: true"
    if document.get("stock") and "domain" in document:
        yield "domain: goes with ranges and prefixes, not with stock"
    if document.get("check") and document.get("base", 10) != 10:  # noqa: PLR2004
        yield "check: a check digit goes with decimal digits"


# -- reading ----------------------------------------------------------------------------------------


def _kind(name: str, document: Document) -> Kind:
    form = _form(document)
    exclude = document.get("exclude", {})
    ranges = document.get("ranges", {})
    return Kind(
        name=name,
        render=document["render"],
        form=form,
        document=document,
        about=document.get("about", ""),
        scope=document["scope"],
        range=_bounds(form, document["range"]) if "range" in document else None,
        ranges={technology: _bounds(form, pair) for technology, pair in ranges.items()},
        per_port=document.get("perPort", False),
        on_demand=document.get("onDemand", False),
        stock=document.get("stock", False),
        shared=document.get("shared", False),
        exclude_first=exclude.get("first", 0),
        exclude_last=exclude.get("last", 0),
        whole_from=document.get("wholeFrom"),
        never=tuple(
            _bounds(form, one if isinstance(one, list) else [one, one])
            for one in document.get("never", ())
        ),
        length=document.get("length"),
        domain=document.get("domain"),
        quarantine=document.get("quarantine", 0),
        reuse=document.get("reuse", "lowest"),
    )


def _form(document: Document) -> Rendering:
    if document["render"] != "digits":
        return _PLAIN[document["render"]]
    width = document["digits"]
    least, most = width if isinstance(width, list) else (width, width)
    return Digits(
        least,
        most,
        base=document.get("base", 10),
        before=document.get("before", ""),
        after=document.get("after", ""),
        ignore=document.get("ignore", ""),
        luhn="check" in document,
    )


def _bounds(form: Rendering, pair: list[Any]) -> Span:
    if isinstance(form, Prefix | Address6 | Names | Route):
        raise ValueError("range: its values depend on the pool; leave range and never out")  # noqa: TRY004
    first, last = (form.parse({}, one) if isinstance(one, str) else one for one in pair)
    low, high = form.limits({})
    if not low <= first <= last <= high:
        raise ValueError(
            f"{pair} is no range within {form.render({}, low)} to {form.render({}, high)}"
        )
    return first, last
