"""Binance's order, execution, position and balance rows as our values, for stream and REST."""

from decimal import Decimal

from counterpoise.domain.account import Balance, OpenOrder, Position
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, Fill, Liquidity, Side
from counterpoise.venues.binance.convert import ORDER_STATES, fill_cause
from counterpoise.venues.binance.frames import (
    AccountRow,
    OrderEvent,
    OrderRow,
    PositionChange,
    PositionRow,
    TradeRow,
)
from counterpoise.venues.figures import decimal, ns_from_ms, optional_decimal, positive_decimal


def streamed_update(row: OrderEvent, received_ns: int) -> OrderUpdate:
    """Return an order's state from the stream. Raises KeyError for a state nobody documented."""
    state = ORDER_STATES[row.status]
    order = OpenOrder(
        client_order_id=row.client_id or None,
        venue_order_id=str(row.order_id),
        instrument_id=row.symbol,
        side=_side(row.side),
        quantity=decimal(row.quantity),
        filled_quantity=decimal(row.filled),
        price_limit=positive_decimal(row.price) if row.kind == "LIMIT" else None,
        reduce_only=row.reduce_only,
        state=state,
    )
    return OrderUpdate(
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        instrument_id=row.symbol,
        state=state,
        filled_quantity=order.filled_quantity,
        average_price=positive_decimal(row.average),
        source=UpdateSource.STREAM,
        code=None,
        message=""
        if row.expiry_reason in {None, "", "0"}
        else f"expiry reason {row.expiry_reason}",
        order=None if state in TERMINAL else order,
        event_ns=ns_from_ms(row.traded_ms),
        received_ns=received_ns,
    )


def streamed_fill(row: OrderEvent, received_ns: int) -> Fill | None:
    """Return the execution an order message tells of, None if it tells of none."""
    quantity = positive_decimal(row.last_quantity)
    if quantity is None or not row.trade_id:
        return None
    return Fill(
        fill_id=str(row.trade_id),
        instrument_id=row.symbol,
        client_order_id=row.client_id or None,
        venue_order_id=str(row.order_id),
        side=_side(row.side),
        quantity=quantity,
        price=decimal(row.last_price),
        fee=decimal(row.fee or "0"),
        fee_currency=row.fee_asset or "",
        liquidity=Liquidity.MAKER if row.maker else Liquidity.TAKER,
        realised_pnl=optional_decimal(row.realised),
        event_ns=ns_from_ms(row.traded_ms),
        received_ns=received_ns,
        cause=fill_cause(row.client_id),
    )


def order_update(row: OrderRow, received_ns: int) -> OrderUpdate:
    """Return an order's state from REST. Raises KeyError for a state nobody documented."""
    state = ORDER_STATES[row.status]
    return OrderUpdate(
        client_order_id=row.client_order_id or None,
        venue_order_id=str(row.order_id),
        instrument_id=row.symbol,
        state=state,
        filled_quantity=decimal(row.executed_qty),
        average_price=positive_decimal(row.avg_price),
        source=UpdateSource.REST,
        code=None,
        message="",
        order=None if state in TERMINAL else open_order(row),
        event_ns=ns_from_ms(row.update_time or row.time),
        received_ns=received_ns,
    )


def open_order(row: OrderRow) -> OpenOrder:
    """Return an order that may still fill."""
    return OpenOrder(
        client_order_id=row.client_order_id or None,
        venue_order_id=str(row.order_id),
        instrument_id=row.symbol,
        side=_side(row.side),
        quantity=decimal(row.orig_qty),
        filled_quantity=decimal(row.executed_qty),
        price_limit=positive_decimal(row.price) if row.type == "LIMIT" else None,
        reduce_only=row.reduce_only,
        state=ORDER_STATES[row.status],
    )


def fill(row: TradeRow, client_order_id: str | None, received_ns: int) -> Fill:
    """Return an execution of the history, whose order's name is told elsewhere."""
    return Fill(
        fill_id=str(row.id),
        instrument_id=row.symbol,
        client_order_id=client_order_id,
        venue_order_id=str(row.order_id),
        side=_side(row.side),
        quantity=decimal(row.qty),
        price=decimal(row.price),
        fee=decimal(row.commission),
        fee_currency=row.commission_asset,
        liquidity=Liquidity.MAKER if row.maker else Liquidity.TAKER,
        realised_pnl=optional_decimal(row.realized_pnl),
        event_ns=ns_from_ms(row.time),
        received_ns=received_ns,
        # An order whose name nobody knows any more may have been anybody's.
        cause=None if client_order_id is None else fill_cause(client_order_id),
    )


def position(row: PositionRow) -> Position:
    """Return a position by REST."""
    quantity = decimal(row.position_amt)
    flat = quantity == 0
    return Position(
        instrument_id=row.symbol,
        quantity=quantity,
        entry_price=None if flat else decimal(row.entry_price),
        unrealised_pnl=Decimal(0) if flat else optional_decimal(row.un_realized_profit),
        liquidation_price=None if flat else positive_decimal(row.liquidation_price),
        event_ns=ns_from_ms(row.update_time),
        mark=positive_decimal(row.mark_price),
        # Binance counts from 0 (last) to 4 (next).
        adl_rank=None if flat or row.adl is None else row.adl + 1,
    )


def changed_position(row: PositionChange, changed_ms: int) -> Position:
    """Return a position by stream."""
    quantity = decimal(row.quantity)
    flat = quantity == 0
    return Position(
        instrument_id=row.symbol,
        quantity=quantity,
        entry_price=None if flat else decimal(row.entry),
        unrealised_pnl=Decimal(0) if flat else optional_decimal(row.unrealised),
        event_ns=ns_from_ms(changed_ms),
    )


def balance(account: AccountRow, currency: str) -> Balance | None:
    """Return the margin currency's part of the account; None if it has none.

    Its time is the cash's last change: executions after it are not in it.
    """
    for row in account.assets:
        if row.asset == currency:
            return Balance(
                currency=currency,
                wallet_balance=decimal(row.wallet_balance),
                equity=decimal(row.margin_balance),
                available_margin=optional_decimal(row.available_balance),
                initial_margin=optional_decimal(row.initial_margin),
                maintenance_margin=optional_decimal(row.maint_margin),
                event_ns=ns_from_ms(row.update_time),
            )
    return None


def _side(text: str) -> Side:
    return Side(text.lower())
