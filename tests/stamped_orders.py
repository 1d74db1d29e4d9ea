"""Orders that earned every stamp of a live run, for tests of a venue's adapter."""

from decimal import Decimal

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
from counterpoise.ports import Clock
from counterpoise.risk import gate
from counterpoise.risk.view import RiskView


async def journaled(
    clock: Clock,
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
    """Return an order that passed the gate and the journal."""
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
