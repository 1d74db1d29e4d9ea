"""Faults in a market that runs by itself, in real time; `tests/contract/faults` has every kind."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import ccxt.async_support as ccxt
import pytest
import websockets

import preloaded

BTC = "BTC/USDT:USDT"
SYMBOL = "BTC-USDT-SWAP"
SOURCE = Path(__file__).resolve().parents[2] / "src"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Venue:
    """A simulator process, its card, and its owner's requests."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "counterpoise.app.cli.main", "simulator"]
        with Path(os.devnull).open("wb") as nowhere:
            self.process = preloaded.start(
                [*command, "--venue", "okx", "--seed", "5", *arguments],
                stdout=subprocess.PIPE,
                stderr=nowhere,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )
        self.card = json.loads(self.process.stdout.readline())

    def ask(self, path, body=None):
        request = urllib.request.Request(
            self.card["rest"] + path, data=None if body is None else json.dumps(body).encode()
        )
        with OPENER.open(request, timeout=10) as response:
            return json.loads(response.read())

    def state(self):
        return self.ask("/_state")

    def fault(self, kind, **details):
        return self.ask("/_control", {"kind": kind, **details})

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(15) == 0
        self.process.stdout.close()


@pytest.fixture(scope="module")
def running():
    venue = Venue("--wallet", "50000")
    yield venue
    venue.close()


@pytest.fixture
def venue(running):
    yield running
    running.fault("clear")


@pytest.fixture
async def okx(venue):
    card = venue.card
    exchange = ccxt.okx(
        {
            "apiKey": card["api_key"],
            "secret": card["secret"],
            "password": card["password"],
            "enableRateLimit": False,
            "timeout": 4_000,
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        }
    )
    exchange.has["fetchCurrencies"] = False
    exchange.urls["api"] = {
        name: re.sub(r"^https?://[^/]+", card["rest"], url)
        for name, url in exchange.urls["api"].items()
        if isinstance(url, str)
    }
    yield exchange
    venue.fault("clear")
    for position in await exchange.fetch_positions():
        side = "sell" if position["side"] == "long" else "buy"
        await exchange.create_order(
            position["symbol"], "market", side, position["contracts"], None, {"reduceOnly": True}
        )
    await exchange.close()


@contextlib.asynccontextmanager
async def public(venue, channel):
    async with websockets.connect(venue.card["ws"] + "/ws/v5/public", proxy=None) as socket:
        argument = {"channel": channel, "instId": SYMBOL}
        await socket.send(json.dumps({"op": "subscribe", "args": [argument]}))
        assert json.loads(await socket.recv())["event"] == "subscribe"
        yield socket


@contextlib.asynccontextmanager
async def private(venue, channel="orders"):
    stamp = str(int(time.time()))
    digest = hmac.new(
        venue.card["secret"].encode(), f"{stamp}GET/users/self/verify".encode(), hashlib.sha256
    ).digest()
    login = {
        "apiKey": venue.card["api_key"],
        "passphrase": venue.card["password"],
        "timestamp": stamp,
        "sign": base64.b64encode(digest).decode(),
    }
    async with websockets.connect(venue.card["ws"] + "/ws/v5/private", proxy=None) as socket:
        await socket.send(json.dumps({"op": "login", "args": [login]}))
        assert json.loads(await socket.recv())["event"] == "login"
        argument = {"channel": channel, "instType": "SWAP"}
        await socket.send(json.dumps({"op": "subscribe", "args": [argument]}))
        assert json.loads(await socket.recv())["event"] == "subscribe"
        yield socket


async def frame(socket, seconds=5.0):
    return json.loads(await asyncio.wait_for(socket.recv(), seconds))


async def silence(socket, seconds):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), seconds)


async def far_order(okx, **more):
    price = (await okx.fetch_order_book(BTC, 5))["bids"][0][0]
    text = okx.price_to_precision(BTC, price * 0.995)
    return await okx.create_order(BTC, "limit", "buy", 1, text, {"postOnly": True, **more})


# -- requests --------------------------------------------------------------------------------


async def test_a_chance_and_a_window(okx, venue):
    await okx.load_markets()
    venue.fault(
        "rate_limited", path_contains="/time", count=0, duration_seconds=60, probability=0.5
    )
    outcomes = []
    for _ in range(24):
        try:
            await okx.fetch_time()
            outcomes.append(True)
        except ccxt.RateLimitExceeded:
            outcomes.append(False)
    assert 4 <= sum(outcomes) <= 20
    venue.fault("clear")
    venue.fault("rate_limited", path_contains="/time", count=0, duration_seconds=0.3)
    with pytest.raises(ccxt.RateLimitExceeded):
        await okx.fetch_time()
    await asyncio.sleep(0.4)
    assert await okx.fetch_time() > 0


# -- private pushes --------------------------------------------------------------------------


