"""Checks of resource specifications: assignment, configuration, external work and what they take back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter

from catalog._findings import Finding, Known
from catalog._placing import check_placing
from catalog._rules import Names, check_expression
from catalog.model import ResourceSpec


def check_resources(
    known: Known,
    features: Mapping[str, AbstractSet[str]] | None = None,
    pool_kinds: AbstractSet[str] | None = None,
) -> Iterator[Finding]:
    """Yield the findings of all resource specifications."""
    declared = {kind.name for kind in known.data.pool_kinds}
    takeable = None if pool_kinds is None else declared | pool_kinds
    available = None if features is None else set().union(*features.values())
    for where, spec in known.resources():
        names = _names(known, spec)
        for part, text in _texts(spec):
            yield from check_expression(f"{where}.{part}", text, names)
        yield from _uses(known, where, spec)
        yield from _assign(where, spec)
        yield from check_placing(where, spec, names)
        yield from _reversible(where, spec)
        if available is not None:
            yield from _features(where, spec, available)
        if takeable is not None:
            yield from _kinds(where, spec, takeable)
    yield from _inputs(known)
    yield from _cycle(known)


def _names(known: Known, spec: ResourceSpec) -> Names:
    names: dict[str, Sequence[str] | None] = {"self": spec.declared_names, "place": None}
    for role, uses in spec.uses.items():
        used = known.resource(uses.spec)
        names[f"ref.{role}"] = used.declared_names if used else None
    return names


def _texts(spec: ResourceSpec) -> Iterator[tuple[str, str]]:
    for rule in spec.assign:
        for text in filter(None, (rule.value, rule.scope, rule.shared_by, rule.when)):
            yield f"assign.{rule.as_}", text
    for entry in spec.configure:
        for text in (entry.device, *filter(None, [entry.when]), *entry.values.values()):
            yield f"configure.{entry.feature}", text
    for verify in spec.verify:
        for text in (verify.device, *verify.values.values()):
            yield "verify", text
    if spec.external:
        for text in spec.external.example.values():
            yield "external", text


def _uses(known: Known, where: str, spec: ResourceSpec) -> Iterator[Finding]:
    for role, uses in spec.uses.items():
        used = known.resource(uses.spec)
        if used and used.role != role:
            yield Finding(
                "DANGLING_REFERENCE",
                where,
                f"uses {used.id} as {role!r}, but its role is {used.role!r}",
            )


def _assign(where: str, spec: ResourceSpec) -> Iterator[Finding]:
    for name in sorted(spec.assigned_names - set(spec.declared_names)):
        yield Finding(
            "UNDECLARED_NAME", where, f"assigns {name}, which is no characteristic; declare it"
        )
    for verify in spec.verify:
        if verify.on == "service" and verify.device == "''":
            yield Finding(
                "VERIFY_INCOMPLETE", where, "a service check names its device; add `device`"
            )


def _reversible(where: str, spec: ResourceSpec) -> Iterator[Finding]:
    if spec.external and spec.external.return_step is None and not spec.point_of_no_return:
        yield Finding(
            "IRREVERSIBLE",
            where,
            "nothing says how this external work is taken back: give external.onDelete (a kind of work, or "
            "`nothing`), or pointOfNoReturn: true",
        )
    if not spec.configure and not spec.external and not spec.assign:
        yield Finding("NOT_REALISED", where, "it assigns, configures and orders nothing")


def _features(where: str, spec: ResourceSpec, available: AbstractSet[str]) -> Iterator[Finding]:
    for entry in spec.configure:
        if entry.feature not in available:
            yield Finding(
                "FEATURE_UNKNOWN",
                where,
                f"no platform has a feature {entry.feature!r} (there are {', '.join(sorted(available))})",
            )


def _kinds(where: str, spec: ResourceSpec, takeable: AbstractSet[str]) -> Iterator[Finding]:
    for rule in spec.assign:
        if rule.take is not None and rule.take not in takeable:
            yield Finding(
                "KIND_UNKNOWN",
                where,
                f"{rule.as_} takes {rule.take!r}, which is no kind of pool "
                f"({', '.join(sorted(takeable))}); declare it under poolKind",
            )


def _inputs(known: Known) -> Iterator[Finding]:
    """Yield what a service hands to its resource and this does not take, or needs and does not get."""
    for where, service in known.services():
        resource = known.resource(service.resource or "")
        if resource is None:
            continue
        given, taken = set(service.declared_names), set(resource.input_names)
        for name in sorted(given - taken):
            yield Finding(
                "UNDECLARED_NAME", where, f"{resource.id} takes no {name}; declare it there too"
            )
        for c in resource.input_characteristics:
            if c.required and c.default is None and c.name not in given:
                yield Finding(
                    "CHARACTERISTIC_MISSING",
                    where,
                    f"{resource.id} needs {c.name}; declare it here too",
                )


def _cycle(known: Known) -> Iterator[Finding]:
    resources = list(known.resources())
    graph = {spec.id: {uses.spec for uses in spec.uses.values()} for _, spec in resources}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " → ".join(error.args[1])
        where = next(where for where, spec in resources if spec.id == error.args[1][0])
        yield Finding("USES_CYCLE", where, f"these read each other: {circle}")
