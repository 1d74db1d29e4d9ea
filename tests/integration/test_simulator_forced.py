"""What the venue takes from traders is told to them and to everybody, in each venue's words."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from decimal import Decimal
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.events import Deleveraged, Liquidated, LiquidationPrinted
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import NewOrder
from counterpoise.simulator import commands
from counterpoise.simulator.opening import Opening, open_floor
from counterpoise.simulator.scenarios import load_scenario
from counterpoise.simulator.server import Simulator
from counterpoise.simulator.venues import VenueName

D = Decimal
BTC = "BTCUSDT"
#: Base units per contract on OKX.
CONTRACT = D("0.01")
SECOND_NS = 1_000_000_000


class Rehearsal:
    """A lock-step venue in this process and the streams that listen to it."""

    def __init__(self, floor, simulator, port, session):
        self.floor, self.simulator, self.port, self.session = floor, simulator, port, session
        self.key = floor.credentials
        self.events = []
        self.frames = {"public": [], "private": []}
        self.sockets = []
        self.readers = []
        floor.venue.listeners.append(self.events.extend)

    def told(self, *kinds):
        return [each for each in self.events if isinstance(each, kinds)]

    def open_long(self, quantity, leverage):
        self.floor.venue.set_leverage(self.key.account_id, BTC, D(leverage))
        order = NewOrder(
            instrument_id=BTC, side=Side.BUY, quantity=D(quantity), kind=OrderKind.MARKET
        )
        (placed,) = self.floor.venue.place(self.key.account_id, [order])
        assert placed.quantity == D(quantity), placed
        return placed

    async def listen(self, kind, path, *requests):
        socket = await self.session.ws_connect(f"ws://127.0.0.1:{self.port}{path}")
        for request in requests:
            await socket.send_json(request)
            await socket.receive_str(timeout=5)
        self.sockets.append(socket)
        self.readers.append(asyncio.create_task(self._read(socket, self.frames[kind])))

    async def _read(self, socket, frames):
        async for message in socket:
            frames.append(json.loads(message.data))

    async def heard(self, kind):
        """Return what came until nothing more comes."""
        frames, count = self.frames[kind], -1
        while count != len(frames):
            count = len(frames)
            await asyncio.sleep(0.05)
        return frames

    async def listen_to_all(self):
        """Listen to everything that tells of forced orders."""
        await getattr(self, f"_listen_{self.simulator_name}")()
        await asyncio.sleep(0.05)
        for frames in self.frames.values():
            frames.clear()

    async def _listen_okx(self):
        args = [
            {"channel": "liquidation-orders", "instType": "SWAP"},
            {"channel": "adl-warning", "instType": "SWAP", "instFamily": "BTC-USDT"},
        ]
        # Each argument is acknowledged for itself.
        subscriptions = [{"op": "subscribe", "args": [each]} for each in args]
        await self.listen("public", "/ws/v5/public", *subscriptions)
        stamp = str(int(time.time()))
        digest = hmac.new(
            self.key.secret.encode(), f"{stamp}GET/users/self/verify".encode(), hashlib.sha256
        ).digest()
        login = {
            "apiKey": self.key.api_key,
            "passphrase": self.key.passphrase,
            "timestamp": stamp,
            "sign": base64.b64encode(digest).decode(),
        }
        orders = {"channel": "orders", "instType": "SWAP"}
        await self.listen(
            "private", "/ws/v5/private",
            {"op": "login", "args": [login]}, {"op": "subscribe", "args": [orders]},
        )  # fmt: skip

    async def _listen_binance(self):
        await self.listen("public", "/market/ws/!forceOrder@arr")
        headers = {"X-MBX-APIKEY": self.key.api_key}
        address = f"http://127.0.0.1:{self.port}/fapi/v1/listenKey"
        async with self.session.post(address, headers=headers) as answer:
            key = (await answer.json())["listenKey"]
        await self.listen("private", f"/private/ws?listenKey={key}")

    async def _listen_bybit(self):
        topics = {"op": "subscribe", "args": [f"allLiquidation.{BTC}"]}
        await self.listen("public", "/v5/public/linear", topics)
        expires = int(time.time() * 1_000) + 10_000
        digest = hmac.new(
            self.key.secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256
        )
        auth = {"op": "auth", "args": [self.key.api_key, expires, digest.hexdigest()]}
        wanted = {"op": "subscribe", "args": ["order", "execution"]}
        await self.listen("private", "/v5/private", auth, wanted)


@contextlib.asynccontextmanager
async def rehearsal(name, directory, scenario=None):
    opening = Opening(
        venue=VenueName(name), seed=3, wallet=D(10_000), speed=0, ephemeral=True,
        scenario=None if scenario is None else load_scenario(scenario),
    )  # fmt: skip
    floor, store = open_floor(directory, opening)
    simulator = Simulator(floor, opening.venue)
    runner = web.AppRunner(simulator.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        venue = Rehearsal(floor, simulator, runner.addresses[0][1], session)
        venue.simulator_name = name
        yield venue
        for socket in venue.sockets:
            await socket.close()
        await asyncio.gather(*venue.readers)
    await runner.cleanup()
    store.close()


def rows(frames, name):
    """Return the rows of an OKX channel or a Bybit topic."""
    found = []
    for each in frames:
        if each.get("topic", each.get("arg", {}).get("channel")) == name:
            found += each["data"]
    return found


# --- what the account is told: one row per execution ------------------------------------------


def okx_executions(frames):
    return [
        (row["category"], row["side"], D(row["fillSz"]) * CONTRACT, D(row["fillPx"]),
         -D(row["fillFee"]), int(row["tradeId"]), row["ordId"], row["state"])
        for row in rows(frames, "orders")
        if row["category"] != "normal"
    ]  # fmt: skip


def binance_executions(frames):
    return [
        (row["c"].partition("-")[0], row["S"].lower(), D(row["l"]), D(row["L"]),
         D(row["n"]), str(row["i"]))
        for row in (each["o"] for each in frames if each["e"] == "ORDER_TRADE_UPDATE")
        if row["x"] == "CALCULATED"
    ]  # fmt: skip


def bybit_executions(frames):
    orders = {row["orderId"]: row["createType"] for row in rows(frames, "order")}
    return [
        (orders[row["orderId"]], row["execType"], row["side"].lower(), D(row["execQty"]),
         D(row["execPrice"]), D(row["execFee"]), row["orderId"])
        for row in rows(frames, "execution")
        if row["execType"] != "Trade"
    ]  # fmt: skip


def expected(name, events, kinds):
    """Return the same of the model's own events; `kinds` = the venue's words for them."""
    found = []
    for event in events:
        fill = event.fill
        figures = (event.side.value, fill.quantity, fill.price, fill.fee)
        if name == "okx":
            state = "filled" if event.order.remaining == 0 else "partially_filled"
            found.append((*kinds, *figures, fill.trade_sequence, fill.order_id, state))
        else:
            found.append((*kinds, *figures, fill.order_id))
    return found


EXECUTIONS = {
    "okx": okx_executions,
    "binance": binance_executions,
    "bybit": bybit_executions,
}
LIQUIDATION_WORDS = {
    "okx": ("full_liquidation",),
    "binance": ("autoclose",),
    "bybit": ("CreateByLiq", "BustTrade"),
}
ADL_WORDS = {
    "okx": ("adl",),
    "binance": ("adl_autoclose",),
    "bybit": ("CreateByAdl_PassThrough", "AdlTrade"),
}


# --- what everybody is told: (instrument, side of the order, quantity, price, ms) ---------------


def okx_prints(frames):
    found = []
    for row in rows(frames, "liquidation-orders"):
        assert (row["instType"], row["uly"]) == ("SWAP", row["instFamily"])
        (detail,) = row["details"]
        assert detail["posSide"] == {"sell": "long", "buy": "short"}[detail["side"]]
        name = row["instId"].replace("-SWAP", "").replace("-", "")
        size = {"BTCUSDT": CONTRACT, "ETHUSDT": D("0.1"), "XRPUSDT": D(100), "DOGEUSDT": D(1_000)}
        quantity = D(detail["sz"]) * size.get(name, D(1))
        found.append((name, detail["side"], quantity, D(detail["bkPx"]), int(detail["ts"])))
    return found


def binance_prints(frames):
    orders = [each["o"] for each in frames if each["e"] == "forceOrder"]
    assert all((row["X"], row["f"]) == ("FILLED", "IOC") for row in orders)
    return [(r["s"], r["S"].lower(), D(r["q"]), D(r["p"]), r["T"]) for r in orders]


def bybit_prints(frames):
    # `S` is the side of the position that was closed.
    closing = {"Buy": "sell", "Sell": "buy"}
    return [
        (row["s"], closing[row["S"]], D(row["v"]), D(row["p"]), row["T"])
        for row in rows(frames, f"allLiquidation.{BTC}")
    ]


PRINTS = {"okx": okx_prints, "binance": binance_prints, "bybit": bybit_prints}


def printed(events):
    return [
        (e.instrument_id, e.side.value, e.quantity, e.price, e.event_ns // 1_000_000)
        for e in events
    ]


@pytest.mark.parametrize("name", ["okx", "binance", "bybit"])
async def test_a_liquidation_of_the_account(name, tmp_path):
    async with rehearsal(name, tmp_path) as venue:
        venue.open_long("2", 20)
        await venue.listen_to_all()
        venue.floor.venue.shock(BTC, -0.08, 0.5)
        venue.simulator.grant(2)
        ended = venue.told(Liquidated)
        assert ended
        assert not venue.floor.venue.exchange.account(venue.key.account_id).positions
        assert sum(each.quantity for each in ended) == 2
        told = EXECUTIONS[name](await venue.heard("private"))
        assert told == expected(name, ended, LIQUIDATION_WORDS[name])
        prints = PRINTS[name](await venue.heard("public"))
        # OKX and Binance tell the latest one of a second.
        assert prints == printed(ended if name == "bybit" else ended[-1:])


async def test_okx_tells_a_partial_liquidation_from_a_whole_one(tmp_path):
    async with rehearsal("okx", tmp_path) as venue:
        venue.floor.venue.do(commands.Transfer(venue.key.account_id, D(1_500_000)))
        for _ in range(6):
            venue.open_long("60", 25)
            venue.simulator.grant(8)
        await venue.listen_to_all()
        venue.floor.venue.shock(BTC, -0.034, 0.5)
        venue.simulator.grant(1)
        ended = venue.told(Liquidated)
        assert venue.floor.venue.exchange.account(venue.key.account_id).positions
        told = okx_executions(await venue.heard("private"))
        assert told
        assert told == expected("okx", ended, ("partial_liquidation",))


@pytest.mark.parametrize("name", ["okx", "binance", "bybit"])
async def test_an_adl_of_the_account(name, tmp_path):
    async with rehearsal(name, tmp_path) as venue:
        venue.open_long("0.5", 5)
        await venue.listen_to_all()
        taken = commands.ForceReduce(venue.key.account_id, BTC, D("0.2"), PositionSide.NET)
        assert venue.floor.venue.do(taken) is None
        venue.simulator.grant(3)
        (event,) = venue.told(Deleveraged)
        told = EXECUTIONS[name](await venue.heard("private"))
        assert told == expected(name, [event], ADL_WORDS[name])
        public = await venue.heard("public")
        assert PRINTS[name](public) == []
        if name == "okx":
            warnings = rows(public, "adl-warning")
            fund = venue.floor.venue.exchange.insurance_fund
            assert [(w["instFamily"], w["state"], D(w["bal"])) for w in warnings] == [
                ("BTC-USDT", "adl", fund)
            ] * len(warnings)
            stamps = [int(w["ts"]) for w in warnings]
            assert len(stamps) >= 2
            assert all(after - before == 1_000 for before, after in pairwise(stamps))
            venue.frames["public"].clear()
            venue.simulator.grant(12)
            await venue.heard("public")
            venue.frames["public"].clear()
            venue.simulator.grant(3)
            # Normal again: nothing is said.
            assert await venue.heard("public") == []


async def test_okx_warns_when_the_fund_has_lost_much(tmp_path):
    async with rehearsal("okx", tmp_path) as venue:
        await venue.listen_to_all()
        exchange = venue.floor.venue.exchange
        venue.simulator.grant(2)
        highest = exchange.insurance_fund
        exchange.set_insurance_fund(highest * D("0.71"))
        venue.simulator.grant(2)
        assert await venue.heard("public") == []
        exchange.set_insurance_fund(highest * D("0.7"))
        venue.simulator.grant(2)
        warnings = rows(await venue.heard("public"), "adl-warning")
        assert [(w["state"], D(w["bal"])) for w in warnings] == [
            ("warning", highest * D("0.7"))
        ] * 2


@pytest.mark.parametrize("name", ["okx", "binance", "bybit"])
async def test_a_cascade_is_seen_as_it_feeds_itself(name, tmp_path):
    async with rehearsal(name, tmp_path, "calm") as venue:
        await venue.listen_to_all()
        venue.simulator.grant(5)
        assert await venue.heard("public") == []
        for each in venue.floor.listed:
            venue.floor.venue.shock(each, -0.07, 1.0)
        venue.simulator.grant(20)
        forced = venue.told(LiquidationPrinted)
        own = [each for each in forced if each.instrument_id == BTC]
        assert len(own) > 10
        assert {each.side for each in own} == {Side.SELL}
        prints = PRINTS[name](await venue.heard("public"))
        if name == "bybit":
            assert prints == printed(own)
            return
        assert set(prints) <= set(printed(forced))
        for instrument_id in venue.floor.listed:
            stamps = [row[4] for row in prints if row[0] == instrument_id]
            assert stamps
            assert len(stamps) <= 20
            # The latest of each second: no second with a forced order is passed over.
            seconds = {e.event_ns for e in forced if e.instrument_id == instrument_id}
            assert max(seconds) // 1_000_000 - stamps[-1] <= 1_000


@pytest.mark.parametrize(
    "arg",
    [
        {"channel": "liquidation-orders"},
        {"channel": "liquidation-orders", "instType": "FUTURES"},
        {"channel": "adl-warning", "instType": "OPTION"},
        {"channel": "adl-warning", "instType": "SWAP", "instFamily": "PEPE-USDT"},
    ],
)
async def test_okx_knows_swaps_only(arg, tmp_path):
    async with rehearsal("okx", tmp_path) as venue:
        socket = await venue.session.ws_connect(f"ws://127.0.0.1:{venue.port}/ws/v5/public")
        await socket.send_json({"op": "subscribe", "args": [arg]})
        refused = json.loads(await socket.receive_str(timeout=5))
        assert (refused["event"], refused["code"]) == ("error", "60018")
        await socket.close()


async def test_binance_tells_a_changed_leverage_at_once(tmp_path):
    async with rehearsal("binance", tmp_path) as venue:
        await venue.listen_to_all()
        for leverage in (7, 7, 9):
            venue.floor.venue.set_leverage(venue.key.account_id, BTC, D(leverage))
        told = [(each["e"], each["ac"]) for each in await venue.heard("private")]
        assert told == [
            ("ACCOUNT_CONFIG_UPDATE", {"s": BTC, "l": 7}),
            ("ACCOUNT_CONFIG_UPDATE", {"s": BTC, "l": 9}),
        ]
