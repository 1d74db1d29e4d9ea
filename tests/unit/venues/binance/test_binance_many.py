"""Five hundred instruments on one set of connections: limits kept, every book and mark told."""

import asyncio
import json
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from aiohttp import WSMsgType, web

from counterpoise.domain.events import BookDelta, BookGap, BookSnapshot, MarkPrice, StreamDown
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.market_stream import BOOKS_PER_CONNECTION, BinanceMarketStream
from counterpoise.venues.binance.snapshots import SHALLOW
from counterpoise.venues.connection import Timing

INSTRUMENTS = 500
#: What Binance takes of one connection: streams, and frames in a second.
STREAMS_MAX = 1_024
FRAMES_PER_SECOND_MAX = 10


class RealClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class ManyVenue:
    """Speaks as much of Binance's public side as five hundred quiet markets need."""

    def __init__(self) -> None:
        self.streams: list[set[str]] = []
        self.frames: Counter[tuple[int, int]] = Counter()
        self.depth_asked: Counter[str] = Counter()
        self.levels_asked: set[str] = set()
        #: Last update of each book.
        self.last: Counter[str] = Counter()
        self.wrong: set[str] = set()

    async def depth(self, request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        self.depth_asked[symbol] += 1
        self.levels_asked.add(request.query["limit"])
        levels = {"bids": [["99.5", "1"]], "asks": [["100.5", "2"]]}
        return web.json_response({"lastUpdateId": self.last[symbol], "T": 1, "E": 1, **levels})

    async def intervals(self, _request: web.Request) -> web.Response:
        return web.json_response([{"symbol": "S0USDT", "fundingIntervalHours": 4}])

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        number, names = len(self.streams), set()
        self.streams.append(names)
        pusher = asyncio.create_task(self._push(socket, names))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                self.frames[number, int(time.monotonic())] += 1
                asked = json.loads(message.data)
                names |= set(asked["params"])
                await socket.send_json({"result": None, "id": asked["id"]})
        finally:
            pusher.cancel()
        return socket

    async def _push(self, socket: web.WebSocketResponse, names: set[str]) -> None:
        while True:
            for name in sorted(names):
                symbol, _, what = name.partition("@")
                if what.startswith("depth"):
                    await socket.send_json(self._change(symbol.upper()))
                elif what.startswith("markPrice"):
                    await socket.send_json(
                        {
                            "e": "markPriceUpdate", "E": 1, "s": symbol.upper(), "p": "100",
                            "i": "100", "r": "0.0001", "T": 2,
                        }
                    )  # fmt: skip
            await asyncio.sleep(0.5)

    def _change(self, symbol: str) -> dict[str, object]:
        before = self.last[symbol]
        self.last[symbol] += 5
        if symbol in self.wrong:
            self.wrong.discard(symbol)
            before -= 1
        return {
            "e": "depthUpdate", "E": 1, "T": 1, "s": symbol, "U": before + 2, "u": before + 5,
            "pu": before, "b": [["99.5", "3"]], "a": [],
        }  # fmt: skip


@asynccontextmanager
async def listening(venue: ManyVenue) -> AsyncIterator[int]:
    application = web.Application()
    application.router.add_get("/fapi/v1/depth", venue.depth)
    application.router.add_get("/fapi/v1/fundingInfo", venue.intervals)
    application.router.add_get("/public/ws", venue.stream)
    application.router.add_get("/market/ws", venue.stream)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_five_hundred_instruments_share_connections_within_every_limit():
    names = [f"S{number}USDT" for number in range(INSTRUMENTS)]
    venue = ManyVenue()
    heard: dict[type, set[str]] = {BookSnapshot: set(), BookDelta: set(), MarkPrice: set()}
    gaps: list[BookGap] = []
    downs: list[StreamDown] = []

    def hear(event) -> None:
        if isinstance(event, BookGap):
            gaps.append(event)
        elif isinstance(event, StreamDown):
            downs.append(event)
        elif type(event) in heard:
            heard[type(event)].add(event.instrument_id)

    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with listening(venue) as port:
        stream = BinanceMarketStream(
            BinanceEndpoints.loopback(port),
            {name: (name, Decimal(1)) for name in names},
            RealClock(),
            timing=Timing(),
        )
        task = asyncio.create_task(stream.run(hear))
        try:
            async with asyncio.timeout(100):
                while any(found != set(names) for found in heard.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            # One book breaks: it alone is asked for again, the others go on.
            asked = Counter(venue.depth_asked)
            for found in heard.values():
                found.clear()
            venue.wrong.add("S77USDT")
            async with asyncio.timeout(60):
                while "S77USDT" not in heard[BookSnapshot]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                while heard[BookDelta] != set(names):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert [gap.instrument_id for gap in gaps] == ["S77USDT"]
    assert heard[BookSnapshot] == {"S77USDT"}
    assert set(venue.depth_asked - asked) == {"S77USDT"}
    assert downs == []
    books = [each for each in venue.streams if any("@depth" in name for name in each)]
    assert len(books) == INSTRUMENTS // BOOKS_PER_CONNECTION
    assert max(len(each) for each in venue.streams) <= STREAMS_MAX
    assert max(venue.frames.values()) <= FRAMES_PER_SECOND_MAX
    assert venue.levels_asked == {str(SHALLOW[0])}
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1_024
    assert grown_mb < 200
