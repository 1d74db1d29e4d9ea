"""Every kind of fault, ordered on a running simulator and seen on the wire by real clients."""

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

from counterpoise.simulator.fault_kinds import RULES

BTC = "BTC/USDT:USDT"
SYMBOL = "BTC-USDT-SWAP"
SOURCE = Path(__file__).resolve().parents[2] / "src"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Venue:
    """A simulator process, its card, and its owner's requests."""

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "counterpoise.app.cli.main", "simulator"]
        self.process = subprocess.Popen(
            [*command, "--venue", "okx", "--seed", "5", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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

    def positions(self):
        return {name: Decimal(held) for name, held in self.state()["positions"].items()}

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


async def drained(socket):
    while True:
        await frame(socket)


async def silence(socket, seconds):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(socket.recv(), seconds)


async def far_order(okx, **more):
    price = (await okx.fetch_order_book(BTC, 5))["bids"][0][0]
    text = okx.price_to_precision(BTC, price * 0.995)
    return await okx.create_order(BTC, "limit", "buy", 1, text, {"postOnly": True, **more})


# -- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "details", "error", "words", "accepted"),
    [
        ("drop_after_read", {}, ccxt.ExchangeNotAvailable, None, True),
        ("drop_after_read", {"stage": "request"}, ccxt.ExchangeNotAvailable, None, False),
        ("accept_then_timeout", {"seconds": 6}, ccxt.RequestTimeout, None, True),
        ("unavailable", {}, ccxt.ExchangeNotAvailable, "50026", False),
        ("unavailable", {"stage": "answer"}, ccxt.ExchangeNotAvailable, "50026", True),
        ("reject_50026", {}, ccxt.ExchangeNotAvailable, "50026", False),
        ("unknown_outcome", {}, ccxt.RequestTimeout, "50004", True),
        ("rate_limited", {}, ccxt.RateLimitExceeded, "50011", False),
        ("banned", {}, ccxt.RateLimitExceeded, "50011", False),
        ("maintenance", {}, ccxt.OnMaintenance, "50001", False),
    ],
)
async def test_an_order_whose_answer_goes_wrong(okx, venue, kind, details, error, words, accepted):
    await okx.load_markets()
    before = len(venue.state()["orders"])
    venue.fault(kind, path_contains="batch-orders", **details)
    okx.timeout = 1_500 if kind == "accept_then_timeout" else okx.timeout
    with pytest.raises(error, match=words):
        await okx.create_order(BTC, "market", "buy", 1)
    assert (len(venue.state()["orders"]) == before + 1) is accepted


async def test_an_empty_answer_and_a_late_one(okx, venue):
    await okx.load_markets()
    venue.fault("http_200_empty", path_contains="batch-orders")
    made = await okx.create_order(BTC, "market", "buy", 1)
    assert made["id"] is None
    venue.fault("delay", path_contains="batch-orders", seconds=0.6)
    began = time.monotonic()
    made = await okx.create_order(BTC, "market", "buy", 1)
    assert made["id"] is not None
    assert time.monotonic() - began >= 0.6


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


# -- orders ----------------------------------------------------------------------------------


async def test_increases_alone_are_refused(okx, venue):
    await okx.create_order(BTC, "market", "buy", 2)
    venue.fault("reject_increases", count=2, symbol=SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        await okx.create_order(BTC, "market", "buy", 1)
    await okx.create_order(BTC, "market", "sell", 1)
    assert venue.positions() == {BTC: Decimal("0.01")}


async def test_a_client_id_is_said_to_exist(okx, venue):
    venue.fault("duplicate_client_id")
    with pytest.raises(ccxt.InvalidOrder, match="51016"):
        await okx.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "fresh1"})
    assert venue.positions() == {}


async def test_a_fill_in_part(okx, venue):
    venue.fault("partial_fill", value="0.25")
    made = await okx.create_order(BTC, "market", "buy", 8)
    order = await okx.fetch_order(made["id"], BTC)
    assert (order["filled"], order["remaining"], order["status"]) == (2, 6, "canceled")
    assert venue.positions() == {BTC: Decimal("0.02")}


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


