"""The hand-written OLT model against libyang with the official modules, where both are at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from lab.embedded.models.bbf_olt import SCHEMA
from lab.embedded.netconf.data import EMPTY, Branch
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.edit import Operation, apply
from lab.embedded.netconf.render import to_xml
from lab.embedded.netconf.rpcerror import BASE, RpcError
from lab.embedded.netconf.schema import load
from lab.embedded.netconf.validate import Index, Validator
from tests.lab.lines import RATES
from tests.lab.netconf_bench import Client, edit_config, olt
from tests.lab.test_netconf_validate import EDITS

YANG = Path(__file__).parents[2] / "../shared/yang"

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        not YANG.exists(), reason="the official YANG modules are not beside the project"
    ),
]

Oracle = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def libyang() -> Oracle:
    """Return a function: content of <config> in, messages of libyang out (none: valid)."""
    ly: Any = pytest.importorskip("oopt_gnpy_libyang", reason="libyang's wheel is not installed")
    ly.set_log_options(ly.LogOptions.Store)
    context = ly.Context(str(YANG), ly.ContextOptions.NoYangLibrary)
    for line in (YANG / "load-order.txt").read_text().splitlines():
        name, features = line.split()
        context.load_module(name, features=["*"] if features == "*" else [])
    for module in ("turnup-bng", "turnup-pon"):
        context.parse_module(
            (SCHEMA.parents[2] / "yang" / f"{module}.yang").read_text(), ly.SchemaFormat.YANG
        )

    def validate(content: str) -> list[str]:
        try:
            context.parse_data(
                content, ly.DataFormat.XML, ly.ParseOptions.Strict, ly.ValidationOptions.NoState
            )
        except ly.ErrorWithCode:
            return [
                error.message for error in context.errors() if "No validation" not in error.message
            ] or ["invalid"]
        return []

    return validate


def example(name: str) -> str:
    return (YANG / f"example-{name}.xml").read_text()


def tree_of(*documents: str) -> Branch:
    tree = EMPTY
    for document in documents:
        tree = apply(load(SCHEMA), tree, etree.fromstring(document), Operation.MERGE)
    return tree


def ours(*documents: str) -> list[str]:
    """Return our errors for the documents merged."""
    try:
        errors = Validator(load(SCHEMA)).check(EMPTY, Index(), tree_of(*documents))
    except RpcError as error:
        return [error.message]
    return [error.message for error in errors]


def merged(*documents: str) -> str:
    return to_xml(load(SCHEMA), tree_of(*documents))


@pytest.mark.parametrize("technology", ["gpon", "xgs-pon"])
def test_our_infrastructure_and_the_example_subscriber_are_valid_for_both(
    libyang: Oracle, tmp_path: Path, technology: str
) -> None:
    startup = Client(olt(tmp_path, sim_pon_type=technology)).read()
    assert libyang(startup) == []
    profiles = etree.fromstring(example("infrastructure"))
    profiles.remove(profiles[0])
    subscriber = example("subscriber").replace("cpart-1", "cpart-pon1").replace("cp-1", "cp-pon1")
    documents = (
        f'<config xmlns="{BASE}">{startup}</config>',
        etree.tostring(profiles, encoding="unicode"),
        subscriber,
    )
    assert ours(*documents) == []
    assert libyang(merged(*documents)) == []


FAULTS = {
    "dangling gemport interface": ("<interface>venet-0001</interface>\n    <traffic-class>", "<interface>venet-9</interface><traffic-class>"),
    "VLAN 5000": ("<vlan-id>101<", "<vlan-id>5000<"),
    "missing maximum-bandwidth": ("<maximum-bandwidth>200000000</maximum-bandwidth>", ""),
    "wrong interface type": ("<type>xift:olt-v-enet</type>", "<type>xift:v-ani</type>"),
    "unknown profile": ("<profile-ref>d4r</profile-ref>", "<profile-ref>d4x</profile-ref>"),
    "malformed serial": ("ABCD12345678", "ABCD1234567X"),
    "onu-id out of range": ("<onu-id>7<", "<onu-id>1021<"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_injected_faults_are_refused_by_both(libyang: Oracle, fault: str) -> None:
    old, new = FAULTS[fault]
    documents = [example("infrastructure"), example("subscriber")]
    assert ours(*documents) == []
    assert libyang(plain_merge(documents)) == []
    assert sum(old in document for document in documents) == 1
    broken = [document.replace(old, new) for document in documents]
    assert ours(*broken) != []
    assert libyang(plain_merge(broken)) != []


def plain_merge(documents: list[str]) -> str:
    """One element per top-level container, without our code between."""
    base, new = map(etree.fromstring, documents)
    tops = {top.tag: top for top in base}
    for top in list(new):
        if top.tag in tops:
            tops[top.tag].extend(list(top))
        else:
            base.append(top)
    return "".join(etree.tostring(top, encoding="unicode") for top in base)


DEVICE_RULES = ("is outside", "is already used by")
"""Messages of what only hardware refuses: the modules say it in prose."""


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(EDITS, min_size=1, max_size=6))
def test_random_configurations_get_the_verdict_of_libyang(
    libyang: Oracle, tmp_path_factory: pytest.TempPathFactory, edits: list[str]
) -> None:
    device: NetconfDevice = olt(tmp_path_factory.mktemp("olt"))
    client = Client(device)

    async def scenario() -> None:
        for content in (RATES, *edits):
            await client.asked(edit_config(content))

    asyncio.run(scenario())
    errors = Validator(device.schema).check(EMPTY, Index(), device.stores.candidate)
    modelled = [e.message for e in errors if not any(rule in e.message for rule in DEVICE_RULES)]
    theirs = libyang(to_xml(device.schema, device.stores.candidate))
    assert bool(modelled) == bool(theirs), (modelled, theirs)
