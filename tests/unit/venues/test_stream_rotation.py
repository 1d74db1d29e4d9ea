"""A connection that grows old is followed by a new one, and nothing is told twice or lost."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from websockets.asyncio.server import ServerConnection, serve

from counterpoise.domain.events import (
    BookDelta,
    BookSnapshot,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.venues.connection import Heartbeat, StreamSocket, Timing
from counterpoise.venues.sharding import ShardedStream, shards


class RealClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class Lines:
    """Hears {"n": number} as a mark or a book change; its connection's first frame is a snapshot."""

    def __init__(self, url: str, stream: StreamName) -> None:
        self.url = url
        self.stream = stream
        self.heartbeat = Heartbeat()
        self.requests: list[bytes] = []
        self.established = True
        self.complete = False

    def begin(self, now_ns: int) -> None:
        self.complete = False

    def hear(self, frame: bytes, received_ns: int):
        told = json.loads(frame)
        first, self.complete = not self.complete, True
        if self.stream is StreamName.MARKS:
            return [
                MarkPrice(
                    instrument_id=told["who"],
                    mark=Decimal(told["n"]),
                    index=None,
                    event_ns=told["n"],
                    received_ns=received_ns,
                )
            ]
        common = {
            "instrument_id": told["who"],
            "bids": (),
            "asks": (),
            "sequence": told["n"],
            "event_ns": 1,
            "received_ns": received_ns,
        }
        return [BookSnapshot(quantity_unit=Decimal(1), **common) if first else BookDelta(**common)]

    def watch(self, now_ns: int) -> None:
        pass


@asynccontextmanager
async def counting(every: float = 0.01, **options) -> AsyncIterator[tuple[str, list]]:
    """A server that numbers its frames over all connections, which it lists."""
    sockets: list[ServerConnection] = []
    started = time.monotonic()

    async def talk(socket: ServerConnection) -> None:
        who = f"C{len(sockets)}"
        sockets.append(socket)
        if options.get("silent_from") is not None and len(sockets) > options["silent_from"]:
            await socket.wait_closed()
            return
        while True:
            number = int((time.monotonic() - started) * 1_000)
            await socket.send(json.dumps({"who": who, "n": number}))
            await asyncio.sleep(every)

    async with serve(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/", sockets


@asynccontextmanager
async def running(work) -> AsyncIterator[list]:
    heard: list = []
    task = asyncio.create_task(work(heard.append))
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(found, seconds: float = 10):
    async with asyncio.timeout(seconds):
        while not (answer := found()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return answer


QUICK = Timing(rotate_after=0.3, rotate_within=2.0, rotate_retry=0.2, alive_every=0.05)


def of(heard: list, kind: type) -> list:
    return [event for event in heard if isinstance(event, kind)]


async def test_a_book_is_taken_over_whole_and_never_told_down():
    async with counting() as (url, sockets):
        made = [Lines(url, StreamName.BOOKS)]

        def successor() -> Lines:
            made.append(Lines(url, StreamName.BOOKS))
            return made[-1]

        socket = StreamSocket(made[0], RealClock(), QUICK, successor=successor)
        async with running(socket.run) as heard:
            await until(lambda: len(of(heard, BookSnapshot)) >= 3)
        assert of(heard, StreamDown) == []
        books = [event for event in heard if isinstance(event, BookSnapshot | BookDelta)]
        changes = [event.instrument_id for event in books]
        # One connection after the other, each from its own snapshot on, never mixed.
        order = list(dict.fromkeys(changes))
        assert changes == sorted(changes, key=order.index)
        for who in order:
            mine = [event for event in books if event.instrument_id == who]
            assert isinstance(mine[0], BookSnapshot)
            assert all(isinstance(event, BookDelta) for event in mine[1:])
        assert socket.conversation is made[len(order) - 1]
        # The old ones are closed, not left behind.
        assert [each.close_code is None for each in sockets[: len(order) - 1]] == [False] * (
            len(order) - 1
        )


async def test_marks_of_both_connections_pass_while_they_overlap():
    async with counting() as (url, _):
        socket = StreamSocket(
            Lines(url, StreamName.MARKS),
            RealClock(),
            QUICK,
            successor=lambda: Lines(url, StreamName.MARKS),
        )
        async with running(socket.run) as heard:
            await until(lambda: any(e.instrument_id == "C2" for e in of(heard, MarkPrice)))
        assert of(heard, StreamDown) == []
        told = [event.instrument_id for event in of(heard, MarkPrice)]
        # The new one spoke before the old one fell silent: nothing was missed in between.
        assert told.index("C1") < len(told) - 1 - told[::-1].index("C0")


async def test_a_successor_that_never_speaks_is_given_up_and_the_present_one_stays():
    async with counting(silent_from=1) as (url, sockets):
        timing = Timing(rotate_after=0.2, rotate_within=0.3, rotate_retry=0.2, alive_every=0.05)
        socket = StreamSocket(
            Lines(url, StreamName.BOOKS),
            RealClock(),
            timing,
            successor=lambda: Lines(url, StreamName.BOOKS),
        )
        async with running(socket.run) as heard:
            await until(lambda: len(sockets) >= 3)
            known = len(of(heard, BookDelta))
            await until(lambda: len(of(heard, BookDelta)) > known + 5)
        assert of(heard, StreamDown) == []
        assert len(of(heard, BookSnapshot)) == 1


async def test_a_protocol_ping_proves_a_stream_that_has_nothing_to_say():
    async with counting(silent_from=0) as (url, _):
        quiet = Lines(url, StreamName.ACCOUNT)
        quiet.heartbeat = Heartbeat(every_seconds=0.05)
        timing = Timing(watch_every=0.02, alive_every=0.05, ping_after=0.2, pong_within=0.2)
        async with running(StreamSocket(quiet, RealClock(), timing).run) as heard:
            await until(lambda: len(of(heard, StreamAlive)) >= 10)
        # Far beyond the silence that would have ended it without pongs.
        assert of(heard, StreamDown) == []


def test_shards_are_even_and_none_is_too_large():
    assert shards(range(5), 10) == [(0, 1, 2, 3, 4)]
    assert [len(part) for part in shards(range(500), 200)] == [167, 167, 166]
    assert [each for part in shards(range(500), 200) for each in part] == list(range(500))
    assert shards([], 10) == [()]


async def test_a_set_is_alive_only_while_every_connection_is():
    async with counting() as (one, _), counting() as (two, sockets):
        timing = Timing(retry_first=0.4, retry_max=0.4, alive_every=0.05)
        sets = ShardedStream(
            [
                ((name,), StreamSocket(Lines(url, StreamName.MARKS), RealClock(), timing))
                for name, url in (("BTCUSDT", one), ("ETHUSDT", two))
            ]
        )
        async with running(sets.run) as heard:
            await until(lambda: len(of(heard, StreamAlive)) >= 3)
            await sockets[0].close()
            down = await until(lambda: of(heard, StreamDown))
            at = heard.index(down[0])
            await until(lambda: len(sockets) > 1 and of(heard[at:], StreamAlive))
            alive = of(heard[at:], StreamAlive)[0]
        # The other one went on talking all the time, and proved nothing for both.
        between = heard[at : heard.index(alive)]
        assert len(of(between, MarkPrice)) > 5
        # Told is what this one carried, and nothing of the other one.
        (event,) = of(heard, StreamDown)
        assert event.instrument_ids == ("ETHUSDT",)
