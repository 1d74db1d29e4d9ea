"""Binance's wire over a small venue, on a port of its own, and real clients pointed at it."""

import asyncio
import contextlib
import dataclasses
import json
import re
from decimal import Decimal

import aiohttp
import ccxt.async_support as ccxt
import pytest
import websockets
from aiohttp import web

from counterpoise.exchange.venues import binance_parameters
from counterpoise.simulator.binance.wire import BinanceWire
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.links import Links
from counterpoise.simulator.store import Store
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.wire import Floor

KEY = Credentials(
    api_key="2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
    secret="2b5eb11e18796d12",
    passphrase="",
    account_id="7",
)


def small_parameters(seed):
    return dataclasses.replace(binance_parameters(seed), history_days=1)


class Running:
    """The wire at work: what a test asks and moves."""

    def __init__(self, floor, port):
        self.floor = floor
        self.venue = floor.venue
        self.wire = BinanceWire(floor)
        self.port = port
        floor.venue.listeners.append(self.wire.hear)

    def turn(self):
        self.venue.catch_up()
        self.wire.tick()
        self.floor.links.tick()

    async def run(self):
        while True:
            self.turn()
            await asyncio.sleep(0.05)

    def account(self):
        return self.venue.exchange.account(KEY.account_id)


@pytest.fixture
async def running(tmp_path):
    store = Store(tmp_path / "state.sqlite", durable=False)
    clock = Clock()
    faults = FaultPlan(clock)
    venue = RunningVenue.open(
        store, seed=5, now_ns=clock.now_ns(), parameters=small_parameters, faults=faults
    )
    venue.open_account(KEY.account_id, Decimal(50_000))
    floor = Floor(venue=venue, credentials=KEY, faults=faults, links=Links(faults, clock))
    started = Running(floor, 0)
    application = web.Application()
    started.wire.add_routes(application)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    started.port = runner.addresses[0][1]
    task = asyncio.create_task(started.run())
    yield started
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await floor.links.close()
    await runner.cleanup()
    store.close()


def rewritten(tree, port):
    if isinstance(tree, dict):
        return {name: rewritten(each, port) for name, each in tree.items()}
    if isinstance(tree, str):
        return re.sub(r"^(http|ws)s?://[^/]+", rf"\1://127.0.0.1:{port}", tree)
    return tree


def pointed(exchange, port):
    """Change nothing but the addresses, and the error map that hangs on them."""
    exchange.urls["api"] = rewritten(exchange.urls["api"], port)
    errors = exchange.exceptions["linear"]
    exchange.get_exceptions_by_url = lambda _url, kind: errors.get(kind, {})
    return exchange


@contextlib.asynccontextmanager
async def made(kind, port, **more):
    # A session of our own: ccxt waits a quarter of a second to close one it made.
    async with aiohttp.ClientSession() as session:
        exchange = kind(
            {
                "apiKey": KEY.api_key,
                "secret": KEY.secret,
                "enableRateLimit": False,
                "session": session,
            }
            | more
        )
        pointed(exchange, port)
        await exchange.load_markets()
        yield exchange


@pytest.fixture
async def binance(running):
    async with made(ccxt.binanceusdm, running.port, number=str) as exchange:
        yield exchange


@pytest.fixture
async def watcher(running):
    # One class alone: ccxt.pro whole is 110 MB.
    from ccxt.pro.binanceusdm import binanceusdm

    async with made(binanceusdm, running.port) as exchange:
        yield exchange
        await exchange.close()


class Stream:
    """One WebSocket with every frame it received."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []

    async def ask(self, method, *params, number=1):
        await self.socket.send(json.dumps({"method": method, "params": params, "id": number}))
        return await self.until(lambda frame: isinstance(frame, dict) and frame.get("id") == number)

    async def until(self, wanted, seconds=5.0):
        """Return the first frame not returned yet that fits."""
        async with asyncio.timeout(seconds):
            while True:
                for place, frame in enumerate(self.frames):
                    if wanted(frame):
                        return self.frames.pop(place)
                self.frames.append(json.loads(await self.socket.recv()))

    async def event(self, kind):
        return await self.until(lambda frame: isinstance(frame, dict) and frame.get("e") == kind)

    async def silent(self, seconds):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                self.frames.append(json.loads(await self.socket.recv()))
        return not self.frames


@pytest.fixture
def stream(running):
    @contextlib.asynccontextmanager
    async def opened(path):
        address = f"ws://127.0.0.1:{running.port}/{path}"
        async with websockets.connect(address, proxy=None, max_queue=None) as socket:
            yield Stream(socket)

    return opened
