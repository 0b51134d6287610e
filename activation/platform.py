"""Platforms: folders of data (`platform.yaml` and Jinja templates) that say all the core knows of a vendor.

A feature is what resource instances contribute to; its template sees the contributions by role, null where absent.
A shared object is what several fragments need; a feature `ensures` it by kind and key.
Templates are rendered strictly: an undefined name is an error, and values are escaped for the dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activation.codec import (
    CliCodec,
    CliSchema,
    CliSet,
    Codec,
    CodecError,
    RestCodec,
    XmlCodec,
    XmlSchema,
)
from activation.errors import FeatureUnknown, PlatformInvalid, RenderFailed
from activation.leaves import Leaves, path_text

Roles = Mapping[str, Mapping[str, Any] | None]
BUILT_IN = FilePath(__file__).parent / "platforms"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class XmlData(_Data):
    """The `xml` family: see `XmlSchema`."""

    family: Literal["xml"]
    namespaces: dict[str, str]
    lists: dict[str, list[str]] = {}
    leafLists: list[str] = []  # noqa: N815 - names of the YAML
    identities: list[str] = []
    presence: list[str] = []
    defaults: dict[str, str] = {}

    def build(self) -> Codec:
        """Return the codec."""
        return XmlCodec(
            XmlSchema(
                namespaces=self.namespaces,
                lists={path: tuple(keys) for path, keys in self.lists.items()},
                leaf_lists=frozenset(self.leafLists),
                identities=frozenset(self.identities),
                presence=frozenset(self.presence),
                defaults=self.defaults,
            )
        )


class CliSetData(_Data):
    """A command that lists numbers: see `CliSet`."""

    add: str
    remove: str
    empty: str = "none"


class CliData(_Data):
    """The `cli` family: see `CliSchema`."""

    family: Literal["cli"]
    indent: int = 3
    negation: str = "no"
    permanent: list[str] = []
    values: list[str] = []
    sets: dict[str, CliSetData] = {}
    split: list[str] = []

    def build(self) -> Codec:
        """Return the codec."""
        return CliCodec(
            CliSchema(
                indent=self.indent,
                negation=self.negation,
                permanent=tuple(self.permanent),
                values=tuple(self.values),
                sets={name: CliSet(s.add, s.remove, s.empty) for name, s in self.sets.items()},
                split=tuple(self.split),
            )
        )


class RestData(_Data):
    """The `rest` family: see `RestCodec`."""

    family: Literal["rest"]
    collections: dict[str, str] = {}

    def build(self) -> Codec:
        """Return the codec."""
        return RestCodec(self.collections)


class EnsureData(_Data):
    """A shared object that a feature needs: `when` the role contributes, by `key`, with `values` for its template."""

    object: str
    when: str
    key: str
    values: dict[str, str] = {}


class FeatureData(_Data):
    """A feature: nothing is rendered while a role in `requires` is absent; without template it only ensures."""

    template: str | None = None
    roles: list[str]
    requires: list[str] = []
    ensures: list[EnsureData] = []


class ObjectData(_Data):
    """A kind of shared object."""

    template: str


class CheckData(_Data):
    """A question about state: where to read, where the answer stands, and what its words mean.

    `selection` is a template over the check's values; `leaf` a template of the path's end; `verdicts` maps what is
    read (`*`: anything, absent: not there) to the words that expectations use.
    """

    selection: str
    leaf: str
    meanings: dict[str, str] = {}
    absent: str | None = None


class PlatformData(_Data):
    """The content of `platform.yaml`."""

    description: str
    codec: Annotated[XmlData | CliData | RestData, Field(discriminator="family")]
    features: dict[str, FeatureData]
    objects: dict[str, ObjectData] = {}
    checks: dict[str, CheckData] = {}
    secrets: list[str] = []


@dataclass(frozen=True, slots=True, order=True)
class SharedKey:
    """Which shared object on a device."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A fragment or shared object as text and as leaves."""

    text: str
    leaves: Leaves


EMPTY = Rendered("", {})


