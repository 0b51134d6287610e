"""Where catalogs, topologies and examples are: in the installed package or, when it is editable, in the repository."""

from __future__ import annotations

from pathlib import Path

from store.errors import NotFound

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """Return the folder `catalogs`, `topologies` or `examples`. Raises NotFound."""
    for home in (_PACKAGE / "data_files", _PACKAGE.parent):
        if (home / name).is_dir():
            return home / name
    raise NotFound(f"The folder {name} is not part of this installation; reinstall turnup.")


def catalog_folders() -> tuple[Path, ...]:
    """Return the folders of the products that are shipped."""
    return (folder("catalogs"),)


def find_file(given: Path, kind: str) -> Path:
    """Return a file as given, or the shipped one of that name (`kind`: topologies, examples/orders). Raises NotFound."""
    if given.exists():
        return given
    top, _, inside = kind.partition("/")
    shipped = folder(top) / inside / given.name
    if given.name and shipped.is_file():
        return shipped
    raise NotFound(f"{given} does not exist, and no such file is shipped in {kind}.")
