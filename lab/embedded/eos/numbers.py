"""Lists of numbers as EOS writes them: `1001-1003,1010`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby


def parse_numbers(text: str, first: int, last: int) -> frozenset[int] | None:
    """The numbers of `text`, or None when it is no list of numbers of first..last."""
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        high = high if dash else low
        if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
            return None
        if not first <= int(low) <= int(high) <= last:
            return None
        found.update(range(int(low), int(high) + 1))
    return frozenset(found)


def format_numbers(numbers: Iterable[int]) -> str:
    """Ascending, without repeats, neighbours joined to ranges."""
    return ",".join(_ranges(sorted(set(numbers))))


def _ranges(ordered: list[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        yield f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0])
