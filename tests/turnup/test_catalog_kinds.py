"""A catalog declares kinds of pools and takes from them; what is wrong with that is found before an order does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog.errors import CatalogInvalid
from catalog.load import load
from catalog.repository import Catalogs
from inventory import pools
from inventory.errors import KindConflict, KindInvalid
from inventory.values import kinds
from rom.assign import Assigner
from rom.model import Action, ResourceItem
from store import Database
from turnup.catalogs import check_folders, findings_of, import_folders

TRUNKS = Path(__file__).parents[1] / "catalog" / "trunks.yaml"
Document = dict[str, Any]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    for known in (kinds._declared, kinds._met):
        known.clear()


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[Document], object]], Path]:
    """Return a folder with the catalog after a change."""

    def write(change: Callable[[Document], object]) -> Path:
        document = yaml.safe_load(TRUNKS.read_text("utf-8"))
        change(document)
        folder = tmp_path / "cat"
        folder.mkdir(exist_ok=True)
        (folder / "a.yaml").write_text(yaml.safe_dump(document), "utf-8")
        return folder

    return write


Changed = Callable[[Callable[[Document], object]], Path]


def test_a_catalog_with_kinds_of_its_own_has_no_findings() -> None:
    assert check_folders([TRUNKS]) == []


def test_an_order_takes_values_of_declared_kinds(store: Database) -> None:
    import_folders(store, [TRUNKS])
    with store.write() as tx:
        pools.create_pool(tx, "trunk-id", "exchange-1", first=100, last=199)
        pools.create_pool(tx, "msisdn", "exchange-1", prefix="4930123", prefix_length=11)
        spec = Catalogs(store).view(tx).resource_spec("RES-Trunk")
        items = [
            ResourceItem(
                f"1.{n}", Action.ADD, f"re-{n}", spec, f"L{n}", "PL-1", {"exchange": "exchange-1"}
            )
            for n in range(2)
        ]
        assigned = Assigner(tx, "ro-1").assign(items, {})
        found = [entry.item.after or {} for entry in assigned.items]
        names = ("trunk", "group", "number")
        assert [[after[name] for name in names] for after in found] == [
            ["TR-0100", 1, "49301230000"],
            ["TR-0101", 1, "49301230001"],
        ]


def test_loading_again_changes_nothing_and_other_content_is_refused(
    store: Database, changed: Changed
) -> None:
    import_folders(store, [TRUNKS])
    assert import_folders(store, [TRUNKS]).inserted == 0
    with store.write() as tx:
        pools.create_pool(tx, "trunk-id", "exchange-1")
    folder = changed(lambda d: d["poolKind"][0].update(digits=5, range=[1, 99999]))
    with pytest.raises(KindConflict):
        import_folders(store, [folder])
    assert kinds.render("trunk-id", {}, 7) == "TR-0007"


def test_a_wrong_kind_keeps_the_whole_catalog_out(store: Database, changed: Changed) -> None:
    folder = changed(lambda d: d["poolKind"][1].update(render="colour"))
    with pytest.raises(KindInvalid):
        import_folders(store, [folder])
    with store.read() as rx:
        assert "trunk-id" not in kinds.load(rx)
        assert Catalogs(store).view(rx).entities("resourceSpecification") == []


@pytest.mark.parametrize(
    ("change", "code", "where", "message"),
    [
        (
            lambda d: d.pop("poolKind"),
            "KIND_UNKNOWN",
            "resourceSpecification RES-Trunk",
            "trunk takes 'trunk-id'",
        ),
        (
            lambda d: d["resourceSpecification"][0]["assign"][2].update(take="msisdns"),
            "KIND_UNKNOWN",
            "resourceSpecification RES-Trunk",
            "number takes 'msisdns', which is no kind of pool (alloc-id, asn,",
        ),
        (
            lambda d: d["poolKind"][0].update(digits=2),
            "KIND_INVALID",
            "cat/a.yaml: poolKind trunk-id",
            "is no range within TR-00 to TR-99",
        ),
        (
            lambda d: d["poolKind"][0].update(colour="red"),
            "KIND_INVALID",
            "cat/a.yaml: poolKind trunk-id",
            "colour: is no word of a kind",
        ),
        (
            lambda d: d["poolKind"].append({"name": "s-vlan", "render": "integer", "scope": "x"}),
            "KIND_CONFLICT",
            "cat/a.yaml: poolKind s-vlan",
            "one of Turnup's own",
        ),
    ],
)
def test_findings(
    changed: Changed, change: Callable[[Document], object], code: str, where: str, message: str
) -> None:
    found = findings_of([changed(change)])
    assert any(f.code == code and where in f.where and message in f.message for f in found), found


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ([{"render": "integer"}], "poolKind[0].name: is missing"),
        (["trunk-id"], "poolKind[0].name: is missing"),
        ([{"name": 7}], "poolKind[0].name: is missing"),
        ({"name": "trunk-id"}, "poolKind: is no list of a known kind"),
    ],
)
def test_what_is_no_declaration_at_all(changed: Changed, declared: Any, problem: str) -> None:
    with pytest.raises(CatalogInvalid) as failure:
        load([changed(lambda d: d.update(poolKind=declared))])
    assert any(problem in found for found in failure.value.details["problems"])


def test_two_files_that_differ_about_a_kind(changed: Changed) -> None:
    folder = changed(lambda d: d["poolKind"][0].update(quarantine=1))
    with pytest.raises(
        CatalogInvalid, match=r"poolKind trunk-id: is declared with other content in"
    ):
        load([TRUNKS, folder])


def test_the_same_kind_in_two_files_is_one(changed: Changed) -> None:
    folder = changed(lambda d: [d.pop(key) for key in list(d) if key != "poolKind"])
    assert check_folders([TRUNKS, folder]) == []