async def test_private_events_out_of_order(okx, venue):
    await okx.load_markets()
    async with private(venue) as socket:
        venue.fault("reorder_private", path_contains="orders")
        made = await far_order(okx)
        await okx.cancel_order(made["id"], BTC)
        states = [(await frame(socket))["data"][0]["state"] for _ in range(2)]
        assert states == ["canceled", "live"]


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


async def test_a_cut_and_an_upgrade(venue):
    async with public(venue, "books") as socket:
        assert venue.fault("cut_streams")["cut"] == 1
        with pytest.raises(websockets.ConnectionClosed):
            await drained(socket)
    async with public(venue, "tickers") as socket:
        venue.fault("upgrade_notice")
        received = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                received.append(await frame(socket))
        assert [each["code"] for each in received if each.get("event") == "notice"] == ["64008"]


# -- markets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gap_books", "wrong_sequence_books"])
async def test_a_broken_chain_of_books(venue, kind):
    async with public(venue, "books") as socket:
        last = (await frame(socket))["data"][0]["seqId"]
        venue.fault(kind, symbol=SYMBOL)
        for _ in range(12):
            row = (await frame(socket))["data"][0]
            if row["prevSeqId"] != last:
                break
            last = row["seqId"]
        assert row["prevSeqId"] != last


async def test_books_crossed_empty_and_frozen(okx, venue):
    await okx.load_markets()
    venue.fault("crossed_book", symbol="BTCUSDT", duration_seconds=30)
    book = await okx.fetch_order_book(BTC)
    assert book["bids"][0][0] > book["asks"][0][0]
    venue.fault("clear")
    venue.fault("empty_book", symbol="BTCUSDT", duration_seconds=30)
    async with public(venue, "books") as socket:
        snapshot = (await frame(socket))["data"][0]
        assert (snapshot["bids"], snapshot["asks"]) == ([], [])
        venue.fault("clear")
        refilled = (await frame(socket))["data"][0]
        assert len(refilled["bids"]) > 5
        venue.fault("freeze_book", symbol="BTCUSDT", duration_seconds=30)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)
        await silence(socket, 0.8)
        before = await okx.fetch_order_book(BTC)
        await asyncio.sleep(0.6)
        after = await okx.fetch_order_book(BTC)
        assert (before["bids"], before["asks"]) == (after["bids"], after["asks"])


async def test_a_stale_mark(okx, venue):
    await okx.load_markets()
    venue.fault("stale_mark", symbol="BTCUSDT", duration_seconds=30)
    before = (await okx.fetch_mark_price(BTC))["markPrice"]
    venue.ask("/_shock", {"symbol": "BTCUSDT", "fraction": "0.02", "seconds": 0})
    await asyncio.sleep(0.5)
    assert (await okx.fetch_mark_price(BTC))["markPrice"] == before
    venue.fault("clear")
    await asyncio.sleep(0.3)
    assert (await okx.fetch_mark_price(BTC))["markPrice"] > before * 1.005


async def test_a_clock_jump(okx, venue):
    await okx.load_markets()
    venue.fault("clock_jump", value="120", duration_seconds=30)
    assert await okx.fetch_time() - time.time() * 1_000 > 100_000
    with pytest.raises(ccxt.InvalidNonce, match="50102"):
        await okx.fetch_balance()
    venue.fault("clear")
    assert (await okx.fetch_balance())["USDT"]["total"] > 0


# -- the account -----------------------------------------------------------------------------


async def test_positions_and_margins_go_missing(okx, venue):
    await okx.create_order(BTC, "market", "buy", 1)
    venue.fault("empty_positions", duration_seconds=30)
    assert await okx.fetch_positions() == []
    assert venue.positions() == {BTC: Decimal("0.01")}
    venue.fault("clear")
    venue.fault("empty_margins", duration_seconds=30)
    (position,) = await okx.fetch_positions()
    assert (position["info"]["imr"], position["info"]["liqPx"]) == ("", "")
    detail = (await okx.fetch_balance())["info"]["data"][0]["details"][0]
    assert (detail["imr"], detail["mmr"]) == ("", "")


