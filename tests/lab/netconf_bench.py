"""An OLT or BNG in this process, and a client that speaks to its operations without a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lxml import etree

from lab.embedded.device import NodeContext, Ports
from lab.embedded.faults import FaultSet
from lab.embedded.models.bbf_olt import BbfOlt
from lab.embedded.models.generic_bng import GenericBng
from lab.embedded.netconf import operations
from lab.embedded.netconf.device import NetconfDevice
from lab.embedded.netconf.rpcerror import BASE, Errors, RpcError
from lab.embedded.pon import PonPlant

T = TypeVar("T")


def context(state_dir: Path, plant: PonPlant | None = None, **labels: str) -> NodeContext:
    """Return the surroundings of a node that nobody connects to."""
    return NodeContext(
        name="olt-1",
        role="olt",
        model="",
        host="127.0.0.1",
        ports=Ports(),
        labels={key.replace("_", "-"): value for key, value in labels.items()},
        links=(),
        state_dir=state_dir,
        username="admin",
        password="admin",
        tls_cert=state_dir / "none",
        tls_key=state_dir / "none",
        host_key=state_dir / "none",
        faults=FaultSet(),
        pon=plant or PonPlant(),
    )


def olt(state_dir: Path, plant: PonPlant | None = None, **labels: str) -> NetconfDevice:
    """Return an OLT that has booted and does not listen."""
    labels = {"sim_pon_type": "xgs-pon", "sim_pon_ports": "2", **labels}
    return boot(NetconfDevice(c := context(state_dir, plant, **labels), BbfOlt(c)))


def bng(state_dir: Path, plant: PonPlant | None = None, **labels: str) -> NetconfDevice:
    """Return a BNG that has booted and does not listen."""
    return boot(NetconfDevice(c := context(state_dir, plant, **labels), GenericBng(c)))


def boot(device: NetconfDevice) -> NetconfDevice:
    """Give it power."""
    device.stores.boot(device._read_startup())
    return device


@dataclass
class Client:
    """One session of a device; `ask` returns the reply's content or raises what it would say."""

    device: NetconfDevice
    session: int = 1
    loop: asyncio.AbstractEventLoop | None = None
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device._sessions[self.session] = None  # type: ignore[assignment]

    async def asked(self, operation: str) -> str:
        """Run one operation, given as XML text."""
        text = f'<rpc xmlns="{BASE}" xmlns:nc="{BASE}" message-id="1">{operation}</rpc>'
        return await operations.execute(self.device, self.session, etree.fromstring(text))

    def ask(self, operation: str) -> str:
        """Run one operation in a loop of its own."""
        return asyncio.run(self.asked(operation))

    def edit(self, content: str, **options: str) -> str:
        """Run edit-config on the candidate."""
        return self.ask(edit_config(content, **options))

    def commit(self, content: str = "") -> str:
        """Run commit."""
        return self.ask(f"<commit>{content}</commit>")

    def read(self, wanted: str = "", source: str = "running") -> str:
        """Return the content of <data>."""
        chosen = f"<filter>{wanted}</filter>" if wanted else ""
        answer = self.ask(f"<get-config><source><{source}/></source>{chosen}</get-config>")
        return answer.removeprefix("<data>").removesuffix("</data>")

    def get(self, wanted: str) -> str:
        """Return the content of <data>, state included."""
        return self.ask(f"<get><filter>{wanted}</filter></get>")

    def refusal(self, operation: str) -> RpcError:
        """Run one operation that must be refused, and return the (first) error."""
        try:
            self.ask(operation)
        except RpcError as error:
            return error
        except Errors as errors:
            return errors.found[0]
        raise AssertionError(f"not refused: {operation}")

    def invalid(self, content: str) -> RpcError:
        """Edit, and return the first error of editing or of validation; discard."""
        try:
            self.edit(content)
            return self.refusal("<validate><source><candidate/></source></validate>")
        except RpcError as error:
            return error
        finally:
            self.ask("<discard-changes/>")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine that needs timers."""
        return asyncio.run(work)


def edit_config(content: str, **options: str) -> str:
    """Return the operation; options with `_` for `-`."""
    more = "".join(
        f"<{name.replace('_', '-')}>{value}</{name.replace('_', '-')}>"
        for name, value in options.items()
    )
    return (
        f"<edit-config><target><candidate/></target>{more}<config>{content}</config></edit-config>"
    )
