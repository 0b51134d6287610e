"""RFC 6242 framing: whatever way the bytes are cut, the same messages come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activation.drivers._framing import END, FrameReader, FramingError, frame

messages = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5)
cuts = st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=50)


def read_all(reader: FrameReader, data: bytes, sizes: list[int]) -> list[bytes]:
    found: list[bytes] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        reader.feed(data[:size])
        data, turn = data[size:], turn + 1
        while (message := reader.next()) is not None:
            found.append(message)
    return found


@given(messages, cuts)
def test_chunked_round_trip(sent: list[bytes], sizes: list[int]) -> None:
    reader = FrameReader()
    reader.chunked = True
    wire = b"".join(frame(message, chunked=True) for message in sent)
    assert read_all(reader, wire, sizes) == sent


@given(messages, cuts, st.integers(min_value=1, max_value=7))
def test_a_message_may_come_in_many_chunks(sent: list[bytes], sizes: list[int], piece: int) -> None:
    reader = FrameReader()
    reader.chunked = True
    wire = b""
    for message in sent:
        parts = [message[at : at + piece] for at in range(0, len(message), piece)]
        wire += b"".join(b"\n#%d\n%b" % (len(part), part) for part in parts) + b"\n##\n"
    assert read_all(reader, wire, sizes) == sent


@given(messages, cuts)
def test_marked_round_trip(sent: list[bytes], sizes: list[int]) -> None:
    sent = [message.replace(END, b"") or b"x" for message in sent]
    sent = [message.rstrip(b"]") or b"x" for message in sent]
    wire = b"".join(frame(message, chunked=False) for message in sent)
    assert read_all(FrameReader(), wire, sizes) == sent


def test_framing_changes_after_hello_inside_one_packet() -> None:
    reader = FrameReader()
    reader.feed(b"<hello/>" + END + frame(b"<first/>", chunked=True))
    assert reader.next() == b"<hello/>"
    reader.chunked = True
    assert reader.next() == b"<first/>"
    assert reader.next() is None


def test_chunk_that_looks_like_frames() -> None:
    reader = FrameReader()
    reader.chunked = True
    message = b"a\n##\n]]>]]>\n#3\nb"
    reader.feed(frame(message, chunked=True))
    assert reader.next() == message


@pytest.mark.parametrize(
    "wire",
    [
        b"x",
        b"\nx",
        b"\n#x",
        b"\n#0\n",
        b"\n#12x\n",
        b"\n##\n",
        b"\n#4294967296\n",
        b"\n#99999999999\n",
    ],
)
def test_nonsense_is_found_at_once(wire: bytes) -> None:
    reader = FrameReader()
    reader.chunked = True
    reader.feed(wire)
    with pytest.raises(FramingError):
        reader.next()


def test_endless_message_is_cut_off() -> None:
    reader = FrameReader(limit=1000)
    for _ in range(10):
        reader.feed(b"x" * 100)
        assert reader.next() is None
    with pytest.raises(FramingError, match="more than 1000"):
        reader.feed(b"x")
