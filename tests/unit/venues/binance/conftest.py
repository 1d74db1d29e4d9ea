"""A Binance of our own making: answers what a test tells it to, and remembers what it was sent."""

import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from counterpoise.domain.orders import JournaledOrder
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from stamped_orders import journaled

CREDENTIALS = BinanceCredentials(api_key="key7", secret="secret8")


class TestClock:
    """Real time, with an offset a test may set."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def monotonic(self) -> float:
        return time.monotonic()


def symbol_row(symbol: str, tick: str, step: str, least: str = "0.001") -> dict[str, Any]:
    return {
        "symbol": symbol, "contractType": "PERPETUAL", "status": "TRADING",
        "baseAsset": symbol.removesuffix("USDT"), "quoteAsset": "USDT", "marginAsset": "USDT",
        "pricePrecision": 2, "quantityPrecision": 3, "underlyingType": "COIN",
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": tick, "minPrice": tick, "maxPrice": "1e6"},
            {"filterType": "LOT_SIZE", "stepSize": step, "minQty": least, "maxQty": "1000"},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": step, "minQty": least, "maxQty": "120"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ],
        "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }  # fmt: skip


class StubVenue:
    """Answers by path; `answers[method + path]` may be a value or a handler."""

    def __init__(self) -> None:
        self.port = 0
        #: Every request: method and path, and its fields.
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Any] = {
            "GET /fapi/v1/exchangeInfo": {
                "symbols": [
                    symbol_row("BTCUSDT", "0.10", "0.001"),
                    symbol_row("ETHUSDT", "0.01", "0.001"),
                ]
            },
            "GET /fapi/v3/balance": [{"accountAlias": "AbCd", "asset": "USDT"}],
            "GET /fapi/v1/income": [],
        }
        #: Venue clock minus ours, ms.
        self.ahead_ms = 0

    def sent(self, name: str) -> list[dict[str, str]]:
        return [fields for each, fields in self.requests if each == name]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = request.query_string + "&" + await request.text()
        fields = dict(urllib.parse.parse_qsl(text))
        name = f"{request.method} {request.path}"
        self.requests.append((name, fields))
        if name == "GET /fapi/v1/time":
            return web.json_response({"serverTime": time.time_ns() // 1_000_000 + self.ahead_ms})
        answer = self.answers.get(name)
        if callable(answer):
            answer = answer(fields)
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer is None:
            return web.json_response({"code": -1121, "msg": f"no {name}"}, status=400)
        return web.json_response(answer)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def stub() -> AsyncIterator[StubVenue]:
    venue = StubVenue()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", venue.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    venue.port = runner.addresses[0][1]
    yield venue
    await runner.cleanup()


@pytest.fixture
async def venue(stub: StubVenue, clock: TestClock) -> AsyncIterator[BinanceVenue]:
    endpoints = BinanceEndpoints.loopback(stub.port)
    found = BinanceVenue(endpoints, CREDENTIALS, clock, timeout_ms=10_000)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def journal_order(clock: TestClock) -> Callable[..., Awaitable[JournaledOrder]]:
    async def make(**changes: Any) -> JournaledOrder:
        return await journaled(clock, **changes)

    return make
