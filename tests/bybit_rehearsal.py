"""A lock-step Bybit venue in this process, and the real clients that talk to it."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import time
from decimal import Decimal

import aiohttp
import ccxt.async_support as ccxt
import websockets
from aiohttp import web

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.orders import NewOrder
from counterpoise.simulator.opening import LOCK_STEP_OPENED_NS, Opening, open_floor
from counterpoise.simulator.server import Simulator
from counterpoise.simulator.venues import VenueName

#: Shortly before a funding, so that not much has to be granted to reach it.
OPENED_NS = LOCK_STEP_OPENED_NS + 8 * 3_600 * 10**9 - 2 * 10**9


def rewritten(tree, port):
    if isinstance(tree, dict):
        return {name: rewritten(each, port) for name, each in tree.items()}
    if isinstance(tree, str):
        return re.sub(r"^(http|ws)s?://[^/]+", rf"\1://127.0.0.1:{port}", tree)
    return tree


class Rehearsal:
    """The venue, where it listens, and what its clients need."""

    def __init__(self, floor, simulator, port):
        self.floor = floor
        self.simulator = simulator
        self.port = port
        self.key = floor.credentials
        self.clients = []

    @property
    def exchange(self):
        return self.floor.venue.exchange

    @property
    def account(self):
        return self.exchange.account(self.key.account_id)

    @property
    def fills(self):
        return self.exchange.fills(self.key.account_id, 0)

    def grant(self, seconds):
        self.simulator.grant(seconds)

    def flatten(self):
        """Cancel every order, close every position, and let a second pass."""
        account_id, running = self.key.account_id, self.floor.venue
        for order in self.account.open_orders:
            running.cancel(account_id, order.order_id, None)
        for held in self.account.positions.values():
            closing = NewOrder(
                instrument_id=held.instrument_id,
                side=Side.SELL if held.quantity > 0 else Side.BUY,
                quantity=abs(held.quantity),
                kind=OrderKind.MARKET,
                reduce_only=True,
                position_side=held.position_side,
            )
            running.place(account_id, [closing])
        assert not self.account.positions
        self.grant(1)

    def client(self, cls=ccxt.bybit, **changed):
        exchange = cls(
            {
                "apiKey": self.key.api_key,
                "secret": self.key.secret,
                "enableRateLimit": False,
                "options": {
                    "defaultType": "swap",
                    "fetchMarkets": {"types": ["linear"]},
                    "enableUnifiedMargin": False,
                    "enableUnifiedAccount": True,
                    "unifiedMarginStatus": 6,
                },
            }
            | changed
        )
        exchange.urls["api"] = rewritten(exchange.urls["api"], self.port)
        exchange.hostname = f"127.0.0.1:{self.port}"
        self.clients.append(exchange)
        return exchange

    def sign(self, payload, *, stamp_ms=None, window="5000", key=None, secret=None):
        stamp = str(time.time_ns() // 1_000_000 if stamp_ms is None else stamp_ms)
        key = key or self.key.api_key
        message = f"{stamp}{key}{window}{payload}"
        digest = hmac.new((secret or self.key.secret).encode(), message.encode(), hashlib.sha256)
        return {
            "X-BAPI-API-KEY": key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": digest.hexdigest(),
        }

    async def get(self, path, query="", **signed):
        address = f"http://127.0.0.1:{self.port}{path}" + (f"?{query}" if query else "")
        async with (
            aiohttp.ClientSession() as session,
            session.get(address, headers=self.sign(query, **signed)) as answer,
        ):
            return answer, await answer.json(content_type=None) if answer.status == 200 else None

    async def post(self, path, fields, **signed):
        body = json.dumps(fields)
        headers = self.sign(body, **signed) | {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers
            ) as answer,
        ):
            return answer, await answer.json(content_type=None)

    def auth_frame(self, *, secret=None, key=None, expires_ms=None):
        expires = int(time.time() * 1_000) + 10_000 if expires_ms is None else expires_ms
        digest = hmac.new(
            (secret or self.key.secret).encode(), f"GET/realtime{expires}".encode(), hashlib.sha256
        )
        return {"op": "auth", "args": [key or self.key.api_key, expires, digest.hexdigest()]}

    @contextlib.asynccontextmanager
    async def stream(self, path):
        async with websockets.connect(
            f"ws://127.0.0.1:{self.port}{path}", proxy=None, max_queue=None
        ) as socket:
            yield Stream(socket)

    @contextlib.asynccontextmanager
    async def public(self, *topics):
        async with self.stream("/v5/public/linear") as opened:
            await opened.send({"op": "subscribe", "req_id": "1", "args": list(topics)})
            ack = await opened.until(lambda frame: frame.get("op") == "subscribe")
            assert ack["success"], ack
            yield opened

    @contextlib.asynccontextmanager
    async def private(self, *topics):
        async with self.stream("/v5/private") as opened:
            await opened.send(self.auth_frame())
            await opened.until(lambda frame: frame.get("op") == "auth" and frame["success"])
            await opened.send({"op": "subscribe", "req_id": "1", "args": list(topics)})
            ack = await opened.until(lambda frame: frame.get("op") == "subscribe")
            assert ack["success"], ack
            yield opened


class Stream:
    """One WebSocket with every frame it received."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []

    async def send(self, body):
        await self.socket.send(json.dumps(body))

    async def next(self, seconds=5.0):
        async with asyncio.timeout(seconds):
            frame = json.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, wanted):
        for frame in self.frames:
            if wanted(frame):
                return frame
        while True:
            frame = await self.next()
            if wanted(frame):
                return frame

    async def settled(self):
        """Read everything that is on the way."""
        with contextlib.suppress(TimeoutError):
            while True:
                await self.next(0.1)

    def pushed(self, topic):
        return [frame for frame in self.frames if frame.get("topic") == topic]

    def rows(self, topic):
        return [row for frame in self.pushed(topic) for row in frame["data"]]


@contextlib.asynccontextmanager
async def opened(directory, **changed):
    opening = {
        "venue": VenueName.BYBIT,
        "seed": 7,
        "speed": 0.0,
        "opened_ns": OPENED_NS,
        "wallet": Decimal(20_000),
        "ephemeral": True,
    }
    directory.mkdir(exist_ok=True)
    floor, store = open_floor(directory, Opening(**opening | changed))
    simulator = Simulator(floor, VenueName.BYBIT)
    runner = web.AppRunner(simulator.application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    rehearsal = Rehearsal(floor, simulator, runner.addresses[0][1])
    try:
        yield rehearsal
    finally:
        for client in rehearsal.clients:
            await client.close()
        await simulator.links.close()
        await runner.cleanup()
        store.close()
