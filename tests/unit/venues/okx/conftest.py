"""A venue of our own making: answers what a test tells it to, and remembers what it was sent."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from counterpoise.domain.orders import JournaledOrder
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue
from stamped_orders import journaled

NOW_NS = 1_700_000_000_000_000_000


class TestClock:
    """Real time, with an offset a test may set."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead_ns = 0

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def symbols() -> dict[str, tuple[str, Decimal]]:
    return {
        "BTCUSDT": ("BTC-USDT-SWAP", Decimal("0.01")),
        "ETHUSDT": ("ETH-USDT-SWAP", Decimal("0.1")),
    }


CREDENTIALS = OkxCredentials(api_key="key-7", secret="secret-8", passphrase="phrase-9")


@pytest.fixture
def credentials() -> OkxCredentials:
    return CREDENTIALS


def instrument_row(inst_id: str, contract_size: str, **changes: Any) -> dict[str, Any]:
    family = inst_id.removesuffix("-SWAP")
    row = {
        "instType": "SWAP",
        "instId": inst_id,
        "instFamily": family,
        "uly": family,
        "ctType": "linear",
        "ctVal": contract_size,
        "ctMult": "1",
        "ctValCcy": family.split("-")[0],
        "settleCcy": "USDT",
        "lotSz": "0.01",
        "minSz": "0.01",
        "tickSz": "0.1",
        "maxLmtSz": "100000000",
        "maxMktSz": "12000",
        "lever": "100",
        "state": "live",
        "baseCcy": "",
        "quoteCcy": "",
        "listTime": "1573557408000",
        "expTime": "",
    }
    return row | changes


Answer = Callable[[web.Request, Any], Awaitable[web.StreamResponse]]


def ok(*rows: Any, code: str = "0", message: str = "") -> web.Response:
    return web.json_response({"code": code, "msg": message, "data": list(rows)})


class StubVenue:
    """Answers per path; every request is kept with its headers and body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.answers: dict[str, Answer] = {}
        self.rows: dict[str, list[Any]] = {
            "/api/v5/public/instruments": [
                instrument_row("BTC-USDT-SWAP", "0.01"),
                instrument_row("ETH-USDT-SWAP", "0.1", tickSz="0.01"),
                instrument_row("BTC-USD-SWAP", "100", ctType="inverse", settleCcy="BTC"),
                {"instId": "NEW-USDT-SWAP", "ctType": "linear", "settleCcy": "USDT"},
            ],
            "/api/v5/account/config": [
                {"uid": "4242", "acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade"}
            ],
        }
        self.port = 0
        #: Its clock minus ours.
        self.ahead_ns = 0

    def headers(self, path: str) -> list[dict[str, str]]:
        """Headers that arrived on a path."""
        return [headers for asked, headers, _ in self.requests if asked == path]

    def sent(self, path: str) -> list[Any]:
        """Bodies that arrived on a path."""
        return [body for asked, _, body in self.requests if asked == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else dict(request.query)
        self.requests.append((request.path, dict(request.headers), body))
        if request.path in self.answers:
            return await self.answers[request.path](request, body)
        if request.path == "/api/v5/public/time":
            return ok({"ts": str((time.time_ns() + self.ahead_ns) // 1_000_000)})
        return ok(*self.rows.get(request.path, []))


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
async def venue(stub: StubVenue, clock: TestClock, timeout_ms: int) -> AsyncIterator[OkxVenue]:
    found = OkxVenue(OkxEndpoints.loopback(stub.port), CREDENTIALS, clock, timeout_ms=timeout_ms)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def journal_order(clock: TestClock) -> Callable[..., Awaitable[JournaledOrder]]:
    async def make(**changes: Any) -> JournaledOrder:
        return await journaled(clock, **changes)

    return make
