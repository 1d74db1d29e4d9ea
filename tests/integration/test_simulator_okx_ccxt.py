"""The unmodified ccxt class and a plain WebSocket client against a real simulator process."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import re
import signal
import time
from decimal import Decimal

import aiohttp
import ccxt.async_support as ccxt
import pytest
import websockets

from counterpoise.simulator import client

BTC = "BTC/USDT:USDT"
SYMBOL = "BTC-USDT-SWAP"


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("simulator")
    client.ensure_running(directory, seed=11, wallet=Decimal(50_000))
    yield directory
    client.stop(directory)


@pytest.fixture
def port(state_dir):
    found = client.read_port(state_dir)
    assert found is not None
    return found


def rewritten(tree, port):
    if isinstance(tree, dict):
        return {name: rewritten(each, port) for name, each in tree.items()}
    if isinstance(tree, str):
        return re.sub(r"^(http|ws)s?://[^/]+", rf"\1://127.0.0.1:{port}", tree)
    return tree


def okx_client(directory, **changed):
    key = client.credentials(directory)
    exchange = ccxt.okx(
        {
            "apiKey": key.api_key,
            "secret": key.secret,
            "password": key.passphrase,
            "enableRateLimit": False,
            "options": {"defaultType": "swap", "fetchMarkets": {"types": ["swap"]}},
        }
        | changed
    )
    running = client.read_port(directory)
    exchange.urls["api"] = rewritten(exchange.urls["api"], running)
    exchange.hostname = f"127.0.0.1:{running}"
    return exchange


@pytest.fixture
async def okx(state_dir):
    exchange = okx_client(state_dir)
    await exchange.load_markets()
    yield exchange
    for order in await exchange.fetch_open_orders():
        await exchange.cancel_order(order["id"], order["symbol"])
    for position in await exchange.fetch_positions():
        side = "sell" if position["side"] == "long" else "buy"
        await exchange.create_order(
            position["symbol"], "market", side, position["contracts"], None, {"reduceOnly": True}
        )
    await exchange.close()


async def far_bid(okx, fraction="0.03"):
    book = await okx.fetch_order_book(BTC)
    return float(okx.price_to_precision(BTC, book["bids"][0][0] * (1 - float(fraction))))


class Stream:
    """One WebSocket with every frame it received."""

    def __init__(self, socket):
        self.socket = socket
        self.frames = []

    async def send(self, op, *args):
        await self.socket.send(json.dumps({"op": op, "args": list(args)}))

    async def until(self, wanted, seconds=10.0):
        async with asyncio.timeout(seconds):
            while True:
                for frame in self.frames:
                    if wanted(frame):
                        return frame
                text = await self.socket.recv()
                self.frames.append(text if text == "pong" else json.loads(text))

    async def event(self, name):
        return await self.until(lambda frame: frame != "pong" and frame.get("event") == name)

    def data(self, channel):
        return [
            row
            for frame in self.frames
            if frame != "pong" and frame.get("arg", {}).get("channel") == channel
            for row in frame.get("data", [])
        ]


@contextlib.asynccontextmanager
async def stream(port, path):
    async with websockets.connect(
        f"ws://127.0.0.1:{port}/ws/v5/{path}", proxy=None, max_queue=None
    ) as socket:
        yield Stream(socket)


def login_argument(directory, **changed):
    key = client.credentials(directory)
    stamp = str(int(time.time()))
    digest = hmac.new(
        key.secret.encode(), f"{stamp}GET/users/self/verify".encode(), hashlib.sha256
    ).digest()
    return {
        "apiKey": key.api_key,
        "passphrase": key.passphrase,
        "timestamp": stamp,
        "sign": base64.b64encode(digest).decode(),
    } | changed


@contextlib.asynccontextmanager
async def private_stream(directory, *channels):
    async with stream(client.read_port(directory), "private") as opened:
        await opened.send("login", login_argument(directory))
        await opened.event("login")
        await opened.send("subscribe", *channels)
        for channel in channels:
            name = channel["channel"]
            await opened.until(
                lambda frame, name=name: (
                    frame.get("event") == "subscribe" and frame["arg"]["channel"] == name
                )
            )
        yield opened


# --- REST by ccxt ---------------------------------------------------------------------------


async def test_markets_are_contracts(okx):
    assert sorted(okx.markets) == [
        f"{base}/USDT:USDT" for base in ("BTC", "DOGE", "ETH", "LTC", "SOL", "XRP")
    ]
    market = okx.market(BTC)
    assert (market["contractSize"], market["precision"]["amount"]) == (0.01, 0.01)
    assert market["precision"]["price"] == 0.1
    assert market["limits"]["amount"]["min"] == 0.01


async def test_account_settings(okx, state_dir):
    assert (await okx.fetch_position_mode(BTC))["hedged"] is False
    config = (await okx.private_get_account_config())["data"][0]
    assert config["perm"] == "read_only,trade"
    assert config["uid"] == client.credentials(state_dir).account_id
    fee = await okx.fetch_trading_fee(BTC)
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)
    await okx.set_leverage(5, BTC, {"mgnMode": "cross"})
    assert (await okx.fetch_leverage(BTC, {"marginMode": "cross"}))["longLeverage"] == 5
    await okx.set_leverage(3, BTC, {"mgnMode": "cross"})
    with pytest.raises(ccxt.ExchangeError, match="59102"):
        await okx.set_leverage(120, BTC, {"mgnMode": "cross"})
    assert abs(await okx.fetch_time() - time.time() * 1_000) < 1_000
    assert (await okx.fetch_status())["status"] == "ok"


@pytest.mark.parametrize("entry", ["privatePostTradeBatchOrders", "privatePostTradeOrder"])
async def test_an_immediate_limit_order_from_end_to_end(okx, state_dir, entry):
    okx.options["createOrder"] = entry
    client_id = f"ioc{entry[-6:]}{time.time_ns()}"
    ask = (await okx.fetch_order_book(BTC))["asks"][0][0]
    made = await okx.create_order(
        BTC, "limit", "buy", 0.5, ask + 100, {"timeInForce": "IOC", "clientOrderId": client_id}
    )
    order = await okx.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert (order["id"], order["status"], order["filled"]) == (made["id"], "closed", 0.5)
    assert order["timeInForce"] == "IOC"
    (position,) = await okx.fetch_positions([BTC])
    assert (position["contracts"], position["side"], position["hedged"]) == (0.5, "long", False)
    assert position["entryPrice"] == order["average"]
    trades = [trade for trade in await okx.fetch_my_trades(BTC) if trade["order"] == made["id"]]
    assert sum(trade["amount"] for trade in trades) == 0.5
    assert {trade["takerOrMaker"] for trade in trades} == {"taker"}
    fee = sum(Decimal(str(trade["fee"]["cost"])) for trade in trades)
    assert fee == Decimal(str(order["average"])) * Decimal("0.005") * Decimal("0.0005")
    truth = client.state(state_dir)["positions"]["BTCUSDT"]
    assert (truth["quantity"], truth["contracts"]) == ("0.0050", "0.50")
    balance = await okx.fetch_balance()
    assert balance["USDT"]["used"] > 0


async def test_a_canceled_order_is_found_by_its_client_id(okx):
    client_id = f"rest{time.time_ns()}"
    await okx.create_order(
        BTC, "limit", "buy", 1, await far_bid(okx), {"postOnly": True, "clientOrderId": client_id}
    )
    assert [order["clientOrderId"] for order in await okx.fetch_open_orders(BTC)] == [client_id]
    await okx.cancel_order(None, BTC, {"clientOrderId": client_id})
    assert await okx.fetch_open_orders(BTC) == []
    found = await okx.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert (found["status"], found["filled"], found["postOnly"]) == ("canceled", 0, True)
    assert client_id in [each["clientOrderId"] for each in await okx.fetch_canceled_orders(BTC)]
    with pytest.raises(ccxt.OrderNotFound, match="51400"):
        await okx.cancel_order(None, BTC, {"clientOrderId": client_id})


async def test_a_client_id_is_unique_among_open_orders_only(okx):
    client_id = f"twice{time.time_ns()}"
    price = await far_bid(okx)
    first = await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": client_id})
    with pytest.raises(ccxt.InvalidOrder, match="51016"):
        await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": client_id})
    await okx.cancel_order(first["id"], BTC)
    second = await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": client_id})
    assert second["id"] != first["id"]
    found = await okx.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert found["id"] == second["id"]


async def test_refusals_are_what_okx_says(okx):
    price = await far_bid(okx)
    with pytest.raises(ccxt.ExchangeError, match="51169"):
        await okx.create_order(BTC, "market", "sell", 1, None, {"reduceOnly": True})
    with pytest.raises(ccxt.InsufficientFunds, match="51008"):
        await okx.create_order(BTC, "limit", "buy", 900, price)
    with pytest.raises(ccxt.InvalidOrder, match="51006"):
        await okx.create_order(BTC, "limit", "buy", 1, price * 1.5 // 1)
    for contracts, code in (("0.015", "51121"), ("0.001", "51121"), ("x", "51000")):
        fields = {
            "instId": SYMBOL,
            "tdMode": "cross",
            "side": "buy",
            "ordType": "limit",
            "sz": contracts,
            "px": str(price),
        }
        with pytest.raises(ccxt.ExchangeError, match=code):
            await okx.private_post_trade_order(fields)
    with pytest.raises(ccxt.OrderNotFound, match="51603"):
        await okx.fetch_order(None, BTC, {"clientOrderId": "never"})
    assert await okx.fetch_positions() == []


async def test_a_batch_tells_each_order_its_own_outcome(okx):
    price = str(await far_bid(okx))
    good = {
        "instId": SYMBOL,
        "tdMode": "cross",
        "side": "buy",
        "ordType": "limit",
        "sz": "0.01",
        "px": price,
        "clOrdId": f"good{time.time_ns()}",
    }
    answer = await okx.private_post_trade_batch_orders(
        [good, good | {"instId": "NO-USDT-SWAP", "clOrdId": "bad"}]
    )
    assert answer["code"] == "2"
    assert [row["sCode"] for row in answer["data"]] == ["0", "51001"]
    assert [row["clOrdId"] for row in answer["data"]] == [good["clOrdId"], "bad"]


async def test_an_order_past_its_deadline_is_refused(okx):
    price = str(await far_bid(okx))
    plain_sign = okx.sign

    def late_sign(*args, **kwargs):
        signed = plain_sign(*args, **kwargs)
        if signed["headers"] is not None:
            signed["headers"]["expTime"] = str(int(time.time() * 1_000) - 10)
        return signed

    okx.sign = late_sign
    with pytest.raises(ccxt.ExchangeError, match="50036"):
        await okx.create_order(BTC, "limit", "buy", 1, price)
    okx.sign = plain_sign
    assert await okx.fetch_open_orders(BTC) == []


async def test_candles_by_ccxt(okx):
    step_ms = 900_000
    since = int(time.time() * 1_000) // step_ms * step_ms - 50 * step_ms
    recent = await okx.fetch_ohlcv(BTC, "15m", since, 50, {"price": "mark"})
    assert [row[0] for row in recent] == [since + at * step_ms for at in range(50)]
    far = since - 2_000 * step_ms
    old = await okx.fetch_ohlcv(BTC, "15m", far, 50, {"price": "mark"})
    assert [row[0] for row in old] == [far + at * step_ms for at in range(50)]
    assert all(row[3] <= min(row[1], row[4]) <= max(row[1], row[4]) <= row[2] for row in old)


async def test_public_figures(okx):
    funding = await okx.fetch_funding_rate(BTC)
    assert funding["interval"] == "8h"
    assert funding["fundingTimestamp"] % (8 * 3_600_000) == 0
    tiers = await okx.fetch_market_leverage_tiers(BTC)
    assert [tier["maintenanceMarginRate"] for tier in tiers] == [0.004, 0.0075, 0.0125]
    mark = await okx.fetch_mark_price(BTC)
    book = await okx.fetch_order_book(BTC)
    assert abs(mark["markPrice"] / book["bids"][0][0] - 1) < 0.01


async def test_bills_add_up_to_the_wallet(okx, state_dir):
    await okx.create_order(BTC, "market", "buy", 0.3)
    await okx.create_order(BTC, "market", "sell", 0.3, None, {"reduceOnly": True})
    rows = (await okx.private_get_account_bills_archive())["data"]
    assert rows[0]["bal"] == client.state(state_dir)["wallet_balance"].rstrip("0")
    assert sum(Decimal(row["balChg"]) for row in rows) == Decimal(rows[0]["bal"])
    assert rows[-1]["type"] == "1"
    assert await okx.fetch_funding_history(BTC) == []


async def test_the_dead_mans_switch_cancels(okx):
    await okx.create_order(BTC, "limit", "buy", 1, await far_bid(okx))
    answer = await okx.cancel_all_orders_after(10_000)
    assert int(answer["data"][0]["triggerTime"]) > time.time() * 1_000 + 9_000
    assert len(await okx.fetch_open_orders(BTC)) == 1
    async with asyncio.timeout(14):
        while await okx.fetch_open_orders(BTC):  # noqa: ASYNC110  (another process is waited for)
            await asyncio.sleep(0.25)
    with pytest.raises(ccxt.ExchangeError, match="51000"):
        await okx.cancel_all_orders_after(5_000)


@pytest.mark.parametrize(
    ("changed", "error", "code"),
    [
        ({"apiKey": "nobody"}, ccxt.AuthenticationError, "50111"),
        ({"secret": "wrong"}, ccxt.AuthenticationError, "50113"),
        ({"password": "wrong"}, ccxt.AuthenticationError, "50105"),
    ],
)
async def test_a_wrong_key_is_refused(state_dir, changed, error, code):
    exchange = okx_client(state_dir, **changed)
    try:
        with pytest.raises(error, match=code):
            await exchange.private_get_account_balance()
    finally:
        await exchange.close()


async def test_an_old_request_is_refused(state_dir):
    exchange = okx_client(state_dir)
    exchange.milliseconds = lambda: int(time.time() * 1_000) - 31_000
    try:
        with pytest.raises(ccxt.InvalidNonce, match="50102"):
            await exchange.private_get_account_balance()
    finally:
        await exchange.close()


async def test_unknown_paths_answer_in_the_envelope(port):
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/api/v5/public/moonphase") as answer,
    ):
        assert answer.status == 404
        assert await answer.json() == {"code": "404", "msg": "Not Found", "data": []}


# --- WebSocket ------------------------------------------------------------------------------


async def test_the_book_stream_keeps_its_chain(port):
    async with stream(port, "public") as public:
        await public.send("subscribe", {"channel": "books", "instId": SYMBOL})
        acknowledged = await public.event("subscribe")
        assert acknowledged["arg"] == {"channel": "books", "instId": SYMBOL}
        assert re.fullmatch(r"[0-9a-f]+", acknowledged["connId"])
        await public.until(lambda _: len(public.data("books")) >= 8)
        actions = [frame["action"] for frame in public.frames if "action" in frame]
        assert actions[0] == "snapshot"
        assert set(actions[1:]) == {"update"}
        rows = public.data("books")
        assert rows[0]["prevSeqId"] == -1
        for before, row in itertools.pairwise(rows):
            assert row["prevSeqId"] == before["seqId"]
        steps = {row["seqId"] - row["prevSeqId"] for row in rows[1:]}
        assert min(steps) > 0
        assert len(steps) > 1, "real steps are irregular"
        await public.send("unsubscribe", {"channel": "books", "instId": SYMBOL})
        await public.event("unsubscribe")


async def test_the_other_public_channels(port):
    async with stream(port, "public") as public:
        names = ("bbo-tbt", "books5", "mark-price", "funding-rate", "trades", "tickers")
        await public.send("subscribe", *({"channel": name, "instId": SYMBOL} for name in names))
        await public.send("subscribe", {"channel": "index-tickers", "instId": "BTC-USDT"})
        await public.until(
            lambda _: all(public.data(name) for name in (*names, "index-tickers")), seconds=20
        )
        assert len(public.data("bbo-tbt")[0]["asks"]) == 1
        assert len(public.data("books5")[0]["bids"]) == 5
        mark = Decimal(public.data("mark-price")[0]["markPx"])
        index = Decimal(public.data("index-tickers")[0]["idxPx"])
        assert abs(mark / index - 1) < Decimal("0.01")
        assert public.data("tickers")[0]["instId"] == SYMBOL


async def test_ping_and_wrong_subscriptions(port):
    async with stream(port, "public") as public:
        await public.socket.send("ping")
        await public.until(lambda frame: frame == "pong")
        await public.send("subscribe", {"channel": "moonphase", "instId": SYMBOL})
        assert (await public.event("error"))["code"] == "60018"
    async with stream(port, "private") as private:
        await private.send("subscribe", {"channel": "orders", "instType": "SWAP"})
        assert (await private.event("error"))["code"] == "60011"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "nobody"}, "60005"),
        ({"timestamp": "1"}, "60006"),
        ({"sign": "AAAA"}, "60007"),
        ({"passphrase": "wrong"}, "60009"),
    ],
)
async def test_a_wrong_login_is_refused(state_dir, port, changed, code):
    async with stream(port, "private") as private:
        await private.send("login", login_argument(state_dir, **changed))
        assert (await private.event("error"))["code"] == code
        await private.send("subscribe", {"channel": "account"})
        await private.until(lambda frame: frame.get("code") == "60011")


async def test_an_orders_life_on_the_private_stream(okx, state_dir):
    channels = (
        {"channel": "orders", "instType": "ANY"},
        {"channel": "positions", "instType": "ANY"},
        {"channel": "account"},
        {"channel": "balance_and_position"},
    )
    async with private_stream(state_dir, *channels) as private:
        await private.until(
            lambda _: private.data("account") and private.data("balance_and_position")
        )
        assert private.data("orders") == []
        client_id = f"life{time.time_ns()}"
        made = await okx.create_order(BTC, "market", "buy", 0.2, None, {"clientOrderId": client_id})
        await private.until(lambda _: any(row["pos"] == "0.2" for row in private.data("positions")))
        rows = [row for row in private.data("orders") if row["clOrdId"] == client_id]
        assert rows[0]["state"] == "live"
        assert (rows[-1]["state"], rows[-1]["accFillSz"]) == ("filled", "0.2")
        assert rows[-1]["ordId"] == made["id"]
        fills = [row for row in rows if row["tradeId"]]
        assert sum(Decimal(row["fillSz"]) for row in fills) == Decimal("0.2")
        assert {row["execType"] for row in fills} == {"T"}
        assert sum(Decimal(row["fillFee"]) for row in fills) == Decimal(rows[-1]["fee"]) < 0
        position = [row for row in private.data("positions") if row["pos"] == "0.2"][-1]
        assert position["tradeId"] == fills[-1]["tradeId"]
        assert int(position["uTime"]) == int(fills[-1]["fillTime"])
        await private.until(lambda _: private.data("balance_and_position")[1:])
        both = private.data("balance_and_position")[1]
        assert (both["eventType"], both["posData"][0]["pos"]) == ("filled", "0.2")
        assert both["trades"][0] == {"instId": SYMBOL, "tradeId": fills[0]["tradeId"]}

        resting_id = f"rest{time.time_ns()}"
        await okx.create_order(
            BTC, "limit", "buy", 1, await far_bid(okx), {"clientOrderId": resting_id}
        )
        await okx.cancel_order(None, BTC, {"clientOrderId": resting_id})
        await private.until(
            lambda _: any(
                row["clOrdId"] == resting_id and row["state"] == "canceled"
                for row in private.data("orders")
            )
        )
        states = [row["state"] for row in private.data("orders") if row["clOrdId"] == resting_id]
        assert states == ["live", "canceled"]

        await okx.create_order(BTC, "market", "sell", 0.2, None, {"reduceOnly": True})
        await private.until(lambda _: any(row["pos"] == "0" for row in private.data("positions")))
        closing = private.data("orders")[-1]
        assert (closing["state"], closing["reduceOnly"]) == ("filled", "true")


async def test_balance_and_positions_are_pushed_every_five_seconds(okx, state_dir):
    await okx.create_order(BTC, "market", "buy", 0.1)
    channels = ({"channel": "account"}, {"channel": "positions", "instType": "SWAP"})
    async with private_stream(state_dir, *channels) as private:
        begun = time.monotonic()
        await private.until(
            lambda _: len(private.data("account")) >= 3 and len(private.data("positions")) >= 3,
            seconds=15,
        )
        assert time.monotonic() - begun > 4
        assert {frame["eventType"] for frame in private.frames if "data" in frame} == {"snapshot"}
        assert {row["pos"] for row in private.data("positions")} == {"0.1"}


# --- Administration ---------------------------------------------------------------------------


async def test_a_shock_moves_the_mark_and_the_position(okx, state_dir):
    await okx.create_order("SOL/USDT:USDT", "market", "sell", 10)
    before = client.state(state_dir)["markets"]["SOLUSDT"]["mark"]
    client.shock(state_dir, "SOL-USDT-SWAP", Decimal("-0.08"), 1.0)
    async with asyncio.timeout(120):
        while True:
            after = client.state(state_dir)["markets"]["SOLUSDT"]["mark"]
            if Decimal(after) / Decimal(before) < Decimal("0.94"):
                break
            await asyncio.sleep(0.25)
    (position,) = await okx.fetch_positions(["SOL/USDT:USDT"])
    assert position["unrealizedPnl"] > 0.05 * 10 * float(before)
    with pytest.raises(client.SimulatorUnavailable, match="not listed"):
        client.shock(state_dir, "MOONUSDT", Decimal("0.1"), 1.0)


@pytest.mark.parametrize("kind", ["drop_after_read", "http_200_empty"])
async def test_an_order_whose_answer_is_lost_is_there(okx, state_dir, kind):
    price = await far_bid(okx)
    client_id = f"lost{time.time_ns()}"
    client.fault(state_dir, kind, path_contains="trade/batch-orders")
    answer = None
    with contextlib.suppress(ccxt.NetworkError):
        answer = await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": client_id})
    assert answer is None or answer["id"] is None
    found = await okx.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert found["status"] == "open"


async def test_an_order_that_never_arrived_is_not_there(okx, state_dir):
    price = await far_bid(okx)
    for kind, fields in (("reject_50026", {}), ("drop_after_read", {"stage": "request"})):
        client.fault(state_dir, kind, path_contains="trade/batch-orders", **fields)
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": "absent1"})
        with pytest.raises(ccxt.OrderNotFound):
            await okx.fetch_order(None, BTC, {"clientOrderId": "absent1"})


async def test_a_late_answer(okx, state_dir):
    price = await far_bid(okx)
    client_id = f"late{time.time_ns()}"
    client.fault(state_dir, "delay", path_contains="trade/batch-orders", seconds=1.5)
    okx.timeout = 500
    with pytest.raises(ccxt.RequestTimeout):
        await okx.create_order(BTC, "limit", "buy", 1, price, {"clientOrderId": client_id})
    okx.timeout = 10_000
    found = await okx.fetch_order(None, BTC, {"clientOrderId": client_id})
    assert found["status"] == "open"


async def test_streams_can_be_cut(state_dir, port):
    async with stream(port, "public") as public:
        await public.send("subscribe", {"channel": "books", "instId": SYMBOL})
        await public.event("subscribe")
        assert client.fault(state_dir, "cut_streams")["cut"] >= 1
        with pytest.raises(websockets.ConnectionClosed):
            await public.until(lambda _: False)


# --- The process ------------------------------------------------------------------------------


def pid_of(directory):
    return json.loads((directory / "port.json").read_text())["pid"]


def without_clock(state):
    # What must survive a restart; marks and what follows from them move with time.
    kept = ("account_id", "seed", "wallet_balance", "open_orders", "fills_count", "fills")
    positions = {
        name: (held["quantity"], held["entry_price"], held["last_trade_sequence"])
        for name, held in state["positions"].items()
    }
    return {name: state[name] for name in kept} | {"positions": positions}


async def test_a_killed_simulator_comes_back_with_the_truth(tmp_path):
    first_port = client.ensure_running(tmp_path, seed=4)
    okx = okx_client(tmp_path)
    try:
        await okx.load_markets()
        await okx.create_order(BTC, "market", "buy", 0.4, None, {"clientOrderId": "held"})
        price = await far_bid(okx)
        await okx.create_order(BTC, "limit", "buy", 0.1, price, {"clientOrderId": "rests"})
        # The last thing acknowledged before the kill; nothing may come between.
        await okx.create_order(BTC, "market", "buy", 0.2, None, {"clientOrderId": "lastword"})
        killed = pid_of(tmp_path)
        os.kill(killed, signal.SIGKILL)
        lost = await client_state_after_restart(tmp_path)
        assert client.read_port(tmp_path) == first_port
        assert pid_of(tmp_path) != killed
        assert lost["positions"]["BTCUSDT"]["contracts"] == "0.60"
        assert [order["client_order_id"] for order in lost["open_orders"]] == ["rests"]
        order = await okx.fetch_order(None, BTC, {"clientOrderId": "lastword"})
        assert (order["status"], order["filled"]) == ("closed", 0.2)
        assert {fill["client_order_id"] for fill in lost["fills"]} == {"held", "lastword"}
        wallet = 10_000 - sum(Decimal(fill["fee"]) for fill in lost["fills"])
        assert Decimal(lost["wallet_balance"]) == wallet

        client.stop(tmp_path)
        assert not (tmp_path / "port.json").exists()
        client.ensure_running(tmp_path, seed=4)
        assert without_clock(client.state(tmp_path)) == without_clock(lost)
    finally:
        await okx.close()
        client.stop(tmp_path)


async def client_state_after_restart(directory):
    await asyncio.to_thread(client.ensure_running, directory, seed=4)
    return client.state(directory)


def test_a_fresh_start_puts_the_old_account_aside(tmp_path):
    client.ensure_running(tmp_path, seed=4)
    old = client.credentials(tmp_path)
    try:
        client.ensure_running(tmp_path, seed=6, fresh=True, wallet=Decimal(777))
        assert client.credentials(tmp_path) != old
        state = client.state(tmp_path)
        assert (state["seed"], state["wallet_balance"], state["fills"]) == (6, "777", [])
        (aside,) = tmp_path.glob("aside-*")
        assert json.loads((aside / "credentials.json").read_text())["api_key"] == old.api_key
    finally:
        client.stop(tmp_path)


def test_a_running_simulator_is_found_not_started_again(state_dir, port):
    before = pid_of(state_dir)
    assert client.ensure_running(state_dir, seed=99) == port
    assert pid_of(state_dir) == before
    assert client.state(state_dir)["seed"] == 11


def test_a_simulator_that_cannot_start_says_why(tmp_path):
    (tmp_path / "state.sqlite").write_text("this is no database, and long enough to be read as one")
    with pytest.raises(client.SimulatorUnavailable, match="not a database; start it with --fresh"):
        client.ensure_running(tmp_path, seed=1)
    try:
        client.ensure_running(tmp_path, seed=1, fresh=True)
        assert client.state(tmp_path)["wallet_balance"] == "10000"
    finally:
        client.stop(tmp_path)
