"""Validating a change gives the verdict of validating everything, whatever the change."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.embedded.netconf.data import EMPTY
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.rpcerror import Errors, RpcError
from lab.embedded.netconf.validate import Index, Validator
from tests.lab.lines import IF, RATES, Line
from tests.lab.netconf_bench import Client, edit_config, olt

PONS = st.sampled_from(["pon1", "pon2"])
LINES = st.builds(
    Line,
    name=st.sampled_from("123"),
    pon=PONS,
    onu=st.integers(1, 3),
    serial=st.sampled_from(["ABCD00000001", "ABCD00000002", "ABCD00000003"]),
    alloc=st.integers(1023, 1026),
    gem=st.integers(1020, 1023),
    c_vlan=st.integers(1, 3),
)
PARTS = ("v_ani", "v_enet", "user", "net")


def interface(part: str, line: Line) -> str:
    return f"""<interfaces xmlns="{IF}" xmlns:xift="urn:bbf:yang:bbf-xpon-if-type" xmlns:bift="urn:bbf:yang:bbf-if-type"
      xmlns:d="urn:bbf:yang:bbf-dot1q-types">{getattr(line, part)()}</interfaces>"""


def removed(kind: str, name: str) -> str:
    return f'<interfaces xmlns="{IF}"><interface nc:operation="remove"><name>{kind}-{name}</name></interface></interfaces>'


EDITS = st.one_of(
    LINES.map(str),
    LINES.map(Line.removal),
    LINES.map(lambda line: line.removal("tcont")),
    LINES.map(Line.gemtcont),
    LINES.map(Line.forwarder),
    st.builds(interface, st.sampled_from(PARTS), LINES),
    st.builds(removed, st.sampled_from(["vani", "venet", "user", "net"]), st.sampled_from("123")),
    st.just(RATES),
)


def verdict(validator: Validator, device: NetconfDevice) -> list[str]:
    tree = device.stores.candidate
    errors = validator.check(device.stores.running, device.stores.index, tree)
    return sorted({f"{error.tag} {error.app_tag}" for error in errors})


def in_full(validator: Validator, device: NetconfDevice) -> list[str]:
    errors = validator.check(EMPTY, Index(), device.stores.candidate)
    return sorted({f"{error.tag} {error.app_tag}" for error in errors})


def same_index(device: NetconfDevice, validator: Validator) -> bool:
    fresh = Index()
    validator.reindex(fresh, EMPTY, device.stores.running)
    kept = device.stores.index
    referrers = {key: who for key, who in kept.referrers.items() if who}
    return fresh.taken == kept.taken and dict(fresh.referrers) == referrers


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(EDITS, st.sampled_from(["edit", "commit", "confirmed", "cancel"])), max_size=8
    )
)
def test_the_verdict_on_a_change_is_that_on_the_whole(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        device = olt(Path(directory))
        validator = Validator(device.schema)
        client = Client(device)

        async def scenario() -> None:
            await client.asked(edit_config(RATES))
            for content, then in steps:
                await client.asked(edit_config(content))
                assert verdict(validator, device) == in_full(validator, device)
                await settle(client, then)
                assert same_index(device, validator)

        asyncio.run(scenario())


async def settle(client: Client, then: str) -> None:
    commands = {
        "edit": "<get/>",
        "commit": "<commit/>",
        "confirmed": "<commit><confirmed/></commit>",
        "cancel": "<cancel-commit/>",
    }
    try:
        await client.asked(commands[then])
    except (Errors, RpcError):
        await client.asked("<discard-changes/>")


def test_one_line_costs_little_on_a_full_olt(tmp_path: Path) -> None:
    """512 subscribers: editing and committing one more takes milliseconds, as on an empty OLT."""
    client = Client(olt(tmp_path, sim_pon_ports="4"))
    client.edit(RATES)
    for number in range(512):
        pon, onu = number // 128, number % 128
        line = Line(
            str(number),
            f"pon{pon + 1}",
            onu,
            f"ABCD{number:08X}",
            1024 + onu,
            2000 + onu,
            1001 + pon,
            onu + 1,
        )
        client.edit(str(line))
    client.commit()
    one_more = Line("new", "pon1", 1000, "ABCDFFFFFFFF", 9000, 9000, 1999, 4000)
    started = time.process_time()
    client.edit(str(one_more))
    client.commit()
    spent = time.process_time() - started
    assert "vani-new" in client.read(
        f'<interfaces xmlns="{IF}"><interface><name>vani-new</name></interface></interfaces>'
    )
    assert spent < 0.05
