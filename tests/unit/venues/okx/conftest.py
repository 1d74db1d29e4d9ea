"""A venue of our own making: answers what a test tells it to, and remembers what it was sent."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from counterpoise.domain.account import TradingState
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.orders import (
    ApprovedOrder,
    IntentSource,
    JournaledOrder,
    LegRole,
    OrderIntent,
    OrderKind,
    Side,
    TimeInForce,
)
from counterpoise.domain.records import IntentWritten
from counterpoise.ledger.journal import MemoryJournal
from counterpoise.risk import gate
from counterpoise.risk.view import RiskView
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue

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
            return ok({"ts": str(time.time_ns() // 1_000_000)})
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
async def venue(stub: StubVenue, clock: TestClock) -> AsyncIterator[OkxVenue]:
    found = OkxVenue(OkxEndpoints.loopback(stub.port), CREDENTIALS, clock, timeout_ms=400)
    await found.open()
    yield found
    await found.close()


async def journaled(  # every stamp is earned as in a live run
    clock: TestClock,
    *,
    quantity: str,
    side: Side = Side.BUY,
    price: str | None = "100000",
    reduce_only: bool = False,
    time_in_force: TimeInForce = TimeInForce.IOC,
    instrument_id: str = "BTCUSDT",
    client_order_id: str = "cp0123456789abcdef0123456789abcd",
    post_only: bool = False,
) -> JournaledOrder:
    now_ns = clock.now_ns()
    intent = OrderIntent(
        client_order_id=client_order_id,
        decision_id="d1",
        instrument_id=instrument_id,
        leg=LegRole.CORE,
        source=IntentSource.CYCLE,
        side=side,
        quantity=Decimal(quantity),
        kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
        price_limit=None if price is None else Decimal(price),
        time_in_force=TimeInForce.GTC if post_only else time_in_force,
        reduce_only=reduce_only,
        attempt=0,
        created_ns=now_ns,
        post_only=post_only,
    )
    view = RiskView(
        now_ns=now_ns,
        trading_state=TradingState.ACTIVE,
        core_id="BTCUSDT",
        equity=Decimal(10_000_000),
        quantities={
            instrument_id: -1_000_000 * side.sign * Decimal(1) if reduce_only else Decimal(0)
        },
        marks={instrument_id: Decimal(100_000)},
        marks_last={instrument_id: Decimal(100_000)},
        open_orders=(),
        instruments={instrument_id: _rules(instrument_id)},
        betas={},
        missing={},
        ledger_available=True,
        lease_held=True,
        latency_ms_p99=1.0,
        clock_offset_ms=0.0,
        leverage_ceiling=Decimal(3),
        taker_fee_bps=Decimal(5),
        slippage_bps=Decimal(5),
    )
    stamp = gate.approve_reduction if reduce_only else gate.approve_increase
    approved = stamp(intent, view)
    assert isinstance(approved, ApprovedOrder), approved
    return await MemoryJournal(clock).journal_order(approved, _written(approved))


def _rules(instrument_id: str) -> Instrument:
    # A grid finer than the venue's, so that a quantity off the venue's own grid gets this far.
    return Instrument(
        instrument_id=instrument_id,
        base=instrument_id.removesuffix("USDT"),
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.001"),
        lot_size=Decimal("0.0000001"),
        quantity_min=Decimal(0),
        tiers=(
            MarginTier(
                notional_max=None,
                maintenance_margin_fraction=Decimal("0.004"),
                initial_margin_fraction=Decimal("0.01"),
            ),
        ),
    )


def _written(approved: ApprovedOrder) -> IntentWritten:
    intent = approved.intent
    return IntentWritten(
        client_order_id=intent.client_order_id,
        decision_id=intent.decision_id,
        run_id="r1",
        account_id="4242",
        epoch=1,
        instrument_id=intent.instrument_id,
        leg=intent.leg.value,
        source=intent.source.value,
        side=intent.side.value,
        quantity=approved.quantity,
        kind=intent.kind.value,
        price_limit=intent.price_limit,
        time_in_force=intent.time_in_force.value,
        reduce_only=intent.reduce_only,
        attempt=intent.attempt,
        leverage_worst=approved.leverage_worst,
        created_ns=intent.created_ns,
        expires_ns=approved.expires_ns,
    )


@pytest.fixture
def journal_order(clock: TestClock) -> Callable[..., Awaitable[JournaledOrder]]:
    async def make(**changes: Any) -> JournaledOrder:
        return await journaled(clock, **changes)

    return make