class Platform:
    """One platform's data, ready to render and to read."""

    def __init__(self, name: str, folder: FilePath) -> None:
        self.name = name
        self._data = _load(folder / "platform.yaml")
        self._environment = _environment(folder, self._data.codec.family)
        self._strings: dict[str, jinja2.Template] = {}

    @property
    def usual_protocol(self) -> str:
        """Return what its devices are usually reached by."""
        return USUAL_PROTOCOLS[self._data.codec.family]

    @cached_property
    def codec(self) -> Codec:
        """Return the platform's dialect."""
        return self._data.codec.build()

    @property
    def features(self) -> frozenset[str]:
        """Return the names of its features."""
        return frozenset(self._data.features)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return ends of paths whose values are never shown."""
        return tuple(self._data.secrets)

    def roles(self, feature: str) -> tuple[str, ...]:
        """Return the roles that may contribute to a feature."""
        return tuple(self.feature(feature).roles)

    def feature(self, name: str) -> FeatureData:
        """Return a feature.

        Raises:
            FeatureUnknown: the platform has none of that name.
        """
        found = self._data.features.get(name)
        if found is None:
            raise FeatureUnknown(
                f"Platform {self.name} has no feature {name}; it has {', '.join(sorted(self.features))}."
            )
        return found

    def render(self, feature: str, roles: Roles) -> Rendered:
        """Return the fragment of a feature from the contributions present.

        Raises:
            FeatureUnknown, RenderFailed: as their classes say.
        """
        data = self.feature(feature)
        absent = any(roles.get(role) is None for role in data.requires)
        if data.template is None or absent:
            return EMPTY
        return self._rendered(data.template, dict.fromkeys(data.roles) | dict(roles), feature)

    def ensures(self, feature: str, roles: Roles) -> dict[SharedKey, Mapping[str, str]]:
        """Return the shared objects that a feature needs, with the values their templates take."""
        data = self.feature(feature)
        names = dict.fromkeys(data.roles) | dict(roles)
        return {
            SharedKey(ensure.object, self._string(ensure.key, names, feature)): {
                name: self._string(text, names, feature) for name, text in ensure.values.items()
            }
            for ensure in data.ensures
            if roles.get(ensure.when) is not None
        }

    def shared(self, which: SharedKey, values: Mapping[str, str]) -> Rendered:
        """Return a shared object's text and leaves."""
        data = self._data.objects[which.kind]
        return self._rendered(data.template, {"key": which.key, **values}, which.kind)

    def check(self, name: str) -> CheckData:
        """Return a state check.

        Raises:
            FeatureUnknown: the platform has none of that name.
        """
        if name not in self._data.checks:
            raise FeatureUnknown(f"Platform {self.name} has no check {name}.")
        return self._data.checks[name]

    def fill(self, text: str, values: Mapping[str, Any], what: str) -> str:
        """Fill a template text of the platform's data."""
        return self._string(text, values, what)

    def _rendered(self, template: str, names: Mapping[str, Any], what: str) -> Rendered:
        try:
            text = self._environment.get_template(template).render(names).strip()
        except jinja2.TemplateNotFound as error:
            raise PlatformInvalid(f"Platform {self.name} has no template {error}.") from error
        except _RENDERING as error:
            raise self._failed(what, error) from error
        try:
            return Rendered(text, self.codec.parse(text))
        except CodecError as error:
            raise self._failed(what, error) from error

    def _string(self, text: str, names: Mapping[str, Any], what: str) -> str:
        try:
            if text not in self._strings:
                self._strings[text] = self._environment.from_string(text)
            return self._strings[text].render(names)
        except _RENDERING as error:
            raise self._failed(what, error) from error

    def _failed(self, what: str, error: Exception) -> RenderFailed:
        return RenderFailed(
            f"{what} of platform {self.name} cannot be written: {error}. "
            f"Check the values that its resources contribute."
        )


_RENDERING = (jinja2.UndefinedError, TypeError, ValueError, jinja2.exceptions.SecurityError)


USUAL_PROTOCOLS = {"xml": "netconf", "cli": "eapi", "rest": "rest"}
"""Codec family → what its devices are usually reached by, where an inventory file does not say."""


class Platforms:
    """All platforms of the folders given; later folders win."""

    def __init__(self, folders: Sequence[FilePath] = ()) -> None:
        self._folders = (BUILT_IN, *folders)
        self._loaded: dict[str, Platform] = {}

    def get(self, name: str) -> Platform:
        """Return a platform.

        Raises:
            FeatureUnknown: there is none of that name. PlatformInvalid: its data is wrong.
        """
        if name not in self._loaded:
            self._loaded[name] = Platform(name, self._folder(name))
        return self._loaded[name]

    def usual_protocol(self, name: str) -> str | None:
        """Return what devices of a platform are usually reached by, None for a platform we do not have."""
        return self.get(name).usual_protocol if name in self.names() else None

    def names(self) -> list[str]:
        """Return the names of all platforms."""
        return sorted(
            {
                path.parent.name
                for folder in self._folders
                for path in folder.glob("*/platform.yaml")
            }
        )

    def features(self) -> dict[str, frozenset[str]]:
        """Return the features of every platform (for the catalog's linter)."""
        return {name: self.get(name).features for name in self.names()}

    def _folder(self, name: str) -> FilePath:
        for folder in reversed(self._folders):
            if name and "/" not in name and (folder / name / "platform.yaml").is_file():
                return folder / name
        raise FeatureUnknown(f"There is no platform {name!r}; there are {', '.join(self.names())}.")


def _load(path: FilePath) -> PlatformData:
    try:
        return PlatformData.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise PlatformInvalid(f"{path.parent.name}/platform.yaml: {error}") from error


def _environment(folder: FilePath, family: str) -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=family == "xml",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        finalize=_one_line if family == "cli" else None,
    )
    environment.filters["port_name"] = port_name
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def _one_line(value: Any) -> Any:
    # A line break in a customer's text would be a command of its own.
    if isinstance(value, str) and any(ord(character) < ord(" ") for character in value):
        raise ValueError(f"control characters in {value!r}")
    return value


def port_name(port: str) -> str:
    """Return a port's name on its device: what follows the device in `<device>/<port>`."""
    return port.partition("/")[2] or port


def is_secret(path: tuple[str, ...], ends: Sequence[str]) -> bool:
    """Return whether a path's value must not be shown."""
    text = path_text(path)
    return any(text.endswith(f"/{end}") for end in ends)