async def test_private_events_late_twice_and_lost(okx, venue):
    await okx.load_markets()
    async with private(venue) as socket:
        venue.fault("late_private", path_contains="orders", seconds=1.0)
        began = time.monotonic()
        made = await far_order(okx)
        assert (await frame(socket))["data"][0]["ordId"] == made["id"]
        assert time.monotonic() - began >= 0.9
        venue.fault("duplicate_private", path_contains="orders")
        await okx.cancel_order(made["id"], BTC)
        first, again = await frame(socket), await frame(socket)
        assert first == again
        assert first["data"][0]["state"] == "canceled"
        venue.fault("lose_private", path_contains="orders")
        made = await far_order(okx)
        await okx.cancel_order(made["id"], BTC)
        assert (await frame(socket))["data"][0]["state"] == "canceled"


# -- connections -----------------------------------------------------------------------------


async def test_a_silent_socket_answers_pings(venue):
    async with public(venue, "books") as socket:
        await frame(socket)
        venue.fault("silent_streams", duration_seconds=1.5)
        await socket.send("ping")
        while (received := await socket.recv()) != "pong":
            assert "books" in received
        await silence(socket, 0.8)
        assert (await frame(socket))["action"] == "update"


async def test_a_half_open_socket_answers_nothing_and_ends(venue):
    async with public(venue, "books") as socket:
        await frame(socket)
        assert venue.fault("half_open", duration_seconds=1.5)["stalled"] == 1
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(socket.recv(), 0.4)
        await socket.send("ping")
        await silence(socket, 0.4)
        with pytest.raises(websockets.ConnectionClosedError):
            await asyncio.wait_for(socket.recv(), 5)


async def test_a_storm_cuts_again_and_again(venue):
    venue.fault("reconnect_storm", duration_seconds=1.2, seconds=0.3)
    cut = 0
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        try:
            async with public(venue, "books") as socket:
                while True:
                    await asyncio.wait_for(socket.recv(), 2)
        except (OSError, websockets.ConnectionClosed, websockets.InvalidMessage, TimeoutError):
            cut += 1
    assert cut >= 2


# -- beside faults ---------------------------------------------------------------------------


async def test_a_resting_order_is_amended(okx, venue):
    await okx.load_markets()
    made = await far_order(okx)
    price = (await okx.fetch_order(made["id"], BTC))["price"]
    await okx.edit_order(made["id"], BTC, "limit", "buy", 3, price - 100)
    order = await okx.fetch_order(made["id"], BTC)
    assert (order["amount"], order["price"], order["status"]) == (3, price - 100, "open")
    await okx.cancel_order(made["id"], BTC)
    with pytest.raises(ccxt.OrderNotFound, match="51503"):
        await okx.edit_order(made["id"], BTC, "limit", "buy", 4, price - 100)


async def test_candles_are_pushed_on_the_business_path(venue):
    async with websockets.connect(venue.card["ws"] + "/ws/v5/business", proxy=None) as socket:
        argument = {"channel": "mark-price-candle1m", "instId": SYMBOL}
        await socket.send(json.dumps({"op": "subscribe", "args": [argument]}))
        assert (await frame(socket))["event"] == "subscribe"
        (first,) = (await frame(socket))["data"]
        (second,) = (await frame(socket))["data"]
    assert len(first) == 6
    assert int(first[0]) % 60_000 == 0
    assert int(second[0]) >= int(first[0])
    assert Decimal(second[3]) <= Decimal(second[4]) <= Decimal(second[2])


def test_wrong_orders_for_trouble_are_refused(venue):
    for body in (
        {"kind": "meteor"},
        {"kind": "lot_size", "symbol": "BTCUSDT", "value": "many"},
        {"kind": "gap_books", "symbol": "MOONUSDT"},
        {"kind": "partial_fill", "value": "2"},
        {"advance_seconds": 1},
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            venue.ask("/_control", body)
        assert refused.value.code == 400
        assert json.loads(refused.value.read())["error"]
        refused.value.close()


async def test_a_stop_is_still_told_of_when_its_market_has_ended(okx, venue):
    # The last test of its process: the market does not come back.
    symbol = "LTC/USDT:USDT"
    await okx.create_order(symbol, "market", "buy", 1)
    stop = {
        "stopLossPrice": "60",
        "slTriggerPxType": "mark",
        "reduceOnly": True,
        "algoClOrdId": "cpstop1",
    }
    await okx.create_order(symbol, "conditional", "sell", 1, None, stop)
    venue.fault("instrument_state", symbol="LTCUSDT", value="delisted")
    (row,) = (await okx.private_get_trade_order_algo({"algoClOrdId": "cpstop1"}))["data"]
    assert (row["state"], row["instId"], row["lever"]) == ("canceled", "LTC-USDT-SWAP", "3")
