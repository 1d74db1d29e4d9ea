"""A Bybit of our own making: answers what a test tells it to, and remembers what it was sent."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from counterpoise.domain.orders import JournaledOrder
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.orders import BybitVenue
from stamped_orders import journaled

CREDENTIALS = BybitCredentials(api_key="key-7", secret="secret-8")


class TestClock:
    """Real time, with an offset a test may set."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def monotonic(self) -> float:
        return time.monotonic()


def instrument_row(symbol: str, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": symbol.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "priceFilter": {"tickSize": "0.10", "minPrice": "0.1", "maxPrice": "1e6"},
        "lotSizeFilter": {
            "qtyStep": "0.001",
            "minOrderQty": "0.001",
            "maxOrderQty": "1190",
            "maxMktOrderQty": "119",
            "minNotionalValue": "5",
        },
    }
    return row | changes


def ok(result: Any) -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": now_ms}


def refused(code: int, words: str = "no") -> dict[str, Any]:
    return {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": 1}


class StubVenue:
    """Answers by path: a value, or a handler that is given the fields."""

    def __init__(self) -> None:
        self.port = 0
        #: Every request: path, headers and fields.
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        #: Venue clock minus ours, ns.
        self.ahead_ns = 0
        self.answers: dict[str, Any] = {
            "/v5/market/instruments-info": self.instruments,
            "/v5/user/query-api": ok({"userID": 4242, "readOnly": 0}),
            "/v5/account/info": ok({"unifiedMarginStatus": 6, "marginMode": "REGULAR_MARGIN"}),
            "/v5/order/create": lambda fields: ok(
                {"orderId": "venue-1", "orderLinkId": fields["orderLinkId"]}
            ),
        }
        self.listed = [
            instrument_row("BTCUSDT"),
            instrument_row("ETHUSDT"),
            instrument_row("BTCPERP", settleCoin="USDC", quoteCoin="USDC"),
            instrument_row("BTC-27MAR26", contractType="LinearFutures"),
            {"symbol": "NEWUSDT", "contractType": "LinearPerpetual", "settleCoin": "USDT"},
        ]

    def instruments(self, fields: dict[str, Any]) -> dict[str, Any]:
        status = fields.get("status", "Trading")
        found = [
            row
            for row in self.listed
            if row["symbol"] == fields.get("symbol")
            or ("symbol" not in fields and row.get("status", status) == status)
        ]
        if "symbol" in fields and not found:
            return refused(10001, "params error: symbol invalid")
        return ok({"category": "linear", "list": found, "nextPageCursor": ""})

    def sent(self, path: str) -> list[dict[str, Any]]:
        return [fields for asked, _, fields in self.requests if asked == path]

    def headers(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers, _ in self.requests if asked == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        fields = json.loads(text) if text else dict(request.query)
        self.requests.append((request.path, dict(request.headers), fields))
        if request.path == "/v5/market/time" and request.path not in self.answers:
            return web.json_response(ok({"timeNano": str(time.time_ns() + self.ahead_ns)}))
        answer = self.answers.get(request.path, ok({"list": [], "nextPageCursor": ""}))
        if callable(answer):
            answer = answer(fields)
        if isinstance(answer, Awaitable):
            answer = await answer
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def symbols() -> dict[str, tuple[str, Decimal]]:
    return {name: (name, Decimal(1)) for name in ("BTCUSDT", "ETHUSDT")}


@pytest.fixture
async def stub() -> AsyncIterator[StubVenue]:
    venue = StubVenue()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", venue.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.port = runner.addresses[0][1]
    yield venue
    await runner.cleanup()


@pytest.fixture
def timeout_ms() -> int:
    """Return the time limit of a request; a test of silence has its own."""
    return 10_000


@pytest.fixture
async def venue(stub: StubVenue, clock: TestClock, timeout_ms: int) -> AsyncIterator[BybitVenue]:
    found = BybitVenue(
        BybitEndpoints.loopback(stub.port), CREDENTIALS, clock, timeout_ms=timeout_ms
    )
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def journal_order(clock: TestClock) -> Callable[..., Awaitable[JournaledOrder]]:
    async def make(**changes: Any) -> JournaledOrder:
        return await journaled(clock, **changes)

    return make
