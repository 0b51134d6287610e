"""The registered sources: where they are, and by which rules their records are taken. Tokens are only named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError
from sqlalchemy import RowMapping, delete, insert, select, update

from inventory.sources.errors import SourceExists, SourceInUse, SourceInvalid, SourceNotFound
from inventory.sources.rules import DEFAULT_RULES, Rules
from inventory.tables import source as table
from inventory.tables import source_change, source_object
from store import Rx, Tx, new_id

Type = Literal["netbox", "nautobot"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")
_REFERENCES = ("env:", "file:")


@dataclass(frozen=True, slots=True)
class Source:
    """A source of truth. `insecure`: plain http to another machine is wanted; certificates are always checked."""

    name: str
    type: Type
    url: str
    token_ref: str
    ca_path: str | None = None
    insecure: bool = False
    rules: Rules = DEFAULT_RULES
    mark: str = ""
    """Tells our objects there from those of another Turnup."""
    run: int = 0
    report: Mapping[str, Any] | None = None
    """Of the last import."""

    @property
    def holder(self) -> str:
        """Return how owner keys of values begin that are in use in the source."""
        return f"source:{self.name}:"


def add(tx: Tx, new: Source) -> Source:
    """Register a source. Raises SourceInvalid, SourceExists (SOURCE_INVALID, SOURCE_EXISTS)."""
    made = replace(_checked(new), mark=new_id()[-6:])
    if tx.row(select(table.c.name).where(table.c.name == new.name)) is not None:
        raise SourceExists(
            f"There is a source {new.name} already; change it, or take another name.",
            details={"source": new.name},
        )
    tx.execute(insert(table).values(**_columns(made), created=tx.now))
    return made


def get(rx: Rx, name: str) -> Source:
    """Return a source. Raises SourceNotFound (SOURCE_NOT_FOUND)."""
    row = rx.execute(select(table).where(table.c.name == name)).mappings().first()
    if row is None:
        raise SourceNotFound(
            f"There is no source {name!r}; list the sources for their names.",
            details={"source": name},
        )
    return _source(row)


def sources(rx: Rx) -> list[Source]:
    """Return all sources by name."""
    return [_source(row) for row in rx.execute(select(table).order_by(table.c.name)).mappings()]


def change(tx: Tx, changed: Source) -> Source:
    """Change url, token reference, trust or rules. Raises SourceNotFound, SourceInvalid."""
    known = get(tx, changed.name)
    if (changed.type, changed.mark) != (known.type, known.mark):
        raise SourceInvalid(f"The type of source {known.name} stays {known.type}; add another one.")
    values = _columns(_checked(changed))
    for kept in ("name", "run", "report"):
        values.pop(kept)
    tx.execute(update(table).where(table.c.name == changed.name).values(**values))
    return get(tx, changed.name)


def remove(tx: Tx, name: str) -> None:
    """Forget a source from which nothing came. Raises SourceNotFound, SourceInUse (SOURCE_IN_USE)."""
    get(tx, name)
    if tx.row(select(source_object.c.id).where(source_object.c.source == name)) is not None:
        raise SourceInUse(
            f"Pools, values or devices here came from {name}; it can only be forgotten when none did.",
            details={"source": name},
        )
    tx.execute(delete(source_change).where(source_change.c.source == name))
    tx.execute(delete(table).where(table.c.name == name))


def begin(tx: Tx, name: str) -> int:
    """Number a new import run."""
    tx.execute(update(table).where(table.c.name == name).values(run=table.c.run + 1))
    return get(tx, name).run


def keep_report(tx: Tx, name: str, report: Mapping[str, Any]) -> None:
    """Keep what the last import said."""
    tx.execute(update(table).where(table.c.name == name).values(report=dict(report)))


# -- what is valid ------------------------------------------------------------------------------------


def parse_rules(given: Mapping[str, Any] | None) -> Rules:
    """Return rules from JSON. Raises SourceInvalid."""
    try:
        return Rules.model_validate(given or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SourceInvalid(f"rules.{where}: {first['msg']}.", details={"field": where}) from None


def _checked(new: Source) -> Source:
    if not _NAME.fullmatch(new.name):
        raise SourceInvalid(f"{new.name!r} is no name; use letters, digits, '.' and '-'.")
    if new.type not in get_args(Type):
        raise SourceInvalid(f"type {new.type} is none of {', '.join(get_args(Type))}.")
    if not new.token_ref.startswith(_REFERENCES):
        raise SourceInvalid("tokenRef names where the token is: write env:NAME or file:PATH.")
    return replace(new, url=_url(new))


def _url(new: Source) -> str:
    try:
        url = urlsplit(new.url)
        readable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        readable = False
    if not readable or url.query or url.fragment or url.username is not None:
        raise SourceInvalid(
            f"{_without_secret(new.url)} is no URL of a source; write https://HOST[:PORT][/PATH], no more."
        )
    if url.scheme == "http" and not new.insecure and not _loopback(url):
        raise SourceInvalid(
            f"{new.url} would send the token in clear; use https, or say insecure if this is wanted."
        )
    return new.url.rstrip("/").removesuffix("/api")


def _without_secret(url: str) -> str:
    return f"{url.partition('://')[0]}://…" if "@" in url else repr(url)


def _loopback(url: SplitResult) -> bool:
    if url.hostname == "localhost":
        return True
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False


def _columns(some: Source) -> dict[str, Any]:
    return {
        "name": some.name,
        "type": some.type,
        "url": some.url,
        "token_ref": some.token_ref,
        "ca_path": some.ca_path,
        "insecure": int(some.insecure),
        "rules": some.rules.model_dump(mode="json", by_alias=True),
        "mark": some.mark,
        "run": some.run,
        "report": some.report,
    }


def _source(row: RowMapping) -> Source:
    return Source(
        name=row["name"],
        type=row["type"],
        url=row["url"],
        token_ref=row["token_ref"],
        ca_path=row["ca_path"],
        insecure=bool(row["insecure"]),
        rules=Rules.model_validate(row["rules"]),
        mark=row["mark"],
        run=row["run"],
        report=row["report"],
    )
