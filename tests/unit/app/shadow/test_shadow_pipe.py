"""Events go over the pipe as they are, and only those of the market do."""

import asyncio
import os

import pytest

from counterpoise.app.shadow import pipe
from counterpoise.domain.events import StreamAlive, StreamDown, StreamName, Tick
from shadow_events import EVENTS, FIRST


async def read_all(content: bytes):
    reader = asyncio.StreamReader(limit=pipe.FRAME_BYTES_MAX)
    reader.feed_data(content)
    reader.feed_eof()
    found = []
    while True:
        try:
            found.append(await pipe.read_event(reader))
        except asyncio.IncompleteReadError:
            return found


async def test_every_kind_arrives_as_it_was_sent():
    assert {type(each).__name__ for each in EVENTS} == set(pipe.KINDS)
    found = await read_all(b"".join(pipe.frame(each) for each in EVENTS))
    assert found == EVENTS
    # The same text, not only the same value.
    assert str(found[0].quantity_unit) == "0.0100"


async def test_a_frame_that_was_cut_is_the_end():
    content = b"".join(pipe.frame(each) for each in EVENTS)
    assert await read_all(content[:-1]) == EVENTS[:-1]


def test_the_accounts_own_events_stay_here():
    assert all(pipe.of_the_market(each) for each in EVENTS)
    assert not pipe.of_the_market(StreamAlive(stream=StreamName.ACCOUNT, received_ns=1))
    assert not pipe.of_the_market(
        StreamDown(stream=StreamName.ACCOUNT, reason="cut", received_ns=1)
    )
    assert not pipe.of_the_market(Tick(now_ns=1))


def test_the_introduction_comes_first_and_leaves_the_rest_in_the_pipe():
    out, into = os.pipe()
    try:
        os.write(into, pipe.introduction(FIRST) + b"rest")
        assert pipe.read_introduction(out) == FIRST
        assert os.read(out, 10) == b"rest"
        os.write(into, b"\x00\x00")
        os.close(into)
        with pytest.raises(EOFError):
            pipe.read_introduction(out)
    finally:
        os.close(out)


async def test_a_length_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="longer than"):
        await read_all(b"\xff\xff\xff\xff....")
