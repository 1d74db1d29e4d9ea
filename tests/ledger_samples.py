"""Records and orders that tests of the ledger write down."""

import time
from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.account import TradingState
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.orders import (
    ApprovedOrder,
    IntentSource,
    LegRole,
    OrderIntent,
    OrderKind,
    Side,
    TimeInForce,
)
from counterpoise.domain.records import (
    DecisionEnded,
    DecisionMade,
    EquitySeen,
    FillSeen,
    IncidentOpened,
    IntentWritten,
    MemoryKept,
    OrderDenied,
    OrderEventSeen,
    PairOpened,
    PositionSeen,
    RunStarted,
    TradingStateChanged,
)
from counterpoise.risk import gate
from counterpoise.risk.view import RiskView

ACCOUNT = "okx-7"
RUN = "run-1"


class RealClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class SetClock:
    """A clock a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)

    def monotonic(self) -> float:
        return self.seconds


def approved_order(*, reduce_only: bool, number: int = 1) -> ApprovedOrder:
    """An order the gate let through."""
    intent = OrderIntent(
        client_order_id=f"cp{number:030d}",
        decision_id="decision-1",
        instrument_id="BTCUSDT",
        leg=LegRole.CORE,
        source=IntentSource.CYCLE,
        side=Side.SELL if reduce_only else Side.BUY,
        quantity=Decimal("0.010"),
        kind=OrderKind.LIMIT,
        price_limit=Decimal(30_000),
        time_in_force=TimeInForce.IOC,
        reduce_only=reduce_only,
        attempt=0,
        created_ns=time.time_ns(),
    )
    view = _view()
    if reduce_only:
        approved = gate.approve_reduction(intent, view)
    else:
        approved = gate.approve_increase(intent, view)
    assert isinstance(approved, ApprovedOrder), approved
    return approved


def _view() -> RiskView:
    instrument = Instrument(
        instrument_id="BTCUSDT",
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.001"),
        quantity_min=Decimal("0.001"),
        tiers=(
            MarginTier(
                notional_max=None,
                maintenance_margin_fraction=Decimal("0.004"),
                initial_margin_fraction=Decimal("0.01"),
            ),
        ),
    )
    return RiskView(
        now_ns=time.time_ns(),
        trading_state=TradingState.ACTIVE,
        core_id="BTCUSDT",
        equity=Decimal(10_000),
        quantities={"BTCUSDT": Decimal("0.020")},
        marks={"BTCUSDT": Decimal(30_000)},
        marks_last={"BTCUSDT": Decimal(30_000)},
        open_orders=(),
        instruments={"BTCUSDT": instrument},
        betas={},
        missing={},
        ledger_available=True,
        lease_held=True,
        latency_ms_p99=1.0,
        clock_offset_ms=0.0,
        leverage_ceiling=Decimal(3),
        taker_fee_bps=Decimal(5),
        slippage_bps=Decimal(10),
    )


def intent_of(approved: ApprovedOrder) -> IntentWritten:
    """The record of an approved order."""
    intent = approved.intent
    return IntentWritten(
        client_order_id=intent.client_order_id,
        decision_id=intent.decision_id,
        run_id=RUN,
        account_id=ACCOUNT,
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


def run_started(run_id: str = RUN, account_id: str = ACCOUNT) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        account_id=account_id,
        venue="okx",
        profile="demo",
        mode="trade",
        version="1",
        strategy_version="1",
        host="here",
        pid=42,
        epoch=1,
        configuration_sha256="0" * 64,
        started_ns=1,
    )


def decision(number: int = 1, **changes: object) -> DecisionMade:
    made = DecisionMade(
        decision_id=f"decision-{number}",
        run_id=RUN,
        account_id=ACCOUNT,
        kind="cycle",
        slot_ns=number * 1_000_000_000,
        decided_ns=number * 1_000_000_000 + 5,
        trading_state="active",
        action="unchanged",
        reasons=("CORE_ON_TARGET", "HEDGE_KEPT"),
        summary="Nothing to do.",
        strategy_version="1",
        equity=Decimal("10000.50"),
        leverage=None,
        leverage_max=Decimal("1.250"),
        inputs='{"b":1,"a":"1.50"}',
        outputs="{}",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def outcome(number: int = 1, **changes: object) -> DecisionEnded:
    ended = DecisionEnded(
        decision_id=f"decision-{number}",
        run_id=RUN,
        outcome="done",
        summary="Filled.",
        orders_sent=1,
        orders_filled=1,
        leverage=Decimal("1.5"),
        leverage_max=Decimal("1.6"),
        ended_ns=number * 1_000_000_000 + 900,
    )
    return replace(ended, **changes)  # type: ignore[arg-type]


def denial() -> OrderDenied:
    return OrderDenied(
        decision_id="decision-1",
        run_id=RUN,
        instrument_id="ETHUSDT",
        side="buy",
        quantity=Decimal(2),
        reason="LEVERAGE_EXCEEDED",
        body='{"leverage":"3.07"}',
        denied_ns=7,
    )


def order_event(
    event_id: str, client_order_id: str, state: str, **changes: object
) -> OrderEventSeen:
    seen = OrderEventSeen(
        event_id=event_id,
        client_order_id=client_order_id,
        venue_order_id="v1",
        run_id=RUN,
        instrument_id="BTCUSDT",
        state=state,
        source="stream",
        filled_quantity=None,
        average_price=None,
        code=None,
        message="",
        event_ns=1,
        recorded_ns=1,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def fill(number: int, **changes: object) -> FillSeen:
    seen = FillSeen(
        account_id=ACCOUNT,
        instrument_id="BTCUSDT",
        fill_id=f"f{number}",
        run_id=RUN,
        client_order_id=None,
        venue_order_id="v1",
        side="buy",
        quantity=Decimal("0.001"),
        price=Decimal("30000.10"),
        fee=Decimal("-0.0150"),
        fee_currency="USDT",
        liquidity=None,
        realised_pnl=None,
        event_ns=number,
        received_ns=number + 1,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def position(number: int, **changes: object) -> PositionSeen:
    seen = PositionSeen(
        position_event_id=f"p{number}",
        run_id=RUN,
        account_id=ACCOUNT,
        instrument_id="BTCUSDT",
        quantity=Decimal("0.02"),
        entry_price=Decimal(30_000),
        mark=None,
        unrealised_pnl=None,
        liquidation_price=None,
        cause="fill",
        event_ns=number,
        recorded_ns=number,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def equity(number: int, **changes: object) -> EquitySeen:
    seen = EquitySeen(
        equity_event_id=f"e{number}",
        run_id=RUN,
        account_id=ACCOUNT,
        wallet_balance=Decimal(10_000),
        equity=Decimal(10_010),
        venue_equity=Decimal(10_011),
        gross_exposure=Decimal(600),
        net_exposure=Decimal(-600),
        leverage=Decimal("0.06"),
        leverage_max=None,
        unit_nav=None,
        cause="cycle",
        event_ns=number,
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def memory(number: int) -> MemoryKept:
    return MemoryKept(
        decision_id=f"decision-{number}",
        run_id=RUN,
        account_id=ACCOUNT,
        strategy_version="1",
        body=f'{{"number":{number}}}',
        kept_ns=number,
    )


def trading_state(number: int, state: str, *causes: str) -> TradingStateChanged:
    return TradingStateChanged(
        run_id=RUN,
        account_id=ACCOUNT,
        trading_state=state,
        causes=causes,
        changed_ns=number,
    )


def incident(number: int, kind: str, **changes: object) -> IncidentOpened:
    """Return an incident opened at `number`."""
    return replace(
        IncidentOpened(
            incident_id=f"incident-{number}",
            run_id=RUN,
            severity="critical",
            kind=kind,
            summary="Something to know.",
            body="{}",
            opened_ns=number,
        ),
        **changes,  # type: ignore[arg-type]
    )


def pair(number: int, **changes: object) -> PairOpened:
    """Return the pair of decision `number`, opened at `number`."""
    return replace(
        PairOpened(
            decision_id=f"decision-{number}",
            run_id=RUN,
            account_id=ACCOUNT,
            notional=Decimal(100),
            naked_leg_seconds=Decimal(20),
            body="{}",
            opened_ns=number,
        ),
        **changes,  # type: ignore[arg-type]
    )
