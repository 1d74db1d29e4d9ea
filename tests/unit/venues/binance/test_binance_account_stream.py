"""The private stream proves that it hears: by its key, its pongs, and the account beside it."""

import asyncio
import json
import time
from collections import Counter
from decimal import Decimal

import pytest
import structlog
from aiohttp import web

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import BalanceUpdate, FillReported, StreamAlive, StreamDown
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.binance import account_stream
from counterpoise.venues.binance.account_stream import AccountConversation, BinanceAccountStream
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.connection import Dropped, Timing

SYMBOLS = {"BTCUSDT": ("BTCUSDT", Decimal(1))}
START_NS = 1_767_225_600_000_000_000


def at(seconds: float) -> int:
    return START_NS + round(seconds * NS_PER_SECOND)


@pytest.fixture
def conversation() -> AccountConversation:
    made = AccountConversation(SYMBOLS, lambda: None)
    made.open_with("ws://somewhere", "key-1")
    made.begin(at(0))
    return made


def account_update(cash: str, asset: str = "USDT") -> bytes:
    account = {"m": "ORDER", "B": [{"a": asset, "wb": cash, "cw": cash}]}
    return json.dumps({"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": account}).encode()


def test_cash_that_changed_without_a_word_ends_the_connection(conversation):
    conversation.compare(Decimal(100), at(1))
    conversation.watch(at(100))
    conversation.compare(Decimal("99.5"), at(101))
    conversation.compare(Decimal("99.5"), at(103))
    # Another currency's cash explains nothing.
    conversation.hear(account_update("99.5", "BNFCR"), at(104))
    conversation.watch(at(105))
    with pytest.raises(Dropped, match="did not tell"):
        conversation.watch(at(107))


def test_cash_that_is_told_in_time_is_what_is_expected(conversation):
    conversation.compare(Decimal(100), at(1))
    conversation.compare(Decimal("99.5"), at(101))
    assert conversation.hear(account_update("99.50000000"), at(103)) == []
    conversation.watch(at(200))
    # An answer that was made before the event came: the next one agrees.
    conversation.hear(account_update("98"), at(300))
    conversation.compare(Decimal("99.5"), at(300))
    conversation.compare(Decimal(98), at(301))
    conversation.watch(at(400))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"e": "listenKeyExpired", "listenKey": "key-1"}, "expired"),
        ({"e": "listenKeyExpired"}, "expired"),
        ({"e": "ORDER_TRADE_UPDATE", "E": 1}, "could not be read"),
        ({"e": "ACCOUNT_UPDATE"}, "could not be read"),
    ],
)
def test_what_may_hide_a_fill_costs_the_connection(conversation, event, words):
    with pytest.raises(Dropped, match=words):
        conversation.hear(json.dumps(event).encode(), at(1))


@pytest.mark.parametrize("frame", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b"7"])
def test_a_frame_that_is_none_costs_the_connection_and_no_more(conversation, frame):
    with pytest.raises(Dropped, match="could not be read"):
        conversation.hear(frame, at(1))


def test_another_keys_end_is_none_of_ours(conversation):
    event = {"e": "listenKeyExpired", "listenKey": "key-0"}
    assert conversation.hear(json.dumps(event).encode(), at(1)) == ()
    conversation.lose_key()
    with pytest.raises(Dropped) as dropped:
        conversation.watch(at(2))
    assert dropped.value.at_once


def test_only_what_nobody_documented_is_spoken_of(conversation):
    # A virtual day in the same process may have asked for silence.
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as said:
        for event in ("ALGO_UPDATE", "TRADE_LITE", "SOMETHING_NEW"):
            assert conversation.hear(json.dumps({"e": event}).encode(), at(1)) == ()
    assert [entry["event_name"] for entry in said] == ["SOMETHING_NEW"]


ORDER = {
    "s": "BTCUSDT", "c": "cp1", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "1", "p": "100",
    "ap": "100", "x": "TRADE", "X": "PARTIALLY_FILLED", "i": 7, "l": "0.4", "z": "0.4",
    "L": "100", "N": "USDT", "n": "0.01", "T": 1767225600000, "t": 9, "m": False, "R": True,
    "rp": "0",
}  # fmt: skip


