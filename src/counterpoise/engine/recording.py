"""Makes the records of what happened from the state they happened in."""

from decimal import Decimal

from counterpoise.domain.account import Position
from counterpoise.domain.events import FillReported, OrderUpdate
from counterpoise.domain.orders import ApprovedOrder, OrderIntent
from counterpoise.domain.records import (
    DecisionEnded,
    EquitySeen,
    FillSeen,
    IncidentOpened,
    IntentWritten,
    MarketSeen,
    OrderDenied,
    OrderEventSeen,
    PositionSeen,
    SignalsSeen,
    TradingStateChanged,
)
from counterpoise.engine import actions, views
from counterpoise.engine.plan import Plan
from counterpoise.engine.state import State
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.risk import leverage as risk_leverage
from counterpoise.risk.denials import Denial
from counterpoise.signals.view import SignalsView


def intent_written(state: State, approved: ApprovedOrder) -> IntentWritten:
    """Return the row that is committed before the order leaves."""
    intent = approved.intent
    return IntentWritten(
        client_order_id=intent.client_order_id,
        decision_id=intent.decision_id,
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        epoch=state.run.epoch,
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
        post_only=intent.post_only,
        trigger_price=intent.trigger_price,
    )


def order_denied(state: State, intent: OrderIntent, denial: Denial) -> actions.Write:
    """Return the row of an intent that risk refused."""
    return actions.Write(
        record=OrderDenied(
            decision_id=intent.decision_id,
            run_id=state.run.run_id,
            instrument_id=intent.instrument_id,
            side=intent.side.value,
            quantity=intent.quantity,
            reason=denial.reason.value,
            body=state.encode({"message": denial.message, "figures": denial.figures}),
            denied_ns=state.now_ns,
        )
    )


def order_event(state: State, update: OrderUpdate) -> actions.Write:
    """Return the row of one step in an order's life."""
    return actions.Write(
        record=OrderEventSeen(
            event_id=state.record_id("order"),
            client_order_id=update.client_order_id,
            venue_order_id=update.venue_order_id,
            run_id=state.run.run_id,
            instrument_id=update.instrument_id,
            state=update.state.value,
            source=update.source.value,
            filled_quantity=update.filled_quantity,
            average_price=update.average_price,
            code=update.code,
            message=update.message,
            event_ns=update.event_ns,
            recorded_ns=update.received_ns,
        )
    )


def fill(state: State, event: FillReported) -> actions.Write:
    """Return the row of an execution."""
    seen = event.fill
    return actions.Write(
        record=FillSeen(
            account_id=state.run.account_id,
            instrument_id=seen.instrument_id,
            fill_id=seen.fill_id,
            run_id=state.run.run_id,
            client_order_id=seen.client_order_id,
            venue_order_id=seen.venue_order_id,
            side=seen.side.value,
            quantity=seen.quantity,
            price=seen.price,
            fee=seen.fee,
            fee_currency=seen.fee_currency,
            liquidity=None if seen.liquidity is None else seen.liquidity.value,
            realised_pnl=seen.realised_pnl,
            event_ns=seen.event_ns,
            received_ns=seen.received_ns,
        )
    )


def position(state: State, held: Position, cause: str) -> actions.Write:
    """Return the row of a position after something changed it."""
    mark = state.market.mark(held.instrument_id)
    unrealised = held.unrealised_pnl
    if unrealised is None and mark is not None and held.entry_price is not None:
        unrealised = held.quantity * (mark - held.entry_price)
    return actions.Write(
        record=PositionSeen(
            position_event_id=state.record_id("position"),
            run_id=state.run.run_id,
            account_id=state.run.account_id,
            instrument_id=held.instrument_id,
            quantity=held.quantity,
            entry_price=held.entry_price,
            mark=mark,
            unrealised_pnl=unrealised,
            liquidation_price=held.liquidation_price,
            cause=cause,
            event_ns=held.event_ns,
            recorded_ns=state.now_ns,
        )
    )