async def test_positions_shrink_without_an_order(okx, venue):
    await okx.create_order(BTC, "market", "buy", 4)
    venue.fault("force_reduce", symbol="BTCUSDT", value="0.01")
    assert venue.positions() == {BTC: Decimal("0.03")}
    assert (await okx.fetch_positions())[0]["contracts"] == 3
    venue.fault("liquidate")
    assert venue.positions() == {}


async def test_an_order_is_canceled_behind_its_back(okx, venue):
    await okx.load_markets()
    made = await far_order(okx)
    venue.fault("cancel_behind")
    assert (await okx.fetch_order(made["id"], BTC))["status"] == "canceled"


async def test_cash_leverage_and_mode_change_behind_the_back(okx, venue):
    await okx.load_markets()
    before = Decimal(venue.state()["wallet_balance"])
    venue.fault("transfer", value="250.5")
    venue.fault("transfer", value="-50.5")
    assert Decimal(venue.state()["wallet_balance"]) - before == 200
    venue.fault("leverage", symbol="BTCUSDT", value="9")
    assert (await okx.fetch_leverage(BTC, {"mgnMode": "cross"}))["longLeverage"] == 9
    venue.fault("position_mode", value="hedge")
    assert (await okx.fetch_position_mode())["hedged"] is True
    made = await okx.create_order(BTC, "market", "buy", 1, None, {"posSide": "long"})
    assert (await okx.fetch_order(made["id"], BTC))["info"]["posSide"] == "long"
    await okx.create_order(BTC, "market", "sell", 1, None, {"posSide": "long"})
    venue.fault("position_mode", value="one_way")


# -- the rules -------------------------------------------------------------------------------


async def test_rules_of_an_instrument_change(okx, venue):
    await okx.load_markets()
    ltc = "LTC/USDT:USDT"
    venue.fault("instrument_state", symbol="LTCUSDT", value="post_only")
    rows = (await okx.public_get_public_instruments({"instType": "SWAP"}))["data"]
    assert {row["state"] for row in rows if row["instId"] == "LTC-USDT-SWAP"} == {"post_only"}
    with pytest.raises(ccxt.BaseError, match="51022"):
        await okx.create_order(ltc, "market", "buy", 1)
    venue.fault("instrument_state", symbol="LTCUSDT", value="live")
    venue.fault("lot_size", symbol="LTCUSDT", value="0.5")
    with pytest.raises(ccxt.InvalidOrder, match="51121"):
        await okx.create_order(ltc, "market", "buy", 0.7)
    venue.fault("funding_interval", symbol="LTCUSDT", value="1")
    funding = (await okx.public_get_public_funding_rate({"instId": "LTC-USDT-SWAP"}))["data"][0]
    span_ms = int(funding["nextFundingTime"]) - int(funding["fundingTime"])
    assert span_ms == 3_600_000
    before = await okx.public_get_public_position_tiers(
        {"instType": "SWAP", "tdMode": "cross", "instFamily": "LTC-USDT"}
    )
    venue.fault("tiers", symbol="LTCUSDT", value="2")
    after = await okx.public_get_public_position_tiers(
        {"instType": "SWAP", "tdMode": "cross", "instFamily": "LTC-USDT"}
    )
    assert Decimal(after["data"][0]["mmr"]) == 2 * Decimal(before["data"][0]["mmr"])
    venue.fault("instrument_state", symbol="LTCUSDT", value="delisted")
    rows = (await okx.public_get_public_instruments({"instType": "SWAP"}))["data"]
    assert "LTC-USDT-SWAP" not in [row["instId"] for row in rows]


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


def test_every_kind_is_ordered_here():
    text = Path(__file__).read_text()
    assert [kind.value for kind in RULES if f'"{kind.value}"' not in text] == []