def order_update(**changes) -> bytes:
    row = {"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1767225600000, "o": ORDER | changes}
    return json.dumps(row).encode()


def test_a_state_nobody_documented_costs_the_connection_once_its_fill_is_told(conversation):
    fill, update = conversation.hear(order_update(), at(1))
    assert (fill.fill.quantity, update.filled_quantity) == (Decimal("0.4"), Decimal("0.4"))
    conversation.watch(at(1))
    (fill,) = conversation.hear(order_update(X="PARTIALLY_CANCELED", t=10), at(2))
    assert isinstance(fill, FillReported)
    assert (fill.fill.fill_id, fill.fill.quantity) == ("10", Decimal("0.4"))
    with pytest.raises(Dropped, match="unknown state: 'PARTIALLY_CANCELED'"):
        conversation.watch(at(2))
    conversation.begin(at(3))
    conversation.watch(at(3))


def test_an_order_of_another_market_is_left_out(conversation):
    assert conversation.hear(order_update(s="ADAUSDT", X="ODD"), at(1)) == []
    conversation.watch(at(1))


class RealClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class PrivateVenue:
    """A private stream that accepts any key and says nothing, and the REST beside it."""

    def __init__(self) -> None:
        self.keys = 0
        self.connected: list[str] = []
        self.cash = "5"
        self.asked: Counter[str] = Counter()
        self.refusal: dict[str, object] | None = None
        #: Seconds of a ban that every answer tells; None = there is none.
        self.banned: int | None = None

    async def stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connected.append(request.query["listenKey"])
        async for _ in socket:
            pass
        return socket

    async def rest(self, request: web.Request) -> web.Response:
        name = f"{request.method} {request.path}"
        self.asked[name] += 1
        if self.banned is not None:
            refusal = {
                "code": -1003,
                "msg": "Way too many requests; IP banned until 1795390000000.",
            }
            retry = {"Retry-After": str(self.banned)}
            return web.json_response(refusal, status=418, headers=retry)
        if request.path.endswith("/time"):
            return web.json_response({"serverTime": time.time_ns() // 1_000_000})
        if name == "POST /fapi/v1/listenKey" and self.refusal is None:
            self.keys += 1
            return web.json_response({"listenKey": f"key-{self.keys}"})
        if request.path == "/fapi/v3/account":
            asset = {
                "asset": "USDT", "walletBalance": self.cash, "marginBalance": "6",
                "updateTime": 1,
            }  # fmt: skip
            return web.json_response({"assets": [asset]})
        return web.json_response(self.refusal or {"code": -1125, "msg": "no key"}, status=400)


@pytest.fixture
async def private():
    venue = PrivateVenue()
    application = web.Application()
    application.router.add_get("/private/ws", venue.stream)
    application.router.add_route("*", "/{tail:.*}", venue.rest)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.port = runner.addresses[0][1]
    yield venue
    await runner.cleanup()


def stream_of(venue: PrivateVenue) -> BinanceAccountStream:
    return BinanceAccountStream(
        BinanceEndpoints.loopback(venue.port),
        BinanceCredentials(api_key="k", secret="s"),
        SYMBOLS,
        RealClock(),
        timing=Timing(watch_every=0.02, retry_first=0.05, alive_every=0.05),
    )


async def until(found, seconds: float = 20):
    async with asyncio.timeout(seconds):
        while not found():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_quiet_stream_is_alive_tells_the_balance_and_a_deaf_one_is_left(
    private, monkeypatch
):
    monkeypatch.setattr(account_stream, "BALANCE_SECONDS", 0.1)
    monkeypatch.setattr(account_stream, "BALANCE_SECONDS_MIN", 0.05)
    monkeypatch.setattr(account_stream, "TOLD_WITHIN_SECONDS", 0.2)
    heard = []
    task = asyncio.create_task(stream_of(private).run(heard.append))
    try:
        await until(lambda: any(isinstance(each, BalanceUpdate) for each in heard))
        assert any(isinstance(each, StreamAlive) for each in heard)
        assert not any(isinstance(each, StreamDown) for each in heard)
        told = next(each for each in heard if isinstance(each, BalanceUpdate))
        assert (told.balance.wallet_balance, told.balance.equity) == (5, 6)
        # The account changes, and this stream will never say so.
        private.cash = "4"
        await until(lambda: len(private.connected) >= 2)
        assert [each.reason for each in heard if isinstance(each, StreamDown)] == [
            "cash changed and the stream did not tell"
        ]
        # A new key for each connection: the old one may be what was wrong.
        assert private.connected[:2] == ["key-1", "key-2"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_key_the_venue_forgot_is_replaced(private, monkeypatch):
    monkeypatch.setattr(account_stream, "KEY_SECONDS", 0.1)
    heard = []
    task = asyncio.create_task(stream_of(private).run(heard.append))
    try:
        await until(lambda: len(private.connected) >= 2)
        assert "the listen key is gone" in [
            each.reason for each in heard if isinstance(each, StreamDown)
        ]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_is_refused_at_first_ends_the_stream(private):
    private.refusal = {"code": -2015, "msg": "Invalid API-key"}
    with pytest.raises(StartRefused, match="-2015"):
        async with asyncio.timeout(20):
            await stream_of(private).run([].append)
    assert private.connected == []


async def test_a_banned_address_asks_for_no_key_until_the_ban_is_over(private):
    private.banned = 600
    heard = []
    stream = stream_of(private)
    task = asyncio.create_task(stream.run(heard.append))
    try:
        await until(lambda: private.asked["POST /fapi/v1/listenKey"])
        # Some twenty tries to connect.
        await asyncio.sleep(1.5)
        assert private.asked["POST /fapi/v1/listenKey"] == 1
        assert sum(private.asked.values()) <= 2  # the limits were asked for beside it
        assert len([each for each in heard if isinstance(each, StreamDown)]) == 1
        assert private.connected == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_after_a_short_ban_the_key_is_asked_for_again(private):
    private.banned = 1
    task = asyncio.create_task(stream_of(private).run([].append))
    try:
        await until(lambda: private.asked["POST /fapi/v1/listenKey"])
        private.banned = None
        await until(lambda: private.connected)
        assert private.asked["POST /fapi/v1/listenKey"] == 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_banned_address_keeps_no_key_alive(private, monkeypatch):
    monkeypatch.setattr(account_stream, "KEY_SECONDS", 0.05)
    task = asyncio.create_task(stream_of(private).run([].append))
    try:
        await until(lambda: private.connected)
        private.banned = 600
        await until(lambda: private.asked["PUT /fapi/v1/listenKey"])
        kept = private.asked["PUT /fapi/v1/listenKey"]
        await asyncio.sleep(0.5)
        assert private.asked["PUT /fapi/v1/listenKey"] <= kept + 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