def equity(state: State, cause: str) -> list[actions.Action]:
    """Return the row of cash and risk now; nothing while equity is unknown."""
    marks = views.marks(state)
    figure = state.account.equity(marks)
    quantities = state.account.quantities()
    gross = risk_leverage.gross_exposure(quantities, marks)
    net = risk_leverage.net_exposure(quantities, marks)
    if figure is None or state.account.venue_equity is None or gross is None or net is None:
        return []
    return [
        actions.Write(
            record=EquitySeen(
                equity_event_id=state.record_id("equity"),
                run_id=state.run.run_id,
                account_id=state.run.account_id,
                wallet_balance=state.account.wallet_balance or Decimal(0),
                equity=figure,
                venue_equity=state.account.venue_equity,
                gross_exposure=gross,
                net_exposure=net,
                leverage=state.leverage,
                leverage_max=state.leverage_max,
                unit_nav=state.memory.unit_nav,
                cause=cause,
                event_ns=state.now_ns,
            )
        )
    ]


def decision_ended(state: State, plan: Plan, outcome: str) -> actions.Write:
    """Return the row that says what became of a decision."""
    words = f"{plan.orders_filled} of {plan.orders_sent} orders filled"
    return actions.Write(
        record=DecisionEnded(
            decision_id=plan.decision_id,
            run_id=state.run.run_id,
            outcome=outcome,
            summary="; ".join([words, *plan.notes]),
            orders_sent=plan.orders_sent,
            orders_filled=plan.orders_filled,
            leverage=state.leverage,
            leverage_max=state.leverage_max,
            ended_ns=state.now_ns,
            naked_leg_seconds=None if plan.pair is None else plan.pair.seconds,
            naked_notional_seconds=None if plan.pair is None else plan.pair.stood,
        )
    )


def market_seen(decision_id: str, view: InstrumentView, now_ns: int) -> actions.Write:
    """Return the row of one instrument's market at a decision."""
    return actions.Write(
        record=MarketSeen(
            decision_id=decision_id,
            instrument_id=view.instrument.instrument_id,
            mark=view.mark,
            index=view.index,
            bid=view.bid,
            ask=view.ask,
            funding_rate=view.funding_rate,
            mark_age_ms=view.mark_age_ms,
            book_age_ms=view.book_age_ms,
            event_ns=now_ns,
        )
    )


def signals_seen(
    decision_id: str, instrument_id: str, view: SignalsView, now_ns: int
) -> actions.Write:
    """Return the row of one instrument's signals at a decision."""
    core = instrument_id == view.core_id
    return actions.Write(
        record=SignalsSeen(
            decision_id=decision_id,
            instrument_id=instrument_id,
            volatility_fast=view.volatility_fast.get(instrument_id),
            volatility_medium=view.volatility_medium.get(instrument_id),
            volatility_slow=view.volatility_slow.get(instrument_id),
            beta=view.beta.get(instrument_id),
            correlation_fast=view.correlation_core_fast.get(instrument_id),
            correlation_medium=view.correlation_core_medium.get(instrument_id),
            stress_ratio=view.stress_ratio if core else None,
            event_ns=now_ns,
        )
    )


def market_and_signals(
    decision_id: str, market: MarketView, signals: SignalsView
) -> list[actions.Action]:
    """Return both rows for every instrument, in a fixed order."""
    written: list[actions.Action] = []
    for instrument_id in sorted(market.instruments):
        view = market.instruments[instrument_id]
        written.append(market_seen(decision_id, view, market.now_ns))
        written.append(signals_seen(decision_id, instrument_id, signals, market.now_ns))
    return written


def incident(
    state: State, kind: str, severity: str, summary: str, figures: dict[str, str]
) -> actions.Write:
    """Return the row of something a person must know."""
    return actions.Write(
        record=IncidentOpened(
            incident_id=state.record_id("incident"),
            run_id=state.run.run_id,
            severity=severity,
            kind=kind,
            summary=summary,
            body=state.encode(figures),
            opened_ns=state.now_ns,
        )
    )


def trading_state(state: State) -> actions.Write:
    """Return the row of what the daemon may do from now on."""
    return actions.Write(
        record=TradingStateChanged(
            run_id=state.run.run_id,
            account_id=state.run.account_id,
            trading_state=state.trading_state.value,
            causes=tuple(sorted(cause.value for cause in state.causes)),
            changed_ns=state.now_ns,
        )
    )
