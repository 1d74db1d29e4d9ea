"""The public side of each venue, as much of it as hundreds of quiet markets need.

Every change goes to every connection that asked for it: two that overlap see the same numbers.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from aiohttp import WSMsgType, web

#: A change, a mark and whatever else of every market comes this often, seconds.
BEAT_SECONDS = 0.5


class Session:
    """One connection."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        #: What it is subscribed to, in the venue's words.
        self.names: set[str] = set()
        #: Frames heard in each second, the longest of them, and subscriptions asked for.
        self.frames: Counter[int] = Counter()
        self.longest = 0
        self.asked = 0


class ManyVenue:
    """What all venues have in common."""

    paths: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        #: Last number of each book, by symbol.
        self.last: Counter[str] = Counter()
        #: Books whose next change names a number that never was.
        self.wrong: set[str] = set()
        #: Whole books given, by symbol.
        self.whole: Counter[str] = Counter()

    # -- what a venue says of its own ---------------------------------------------------------

    def take(self, session: Session, asked: dict[str, Any]) -> Iterable[object]:
        """Take a request and return the answers."""
        raise NotImplementedError

    def beat(self, name: str) -> object | None:
        """Return what a subscription is told at every beat."""
        raise NotImplementedError

    def rest(self) -> dict[str, Callable[[web.Request], object]]:
        """Return what REST answers, by path."""
        return {}

    # -- what is alike ------------------------------------------------------------------------

    def numbers(self, symbol: str) -> tuple[int, int]:
        """Return a book's number before its next change, and the one of the change."""
        before = self.last[symbol]
        self.last[symbol] = before + 1
        if symbol in self.wrong:
            self.wrong.discard(symbol)
            self.last[symbol] += 3
            return before + 3, before + 4
        return before, before + 1

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = Session(socket)
        self.sessions.append(session)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            session.frames[int(time.monotonic())] += 1
            session.longest = max(session.longest, len(message.data))
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            for answer in self.take(session, json.loads(message.data)):
                await socket.send_json(answer)
        session.names.clear()
        return socket

    async def beating(self) -> None:
        while True:
            listening: dict[str, list[Session]] = {}
            for session in self.sessions:
                for name in session.names:
                    listening.setdefault(name, []).append(session)
            for name in sorted(listening):
                told = self.beat(name)
                if told is None:
                    continue
                text = json.dumps(told)
                for session in listening[name]:
                    if name in session.names and not session.socket.closed:
                        await session.socket.send_str(text)
            await asyncio.sleep(BEAT_SECONDS)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Serve on a port of this machine for as long as the block lasts."""
        application = web.Application()
        for path in self.paths:
            application.router.add_get(path, self.serve)
        for path, answer in self.rest().items():

            async def answered(request: web.Request, answer: Any = answer) -> web.Response:
                return web.json_response(answer(request))

            application.router.add_get(path, answered)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        beating = asyncio.create_task(self.beating())
        try:
            yield runner.addresses[0][1]
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await runner.cleanup()


class ManyBinance(ManyVenue):
    """Books are seeded by REST; a change covers five numbers."""

    paths = ("/public/ws", "/market/ws")

    def __init__(self) -> None:
        super().__init__()
        self.levels_asked: set[str] = set()

    def rest(self) -> dict[str, Callable[[web.Request], object]]:
        return {
            "/fapi/v1/depth": self.depth,
            "/fapi/v1/fundingInfo": lambda _: [{"symbol": "S0USDT", "fundingIntervalHours": 4}],
            "/fapi/v1/exchangeInfo": lambda _: {"symbols": [{"symbol": "S0USDT"}]},
        }

    def depth(self, request: web.Request) -> object:
        symbol = request.query["symbol"]
        self.whole[symbol] += 1
        self.levels_asked.add(request.query["limit"])
        levels = {"bids": [["99.5", "1"]], "asks": [["100.5", "2"]]}
        return {"lastUpdateId": 5 * self.last[symbol], "T": 1, "E": 1, **levels}

    def take(self, session: Session, asked: dict[str, Any]) -> Iterable[object]:
        session.names |= set(asked["params"])
        session.asked += len(asked["params"])
        yield {"result": None, "id": asked["id"]}

    def beat(self, name: str) -> object | None:
        symbol, _, what = name.partition("@")
        symbol = symbol.upper()
        if what.startswith("depth"):
            before, after = (5 * number for number in self.numbers(symbol))
            return {
                "e": "depthUpdate", "E": 1, "T": 1, "s": symbol, "U": before + 2, "u": after,
                "pu": before, "b": [["99.5", "3"]], "a": [],
            }  # fmt: skip
        if what.startswith("markPrice"):
            return {
                "e": "markPriceUpdate", "E": 1, "s": symbol, "p": "100", "i": "100",
                "r": "0.0001", "T": 2,
            }  # fmt: skip
        return None


class ManyBybit(ManyVenue):
    """A subscription is answered with the whole; a wrong or doubled name refuses its request."""

    paths = ("/v5/public/linear",)

    def take(self, session: Session, asked: dict[str, Any]) -> Iterable[object]:
        operation, names = asked["op"], asked.get("args", [])
        if operation == "ping":
            yield {"success": True, "ret_msg": "pong", "op": "ping"}
            return
        session.asked += len(names)
        doubled = operation == "subscribe" and session.names & set(names)
        if len(names) > 10 or doubled:
            yield {"success": False, "ret_msg": f"refused {names}", "op": operation}
            return
        yield {"success": True, "ret_msg": "", "op": operation, "req_id": asked.get("req_id", "")}
        if operation == "unsubscribe":
            session.names -= set(names)
            return
        session.names |= set(names)
        for name in names:
            topic, _, rest = name.partition(".")
            if topic == "orderbook":
                symbol = rest.partition(".")[2]
                self.whole[symbol] += 1
                yield self._book(name, symbol, "snapshot", self.last[symbol] + 1)
            elif topic == "tickers":
                yield self._ticker(name, rest, "snapshot")

    def beat(self, name: str) -> object | None:
        topic, _, rest = name.partition(".")
        if topic == "orderbook":
            symbol = rest.partition(".")[2]
            return self._book(name, symbol, "delta", self.numbers(symbol)[1] + 1)
        return self._ticker(name, rest, "delta") if topic == "tickers" else None

    def _book(self, topic: str, symbol: str, kind: str, number: int) -> object:
        levels = {"b": [["99.5", "3"]], "a": [["100.5", "2"]] if kind == "snapshot" else []}
        # 1 would mean that the service was restarted.
        data = {"s": symbol, **levels, "u": number + 100, "seq": number + 100}
        return {"topic": topic, "type": kind, "ts": 1, "cts": 1, "data": data}

    def _ticker(self, topic: str, symbol: str, kind: str) -> object:
        data = {"symbol": symbol, "markPrice": "100", "indexPrice": "100"}
        if kind == "snapshot":
            data |= {"fundingRate": "0.0001", "nextFundingTime": "2", "fundingIntervalHour": "8"}
        return {"topic": topic, "type": kind, "ts": 1, "cs": 1, "data": data}


class ManyOkx(ManyVenue):
    """A subscription is answered with the whole; numbers are chained by `prevSeqId`."""

    paths = ("/ws/v5/public",)

    def take(self, session: Session, asked: dict[str, Any]) -> Iterable[object]:
        session.asked += len(asked["args"])
        for argument in asked["args"]:
            yield {"event": asked["op"], "arg": argument, "connId": "c"}
            name = f"{argument['channel']}:{argument.get('instId', '')}"
            if asked["op"] == "unsubscribe":
                session.names.discard(name)
                continue
            session.names.add(name)
            if argument["channel"] == "books":
                symbol = argument["instId"]
                self.whole[symbol] += 1
                yield self._book(symbol, "snapshot", -1, self.last[symbol] + 100)
            elif argument["channel"] in {"index-tickers", "funding-rate"}:
                told = self.beat(name)
                assert told is not None
                yield told

    def beat(self, name: str) -> object | None:
        channel, _, inst_id = name.partition(":")
        if channel == "books":
            before, after = self.numbers(inst_id)
            return self._book(inst_id, "update", before + 100, after + 100)
        if channel == "liquidation-orders":
            return None
        row: dict[str, str] = {"instId": inst_id, "ts": "1"}
        row |= {
            "mark-price": {"markPx": "100"},
            "index-tickers": {"idxPx": "100"},
            "funding-rate": {"fundingRate": "0.0001", "fundingTime": "2", "nextFundingTime": "3"},
        }[channel]
        return {"arg": {"channel": channel, "instId": inst_id}, "data": [row]}

    def _book(self, inst_id: str, action: str, before: int, number: int) -> object:
        asks = [["100.5", "2", "0", "1"]] if action == "snapshot" else []
        row = {
            "bids": [["99.5", "3", "0", "1"]], "asks": asks, "ts": "1", "checksum": 0,
            "seqId": number, "prevSeqId": before,
        }  # fmt: skip
        return {"arg": {"channel": "books", "instId": inst_id}, "action": action, "data": [row]}
