"""The model's orders, executions and positions as every venue's are told. No event is late yet."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import Balance, OpenOrder, Position, WaitingTrigger
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import Fill, FillCause, OrderState, Side
from counterpoise.exchange.accounts import AccountState, PositionState
from counterpoise.exchange.orders import (
    ExchangeFill,
    ExchangeOrder,
    OrderCategory,
    TriggerDirection,
)
from counterpoise.exchange.triggers import TriggerOrder, TriggerState

#: Finds an order by the model's id; None = it is forgotten.
OrderSource = Callable[[str], ExchangeOrder | None]

_CAUSES: Final = {
    OrderCategory.NORMAL: FillCause.ORDER,
    OrderCategory.LIQUIDATION: FillCause.LIQUIDATION,
    OrderCategory.PARTIAL_LIQUIDATION: FillCause.LIQUIDATION,
    OrderCategory.ADL: FillCause.ADL,
    OrderCategory.DELISTING: FillCause.SETTLEMENT,
}

_TRIGGER_STATES: Final = {
    TriggerState.LIVE: OrderState.ACCEPTED,
    TriggerState.TRIGGERED: OrderState.FILLED,
    TriggerState.CANCELED: OrderState.CANCELED,
    TriggerState.FAILED: OrderState.REJECTED,
}


def our_id(order: ExchangeOrder) -> str | None:
    """Return our id of an order: its own, or that of the stop that made it."""
    if order.client_order_id is not None or order.trigger is None:
        return order.client_order_id
    return order.trigger.client_order_id


def open_order(order: ExchangeOrder) -> OpenOrder:
    """Return an order that rests."""
    return OpenOrder(
        client_order_id=our_id(order),
        venue_order_id=order.order_id,
        instrument_id=order.instrument_id,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=order.filled_quantity,
        price_limit=order.price_limit,
        reduce_only=order.reduce_only,
        state=order.state,
    )


def order_update(order: ExchangeOrder, source: UpdateSource, received_ns: int) -> OrderUpdate:
    """Return an order as it is now."""
    return OrderUpdate(
        client_order_id=our_id(order),
        venue_order_id=order.order_id,
        instrument_id=order.instrument_id,
        state=order.state,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        source=source,
        code=None,
        message="" if order.cancel_cause is None else order.cancel_cause.value,
        order=open_order(order) if order.open else None,
        event_ns=order.updated_ns,
        received_ns=received_ns,
    )


def trigger_update(trigger: TriggerOrder, received_ns: int) -> OrderUpdate:
    """Return an order that is held back, or never came to send anything."""
    return OrderUpdate(
        client_order_id=trigger.client_order_id,
        venue_order_id=trigger.trigger_order_id,
        instrument_id=trigger.instrument_id,
        state=_TRIGGER_STATES[trigger.state],
        filled_quantity=Decimal(0),
        average_price=None,
        source=UpdateSource.REST,
        code=None if trigger.failure is None else trigger.failure.value.upper(),
        message="",
        order=None,
        event_ns=trigger.updated_ns,
        received_ns=received_ns,
    )


def waiting(trigger: TriggerOrder) -> WaitingTrigger:
    """Return an order that is held back."""
    terms = trigger.terms
    return WaitingTrigger(
        client_order_id=trigger.client_order_id,
        venue_order_id=trigger.trigger_order_id,
        instrument_id=trigger.instrument_id,
        side=terms.side,
        quantity=terms.quantity,
        trigger_price=terms.trigger_price,
        reduce_only=terms.reduce_only,
    )


def direction_of(side: Side) -> TriggerDirection:
    """Return which way the mark must come for a stop of a side."""
    return TriggerDirection.RISING if side is Side.BUY else TriggerDirection.FALLING


def fill(found: ExchangeFill, order_of: OrderSource, received_ns: int) -> Fill:
    """Return an execution."""
    order = order_of(found.order_id)
    cause = None if order is None else _CAUSES[order.category]
    return Fill(
        fill_id=found.fill_id,
        instrument_id=found.instrument_id,
        client_order_id=found.client_order_id if order is None else our_id(order),
        venue_order_id=found.order_id,
        side=found.side,
        quantity=found.quantity,
        price=found.price,
        fee=found.fee,
        fee_currency="USDT",
        liquidity=found.liquidity,
        realised_pnl=found.realised_pnl,
        event_ns=found.event_ns,
        received_ns=received_ns,
        cause=cause,
    )


def position(held: PositionState) -> Position:
    """Return a position, flat or not."""
    return Position(
        instrument_id=held.instrument_id,
        quantity=held.quantity,
        entry_price=held.entry_price,
        unrealised_pnl=held.unrealised_pnl,
        liquidation_price=held.liquidation_price,
        event_ns=held.changed_ns,
        trade_sequence=held.last_trade_sequence or None,
        mark=held.mark,
    )


def balance(state: AccountState) -> Balance:
    """Return cash and margin."""
    return Balance(
        currency="USDT",
        wallet_balance=state.wallet_balance,
        equity=state.equity,
        available_margin=state.available_margin,
        initial_margin=state.initial_margin,
        maintenance_margin=state.maintenance_margin,
        event_ns=state.event_ns,
    )
