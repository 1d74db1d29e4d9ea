"""What the contract suite needs of each venue: the real adapter against a real server.

A venue joins the suite by a row of `venue_rigs.RIGS`; the tests know no venue by name.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.account import AccountSnapshot, TradingState
from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.events import Event, MarkPrice, StreamAlive, StreamName
from counterpoise.domain.identity import client_order_id
from counterpoise.domain.instruments import Instrument
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
from counterpoise.ports import Venue
from counterpoise.risk import gate
from counterpoise.risk.view import RiskLimits, RiskView
from venue_rigs import RIGS, Rig, RunningVenue, running_venue

IDS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT")

#: One seed for the suite's market: a failure happens again.
SEED = 20_260_101


class Heard(list[Event]):
    """A feed that can be waited on."""

    async def until(self, wanted: Callable[[Event], bool], seconds: float = 10) -> Any:
        async with asyncio.timeout(seconds):
            while True:
                for event in self:
                    if wanted(event):
                        return event
                await asyncio.sleep(0.01)

    async def of_all(self, kind: type, instrument_ids: set[str], seconds: float = 10) -> None:
        """Wait for an event of every instrument."""
        async with asyncio.timeout(seconds):
            while {event.instrument_id for event in self.of(kind)} != instrument_ids:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


@pytest.fixture(scope="session", params=list(RIGS))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningVenue]:
    """One built-in venue of each kind for the whole suite."""
    with running_venue(request.param, tmp_path_factory.mktemp(request.param), SEED) as found:
        yield found


@pytest.fixture
def rig(running: RunningVenue, request: pytest.FixtureRequest) -> Rig:
    made = RIGS[running.name](running)
    if request.node.originalname in made.lacks:
        pytest.skip(made.lacks[request.node.originalname])
    return made


class Desk:
    """An open venue, its streams, and orders that earned their stamps."""

    def __init__(self, rig: Rig, venue: Venue, rules: dict[str, Instrument]) -> None:
        self.rig = rig
        self.venue = venue
        self.rules = rules
        self.market = Heard()
        self.account = Heard()
        self.symbols = {each: (venue.venue_symbol(each), venue.contract_size(each)) for each in IDS}
        self._attempts = 0
        self._journal = MemoryJournal(rig.clock)

    def mark(self, instrument_id: str) -> Decimal:
        marks = [each for each in self.market.of(MarkPrice) if each.instrument_id == instrument_id]
        return marks[-1].mark

    def lot(self, instrument_id: str) -> Decimal:
        """What counts as one lot in a test: large enough for the smallest notional, on the grid."""
        rules = self.rules[instrument_id]
        least = (rules.notional_min or Decimal(0)) * Decimal("1.2") / self.mark(instrument_id)
        return rules.lot_size * max(1, -int(-least // rules.lot_size))

    def price(self, instrument_id: str, bps: int) -> Decimal:
        """A limit price so far from the mark, on the grid."""
        tick = self.rules[instrument_id].tick_size
        wanted = self.mark(instrument_id) * (10_000 + bps) / 10_000
        return (wanted // tick) * tick

    async def order(
        self,
        instrument_id: str,
        side: Side,
        lots: int,
        *,
        price_bps: int | None = None,
        reduce_only: bool = False,
        time_in_force: TimeInForce = TimeInForce.IOC,
        approval_ms: int = 2_000,
        client_order_id_text: str | None = None,
        trigger_bps: int | None = None,
        quantity: Decimal | None = None,
    ) -> JournaledOrder:
        self._attempts += 1
        now_ns = self.rig.clock.now_ns()
        price = None if price_bps is None else self.price(instrument_id, price_bps)
        if quantity is None:
            quantity = self.lot(instrument_id) * lots
        intent = OrderIntent(
            client_order_id=client_order_id_text
            or client_order_id("contract", str(now_ns), instrument_id, self._attempts),
            decision_id="contract",
            instrument_id=instrument_id,
            leg=LegRole.CORE,
            source=IntentSource.CYCLE,
            side=side,
            quantity=quantity,
            kind=OrderKind.MARKET if price is None else OrderKind.LIMIT,
            price_limit=price,
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            attempt=0,
            created_ns=now_ns,
            trigger_price=None if trigger_bps is None else self.price(instrument_id, trigger_bps),
        )
        approved = _approve(intent, self._view(instrument_id, side, quantity, now_ns, approval_ms))
        return await self._journal.journal_order(approved, _written(approved))

    def _view(
        self, instrument_id: str, side: Side, quantity: Decimal, now_ns: int, approval_ms: int
    ) -> RiskView:
        # Rich enough that the ceiling never speaks: this suite is about the venue.
        marks = {instrument_id: self.mark(instrument_id)}
        return RiskView(
            now_ns=now_ns,
            trading_state=TradingState.ACTIVE,
            core_id=instrument_id,
            equity=Decimal(10) ** 9,
            quantities={instrument_id: -quantity * side.sign},
            marks=marks,
            marks_last=marks,
            open_orders=(),
            instruments=self.rules,
            betas={},
            missing={},
            ledger_available=True,
            lease_held=True,
            latency_ms_p99=1.0,
            clock_offset_ms=0.0,
            leverage_ceiling=Decimal(3),
            taker_fee_bps=Decimal(5),
            slippage_bps=Decimal(5),
            approval_ms=approval_ms,
            limits=RiskLimits(slippage_bps_max=Decimal(500)),
        )

    async def flatten(self) -> None:
        """Cancel and close everything, so that each test starts alike."""
        snapshot = await self._looked()
        for open_order in snapshot.open_orders:
            assert open_order.client_order_id is not None
            await self.venue.cancel(open_order.instrument_id, open_order.client_order_id)
        for held in snapshot.positions:
            side = Side.SELL if held.quantity > 0 else Side.BUY
            await self.venue.submit(
                await self.order(
                    held.instrument_id, side, 0, reduce_only=True, quantity=abs(held.quantity)
                )
            )

    async def _looked(self) -> AccountSnapshot:
        # Test after test asks more in a second than a client may; the next second is soon.
        for _ in range(5):
            try:
                return await self.venue.account()
            except (VenueRejected, VenueUnreachable):
                await asyncio.sleep(1.0)
        return await self.venue.account()


@pytest.fixture
async def desk(rig: Rig) -> AsyncIterator[Desk]:
    # Whatever a test before this one ordered of the venue and did not use up.
    rig.fault("clear")
    venue = rig.make_venue()
    await venue.open()
    rules = {each.instrument_id: each for each in await venue.instruments(IDS)}
    made = Desk(rig, venue, rules)
    streams = [
        asyncio.create_task(rig.make_market_feed(made.symbols).run(made.market.append)),
        asyncio.create_task(rig.make_account_feed(made.symbols).run(made.account.append)),
    ]
    try:
        await made.market.of_all(MarkPrice, set(IDS))
        await made.account.until(
            lambda event: isinstance(event, StreamAlive) and event.stream is StreamName.ACCOUNT
        )
        await made.flatten()
        made.account.clear()
        yield made
        rig.fault("clear")
        await made.flatten()
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
        await venue.close()


def _approve(intent: OrderIntent, view: RiskView) -> ApprovedOrder:
    stamp = gate.approve_reduction if intent.reduce_only else gate.approve_increase
    approved = stamp(intent, view)
    assert isinstance(approved, ApprovedOrder), approved
    return approved


def _written(approved: ApprovedOrder) -> IntentWritten:
    intent = approved.intent
    return IntentWritten(
        client_order_id=intent.client_order_id,
        decision_id=intent.decision_id,
        run_id="contract",
        account_id="contract",
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
        trigger_price=intent.trigger_price,
    )
