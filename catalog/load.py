"""Read product data: YAML files whose top-level keys are kinds of TMF entities."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from catalog.data import KINDS, POOL_KIND, CatalogData, Entry, Kind, PoolKind, model_of
from catalog.errors import CatalogInvalid

_ANY = """id href name description version lifecycleStatus lastUpdate validFor attachment relatedParty isBundle
@type @baseType @schemaLocation"""
_OWN: Mapping[Kind, str] = {
    "productOffering": """isSellable statusReason agreement bundledProductOffering category channel marketSegment
            place prodSpecCharValueUse productOfferingPrice productOfferingRelationship productOfferingTerm
            productSpecification resourceCandidate serviceCandidate serviceLevelAgreement""",
    "productOfferingPrice": """percentage priceType recurringChargePeriodLength recurringChargePeriodType
            bundledPopRelationship constraint place popRelationship price pricingLogicAlgorithm prodSpecCharValueUse
            productOfferingTerm tax unitOfMeasure""",
    "productSpecification": """brand productNumber bundledProductSpecification productSpecCharacteristic
            productSpecificationRelationship resourceSpecification serviceSpecification targetProductSchema""",
    "serviceSpecification": """category constraint entitySpecRelationship featureSpecification
            resourceSpecification serviceLevelSpecification serviceSpecRelationship specCharacteristic
            targetEntitySchema""",
    "resourceSpecification": """category featureSpecification resourceSpecCharacteristic resourceSpecRelationship
            targetResourceSchema role uses assign configure verify engine external suspend pointOfNoReturn""",
}
_KNOWN = {kind: frozenset(f"{_ANY} {names}".split()) for kind, names in _OWN.items()}


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as far as it matters: `on` is a word, dates are text, a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if key in seen:
                mark = key_node.start_mark
                raise yaml.MarkedYAMLError(problem=f"{key} is given twice", problem_mark=mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_TIMESTAMP, _BOOL = "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in rules if tag not in (_TIMESTAMP, _BOOL)]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|false)$"), list("tf"))


def load(folders: Iterable[Path]) -> CatalogData:
    """Read all `*.yaml` files below the folders.

    Raises:
        CatalogInvalid: with every finding of every file.

    """
    found = _Found()
    for folder in folders:
        for path in _files(folder, found.problems):
            _read(path, path.relative_to(folder.parent).as_posix(), found)
    problems = [*found.problems, *_twice(found.entries), *_differing(found.pool_kinds)]
    if problems:
        shown = "\n".join(f"  {problem}" for problem in problems)
        raise CatalogInvalid(
            f"The product data has {len(problems)} errors; correct them:\n{shown}",
            details={"problems": problems},
        )
    return CatalogData(found.entries, found.pool_kinds)


def _files(folder: Path, problems: list[str]) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        problems.append(f"{folder}: is not a folder")
    return sorted(path for path in folder.rglob("*.y*ml") if path.suffix in {".yaml", ".yml"})


@dataclass(slots=True)
class _Found:
    entries: list[Entry] = field(default_factory=list)
    pool_kinds: list[PoolKind] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


_TOP = ", ".join((*KINDS, POOL_KIND))


def _read(path: Path, name: str, found: _Found) -> None:
    try:
        document = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found.problems.append(f"{name}: {' '.join(str(error).split())}")
        return
    if not isinstance(document, Mapping):
        found.problems.append(f"{name}: holds no mapping of kinds ({_TOP})")
        return
    for kind, entities in document.items():
        if (kind not in KINDS and kind != POOL_KIND) or not isinstance(entities, list):
            found.problems.append(f"{name}: {kind}: is no list of a known kind ({_TOP})")
        elif kind == POOL_KIND:
            _read_pool_kinds(entities, name, found)
        else:
            _read_entities(kind, entities, name, found)


def _read_entities(kind: Kind, entities: Sequence[Any], name: str, found: _Found) -> None:
    for number, body in enumerate(entities):
        problems = list(_problems(kind, body))
        found.problems += [f"{name}: {_label(kind, number, body)}{problem}" for problem in problems]
        if not problems:
            found.entries.append(Entry(kind, body["id"], body["version"], body, name))


def _read_pool_kinds(declared: Sequence[Any], name: str, found: _Found) -> None:
    for number, body in enumerate(declared):
        if isinstance(body, Mapping) and isinstance(body.get("name"), str):
            found.pool_kinds.append(PoolKind(body["name"], body, name))
        else:
            found.problems.append(f"{name}: {POOL_KIND}[{number}].name: is missing")


def _problems(kind: Kind, body: Any) -> Iterator[str]:
    if not isinstance(body, Mapping):
        yield ": is no mapping"
        return
    for unknown in body.keys() - _KNOWN[kind]:
        if not str(unknown).startswith("x-"):
            yield f".{unknown}: is no attribute of {kind}{_hint(str(unknown), _KNOWN[kind])}"
    try:
        model_of(kind, body)
    except ValidationError as error:
        for finding in error.errors():
            path = "".join(f".{part}" for part in finding["loc"])
            yield f"{path}: {finding['msg'].removeprefix('Value error, ')}"
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        yield f": {missing}"


def _label(kind: Kind, number: int, body: Any) -> str:
    return (
        f"{kind} {body['id']}"
        if isinstance(body, Mapping) and "id" in body
        else f"{kind}[{number}]"
    )


def _hint(unknown: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(unknown, sorted(known), n=1)
    return f"; {close[0]} is meant?" if close else "; extensions of your own begin with x-"


def _twice(entries: Sequence[Entry]) -> list[str]:
    first: dict[tuple[Kind, str, str], Entry] = {}
    problems = []
    for entry in entries:
        known = first.setdefault((entry.kind, entry.id, entry.version), entry)
        if known is not entry:
            problems.append(f"{entry.where}: version {entry.version} is also in {known.source}")
    return problems


def _differing(declared: Sequence[PoolKind]) -> list[str]:
    first: dict[str, PoolKind] = {}
    return [
        f"{kind.where}: is declared with other content in {first[kind.name].source}"
        for kind in declared
        if first.setdefault(kind.name, kind).document != kind.document
    ]
