"""An outside client drives the OLT over SSH: ncclient, as an operator's script would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import asyncssh
import pytest
from ncclient import NCClientError, manager
from ncclient.operations.errors import TimeoutExpiredError
from ncclient.operations.rpc import RPCError
from ncclient.transport.errors import (
    AuthenticationError,
    SessionCloseError,
    SSHError,
    TransportError,
)

from lab.pytest_plugin import Lab
from tests.lab.lines import IF, RATES, Line

OLT = "olt-west-02"
SERIAL = "HWTC4D5E6F01"
LINE = Line(serial=SERIAL)
NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"'
GEMS = ("subtree", '<xpongemtcont xmlns="urn:bbf:yang:bbf-xpongemtcont"/>')


@contextmanager
def connected(lab: Lab, node: str = OLT, **changes: Any) -> Iterator[Any]:
    access = lab.node(node).access[0]
    arguments = {
        "host": access.host,
        "port": access.port,
        "username": "admin",
        "password": "admin",
        "hostkey_verify": False,
        "allow_agent": False,
        "look_for_keys": False,
        "timeout": 10,
        **changes,
    }
    session = manager.connect(**arguments)
    try:
        yield session
    finally:
        # it may still believe in a session that the other side has dropped, and then fails or waits in closing it
        with suppress(NCClientError):
            if session.connected:
                session.close_session()


def config(content: str) -> str:
    return f"<nc:config {NC}>{content}</nc:config>"


def test_the_life_of_a_line(fresh_lab: Lab) -> None:
    with connected(fresh_lab) as m:
        assert ":confirmed-commit:1.1" in str(list(m.server_capabilities))
        with m.locked("candidate"):
            m.edit_config(
                config(RATES + str(LINE)), target="candidate", error_option="rollback-on-error"
            )
            m.validate("candidate")
            m.commit(confirmed=True, timeout="30", persist="batch-1")
    with connected(fresh_lab) as m:
        m.commit(persist_id="batch-1")
        assert "tcont-1" in m.get_config("running", filter=GEMS).data_xml
        assert fresh_lab.plug("ont-5") == {"olt": OLT, "port": "pon1"}
        assert fresh_lab.state("ont-5") == "up"
        state = (
            "subtree",
            f'<interfaces-state xmlns="{IF}"><interface><name>vani-1</name></interface></interfaces-state>',
        )
        shown = m.get(filter=state).data_xml
        assert "onu-present-and-on-intended-channel-termination" in shown
        assert ">-16.5<" in shown
        m.edit_config(config(LINE.removal()), target="candidate")
        m.commit()
        assert "tcont-1" not in m.get_config("running", filter=GEMS).data_xml
        assert fresh_lab.state("ont-5") == "plugged"


def test_an_error_says_what_and_where(fresh_lab: Lab) -> None:
    with connected(fresh_lab) as m:
        m.edit_config(config(RATES + str(LINE).replace("tdp-50m", "tdp-60m")), target="candidate")
        with pytest.raises(RPCError) as caught:
            m.commit()
        assert caught.value.tag == "data-missing"
        assert caught.value.app_tag == "instance-required"
        assert "traffic-descriptor-profile-ref" in caught.value.path
        m.discard_changes()


def test_locks_are_between_sessions(fresh_lab: Lab) -> None:
    with connected(fresh_lab) as one, connected(fresh_lab) as two:
        with one.locked("candidate"), pytest.raises(RPCError) as caught:
            two.lock("candidate")
        assert caught.value.tag == "lock-denied"
        assert f"<session-id>{one.session_id}</session-id>" in caught.value.info
        two.lock("candidate")
        one.kill_session(two.session_id)
        one.lock("candidate")


def test_a_named_commit_survives_its_session_and_an_unnamed_does_not(fresh_lab: Lab) -> None:
    for name, there in ((None, False), ("b1", True)):
        with connected(fresh_lab) as m:
            m.edit_config(config(RATES), target="candidate")
            m.commit(confirmed=True, timeout="60", persist=name)
        with connected(fresh_lab) as m:
            assert ("tdp-50m" in m.get_config("running", filter=GEMS).data_xml) is there
    with connected(fresh_lab) as m:
        m.cancel_commit(persist_id="b1")
        assert "tdp-50m" not in m.get_config("running", filter=GEMS).data_xml


def test_a_reboot_brings_back_what_was_saved(fresh_lab: Lab) -> None:
    with connected(fresh_lab) as m:
        m.edit_config(config(RATES), target="candidate")
        m.commit()
        m.copy_config(source="running", target="startup")
        m.edit_config(config(str(LINE)), target="candidate")
        m.commit()
    fresh_lab.reboot(OLT)
    with connected(fresh_lab) as m:
        shown = m.get_config("running", filter=GEMS).data_xml
        assert "tdp-50m" in shown
        assert "tcont-1" not in shown


def test_a_node_that_is_down_refuses_and_comes_back_as_it_was(fresh_lab: Lab) -> None:
    with connected(fresh_lab) as m:
        m.edit_config(config(RATES), target="candidate")
        m.commit()
        fresh_lab.fault(OLT, "down")
        assert fresh_lab.state(OLT) == "down"
        with pytest.raises(TransportError):
            m.get_config("running")
    with pytest.raises(SSHError), connected(fresh_lab):
        pass
    fresh_lab.clear_faults(OLT)
    with connected(fresh_lab) as m:
        assert "tdp-50m" in m.get_config("running", filter=GEMS).data_xml


@pytest.mark.parametrize(("when", "there"), [("before", False), ("after", True)])
def test_a_session_is_dropped_around_a_commit(fresh_lab: Lab, when: str, there: bool) -> None:
    fresh_lab.fault(OLT, "drop", rpc=2, when=when)
    with connected(fresh_lab, timeout=3) as m:
        m.edit_config(config(RATES), target="candidate")
        # ncclient sometimes misses the close and waits for the answer until its own timeout
        with pytest.raises((SessionCloseError, TimeoutExpiredError)):
            m.commit(confirmed=True, timeout="60", persist="b1")
    fresh_lab.clear_faults()
    with connected(fresh_lab) as m:
        assert ("tdp-50m" in m.get_config("running", filter=GEMS).data_xml) is there


def test_wrong_passwords_and_other_channels_are_refused(fresh_lab: Lab) -> None:
    with pytest.raises(AuthenticationError), connected(fresh_lab, password="wrong"):
        pass
    with pytest.raises(AuthenticationError), connected(fresh_lab, username="root"):
        pass
    access = fresh_lab.node(OLT).access[0]

    async def shell() -> tuple[int | None, str]:
        known = asyncssh.import_known_hosts(
            f"[{access.host}]:{access.port} {fresh_lab.info.host_key}\n"
        )
        async with asyncssh.connect(
            access.host,
            access.port,
            username="admin",
            password="admin",
            known_hosts=known,
            config=(),
        ) as connection:
            done = await connection.run("reboot")
            return done.exit_status, str(done.stderr)

    status, words = asyncio.run(shell())
    assert status == 1
    assert "NETCONF" in words


def test_down_drops_connections_that_have_no_session(fresh_lab: Lab) -> None:
    access = fresh_lab.node(OLT).access[0]

    async def idle() -> bytes:
        reader, writer = await asyncio.open_connection(access.host, access.port)
        assert (await reader.readline()).startswith(b"SSH-2.0-")
        fresh_lab.fault(OLT, "down")
        with suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        ended = reader.at_eof() or reader.exception() is not None
        writer.close()
        return b"ended" if ended else b"open"

    assert asyncio.run(idle()) == b"ended"
    fresh_lab.clear_faults(OLT)


def test_the_bng_answers_too(fresh_lab: Lab) -> None:
    with connected(fresh_lab, "bng-1") as m:
        assert "2001:db8:4000::/40" in m.get_config("running").data_xml
