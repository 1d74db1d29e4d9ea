"""Frames that are none, sent by a real server: the stream goes on, and counts them."""

import asyncio

import pytest
import structlog
from websockets.asyncio.server import serve

from counterpoise.domain.events import StreamDown
from counterpoise.venues.connection import FRAME_BYTES_MAX, StreamSocket, Timing
from venue_frames import SPOKEN
from venue_rigs import WallClock

MARKS = [name for name in SPOKEN if name.endswith("-marks")]
ACCOUNTS = [name for name in SPOKEN if name.endswith("-account")]
QUICK = Timing(retry_first=0.02, retry_max=0.1, watch_every=0.05)

#: Frame and whether it travels as text.
BAD = [
    (b"", True),
    (b"{", True),
    (b"\xff\xfe\xfd", False),
    (b'\xc3{"data":"\xc3"}', True),
    (b"[" * 200_000, True),
    (b'{"data":' * 100_000, True),
    (b'"' + b"x" * 1_000_000 + b'"', True),
    (b"null", False),
]


async def heard(spoken, connections, wanted, seconds=20):
    """Let a server say something on each connection; return the socket, and what it told."""
    conversation = spoken.make()
    said = iter(connections)
    events = []

    async def speak(peer):
        for frame, text in next(said, ()):
            await peer.send(frame, text=text)
        await peer.wait_closed()

    async with serve(speak, "127.0.0.1", 0, compression=None) as server:
        conversation.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        socket = StreamSocket(conversation, WallClock(), QUICK)
        task = asyncio.create_task(socket.run(events.append))
        try:
            async with asyncio.timeout(seconds):
                while not any(isinstance(event, wanted) for event in events):
                    assert not task.done(), task.result()
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    return socket, events


def texts(*frames):
    return [(frame, True) for frame in frames]


@pytest.fixture
def all_is_logged():
    """Whatever another test made of the log in this process."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("all_is_logged")
@pytest.mark.parametrize("name", MARKS)
async def test_a_market_goes_on_and_each_bad_frame_is_counted_and_logged(name):
    spoken = SPOKEN[name]
    with structlog.testing.capture_logs() as log:
        connection = [*texts(*spoken.opening), *BAD, *texts(spoken.good)]
        socket, events = await heard(spoken, [connection], spoken.kind)
    assert socket.malformed_frames == len(BAD)
    assert not any(isinstance(event, StreamDown) for event in events)
    # The first, second, fourth... of them: a broken venue must not fill the log.
    told = [each["frames"] for each in log if each["event"] == "stream.frame_malformed"]
    assert told == [1, 2, 4, 8]


@pytest.mark.parametrize("name", MARKS)
async def test_a_frame_beyond_all_bounds_costs_a_connection_and_no_more(name):
    spoken = SPOKEN[name]
    huge = b"[" + b"1," * (FRAME_BYTES_MAX // 2) + b"1]"
    first = texts(*spoken.opening, huge)
    second = texts(*spoken.opening, spoken.good)
    _, events = await heard(spoken, [first, second], spoken.kind)
    assert any(isinstance(event, StreamDown) for event in events)


@pytest.mark.parametrize("name", ACCOUNTS)
async def test_an_account_connects_anew_and_counts_it(name):
    spoken = SPOKEN[name]
    first = texts(*spoken.opening, b"{")
    second = texts(*spoken.opening, spoken.good)
    socket, events = await heard(spoken, [first, second], spoken.kind)
    assert socket.malformed_frames == 1
    (down,) = [event for event in events if isinstance(event, StreamDown)]
    assert "could not be read" in down.reason
