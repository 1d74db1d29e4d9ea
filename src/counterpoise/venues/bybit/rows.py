"""Bybit's order, execution, position and wallet rows as our values, for stream and REST alike."""

from decimal import Decimal

from counterpoise.domain.account import Balance, OpenOrder, Position
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, Fill, Liquidity, OrderState
from counterpoise.venues.bybit.convert import NO_REASONS, ORDER_STATES, SIDES, fill_cause
from counterpoise.venues.bybit.frames import ExecutionRow, OrderRow, PositionRow, WalletRow
from counterpoise.venues.figures import decimal, ns_from_ms, optional_decimal, positive_decimal


def order_update(row: OrderRow, source: UpdateSource, received_ns: int) -> OrderUpdate:
    """Return an order's state. Raises KeyError for a state Bybit has not documented."""
    state = ORDER_STATES[row.order_status]
    filled = optional_decimal(row.filled)
    if state is OrderState.REJECTED and filled:
        # What has executed was taken; only the rest of it was refused.
        state = OrderState.CANCELED
    return OrderUpdate(
        client_order_id=row.order_link_id or None,
        venue_order_id=row.order_id,
        instrument_id=row.symbol,
        state=state,
        filled_quantity=filled,
        average_price=positive_decimal(row.avg_price),
        source=source,
        code=row.reject_reason if state is OrderState.REJECTED else None,
        message=_end_reason(row),
        order=None if state in TERMINAL else open_order(row),
        event_ns=ns_from_ms(row.updated_time or row.created_time),
        received_ns=received_ns,
    )


def open_order(row: OrderRow) -> OpenOrder:
    """Return an order that may still fill."""
    return OpenOrder(
        client_order_id=row.order_link_id or None,
        venue_order_id=row.order_id,
        instrument_id=row.symbol,
        side=SIDES[row.side],
        quantity=decimal(row.quantity),
        filled_quantity=decimal(row.filled or "0"),
        price_limit=None if row.order_type == "Market" else positive_decimal(row.price),
        reduce_only=row.reduce_only,
        state=ORDER_STATES[row.order_status],
    )


def fill(row: ExecutionRow, settle: str, received_ns: int) -> Fill:
    """Return an execution that is a trade. Linear fees are in the settlement currency."""
    return Fill(
        fill_id=row.exec_id,
        instrument_id=row.symbol,
        client_order_id=row.order_link_id or None,
        venue_order_id=row.order_id,
        side=SIDES[row.side],
        quantity=decimal(row.quantity),
        price=decimal(row.exec_price),
        fee=decimal(row.exec_fee or "0"),
        fee_currency=row.fee_currency or settle,
        liquidity=_liquidity(row),
        realised_pnl=optional_decimal(row.exec_pnl),
        event_ns=ns_from_ms(row.exec_time),
        received_ns=received_ns,
        cause=fill_cause(row.exec_type, row.create_type),
    )


def position(row: PositionRow) -> Position:
    """Return a position; `size` 0 or "" = flat."""
    size = decimal(row.size or "0")
    if not size:
        return Position(
            instrument_id=row.symbol,
            quantity=Decimal(0),
            entry_price=None,
            unrealised_pnl=Decimal(0),
            event_ns=ns_from_ms(row.updated_time),
            mark=positive_decimal(row.mark_price),
        )
    return Position(
        instrument_id=row.symbol,
        quantity=size * SIDES[row.side].sign,
        entry_price=decimal(row.avg_price or row.entry_price),
        unrealised_pnl=optional_decimal(row.unrealised_pnl),
        # "" where it lies beyond every price; an estimate in cross margin.
        liquidation_price=positive_decimal(row.liq_price),
        event_ns=ns_from_ms(row.updated_time),
        mark=positive_decimal(row.mark_price),
        adl_rank=row.adl_rank_indicator or None,
    )


def balance(row: WalletRow, currency: str, event_ns: int) -> Balance | None:
    """Return the settlement currency's part; None if the message does not have it.

    Margin is of the whole account, since in cross margin all of it stands behind a position.
    """
    for part in row.currencies:
        if part.currency == currency:
            return Balance(
                currency=currency,
                wallet_balance=decimal(part.wallet_balance),
                equity=decimal(part.equity),
                available_margin=optional_decimal(row.total_available_balance),
                initial_margin=optional_decimal(row.total_initial_margin),
                maintenance_margin=optional_decimal(row.total_maintenance_margin),
                event_ns=event_ns,
            )
    return None


def _liquidity(row: ExecutionRow) -> Liquidity | None:
    if row.is_maker is None:
        return None
    return Liquidity.MAKER if row.is_maker else Liquidity.TAKER


def _end_reason(row: OrderRow) -> str:
    words = [each for each in (row.reject_reason, row.cancel_type) if each not in NO_REASONS]
    return " ".join(words)
