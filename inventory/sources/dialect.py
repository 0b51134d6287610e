"""What differs between sources of truth, as data: paths, parameters, where a field stands, what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inventory.sources.port import Collection, Status


@dataclass(frozen=True, slots=True)
class Dialect:
    """One type of source.

    `read` gives, per collection and field of our records, the dotted path in the source's JSON (`*`: of each entry
    of a list; `a|b`: the first that has a value). `write` gives the attributes of an object that we create, per name
    of ours (text, domain, group, vid, name); `constant` what is always written with them.
    """

    name: str
    label: str
    version: str
    paths: Mapping[Collection, str]
    read: Mapping[Collection, Mapping[str, str]]
    write: Mapping[str, Mapping[str, str]]
    status: Mapping[Status, Any]
    parameters: Mapping[str, str]
    """Names of query parameters: within, withinOrEqual, inside, domain, group, device, address, vid."""
    constant: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    """Parameters of every list."""
    customers: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the list of C-VLANs; none: the source has no such thing."""
    no_domain: str | None = None
    """Value of the domain's parameter that means: in none."""
    token: Mapping[str, str] = field(default_factory=dict)
    """Authorization scheme by how a token begins; the empty beginning stands for any other."""
    assignments: tuple[str, str] | None = None
    """Path and parameter of the list that ties addresses to interfaces; None: the address itself says it."""

    def authorization(self, token: str) -> str:
        """Return the header for a token."""
        scheme = next(name for begin, name in self.token.items() if token.startswith(begin))
        return f"{scheme} {token}"
