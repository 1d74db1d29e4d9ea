"""OKX's order, fill, position and balance rows as our values, alike for stream and REST."""

from decimal import Decimal

from counterpoise.domain.account import Balance, OpenOrder, Position
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import TERMINAL, Fill, FillCause, Side
from counterpoise.venues.figures import decimal, ns_from_ms, optional_decimal, positive_decimal
from counterpoise.venues.okx.convert import (
    CATEGORIES,
    LIQUIDITIES,
    ORDER_STATES,
    base_from_contracts,
    fee_paid,
    fill_cause,
    has_price,
    signed_contracts,
)
from counterpoise.venues.okx.frames import BalanceRow, FillRow, OrderRow, PositionRow


def order_update(
    row: OrderRow,
    instrument_id: str,
    contract_size: Decimal,
    source: UpdateSource,
    received_ns: int,
) -> OrderUpdate:
    """Return an order's state. Raises KeyError for a state OKX has not documented."""
    state = ORDER_STATES[row.state]
    filled = optional_decimal(row.acc_fill_sz)
    return OrderUpdate(
        client_order_id=row.cl_ord_id or row.algo_cl_ord_id or None,
        venue_order_id=row.ord_id,
        instrument_id=instrument_id,
        state=state,
        filled_quantity=None if filled is None else base_from_contracts(filled, contract_size),
        average_price=positive_decimal(row.avg_px),
        source=source,
        code=None,
        message=_cancel_reason(row),
        order=None if state in TERMINAL else open_order(row, instrument_id, contract_size),
        event_ns=ns_from_ms(row.u_time or row.c_time),
        received_ns=received_ns,
    )


def open_order(row: OrderRow, instrument_id: str, contract_size: Decimal) -> OpenOrder:
    """Return an order that may still fill."""
    return OpenOrder(
        client_order_id=row.cl_ord_id or row.algo_cl_ord_id or None,
        venue_order_id=row.ord_id,
        instrument_id=instrument_id,
        side=Side(row.side),
        quantity=base_from_contracts(decimal(row.sz), contract_size),
        filled_quantity=base_from_contracts(decimal(row.acc_fill_sz or "0"), contract_size),
        price_limit=positive_decimal(row.px) if has_price(row.ord_type) else None,
        reduce_only=row.reduce_only in {"true", True},
        state=ORDER_STATES[row.state],
    )


def fill_in_order(
    row: OrderRow, instrument_id: str, contract_size: Decimal, received_ns: int
) -> Fill | None:
    """Return the execution an order message tells of, None if it tells of none.

    Raises KeyError for an execution type that is no trade we know.
    """
    contracts = positive_decimal(row.fill_sz)
    if contracts is None or not row.trade_id:
        return None
    first = row.acc_fill_sz == row.fill_sz
    # fillFee is this execution's; the order's fee is the same thing only for its first one.
    fee = row.fill_fee if row.fill_fee or not first else row.fee
    return Fill(
        fill_id=row.trade_id,
        instrument_id=instrument_id,
        client_order_id=row.cl_ord_id or row.algo_cl_ord_id or None,
        venue_order_id=row.ord_id,
        side=Side(row.side),
        quantity=base_from_contracts(contracts, contract_size),
        price=decimal(row.fill_px),
        fee=fee_paid(fee),
        fee_currency=row.fill_fee_ccy or row.fee_ccy,
        liquidity=LIQUIDITIES[row.exec_type],
        realised_pnl=optional_decimal(row.fill_pnl),
        event_ns=ns_from_ms(row.fill_time or row.u_time),
        received_ns=received_ns,
        cause=CATEGORIES.get(row.category, FillCause.ORDER) if row.category else None,
    )


def fill(row: FillRow, instrument_id: str, contract_size: Decimal, received_ns: int) -> Fill:
    """Return an execution of the history. Raises KeyError for an unknown execution type."""
    return Fill(
        fill_id=row.trade_id,
        instrument_id=instrument_id,
        client_order_id=row.cl_ord_id or None,
        venue_order_id=row.ord_id,
        side=Side(row.side),
        quantity=base_from_contracts(decimal(row.fill_sz), contract_size),
        price=decimal(row.fill_px),
        fee=fee_paid(row.fee),
        fee_currency=row.fee_ccy,
        liquidity=LIQUIDITIES[row.exec_type],
        realised_pnl=optional_decimal(row.fill_pnl),
        event_ns=ns_from_ms(row.fill_time or row.ts),
        received_ns=received_ns,
        cause=fill_cause(row.sub_type),
    )


def position(row: PositionRow, instrument_id: str, contract_size: Decimal) -> Position:
    """Return a position; `pos` 0 or "" = flat."""
    contracts = signed_contracts(decimal(row.pos or "0"), row.pos_side)
    flat = contracts == 0
    return Position(
        instrument_id=instrument_id,
        quantity=Decimal(0) if flat else base_from_contracts(contracts, contract_size),
        entry_price=None if flat else decimal(row.avg_px),
        unrealised_pnl=Decimal(0) if flat else optional_decimal(row.upl),
        liquidation_price=None if flat else positive_decimal(row.liq_px),
        event_ns=ns_from_ms(row.u_time),
        # A liquidation or ADL has a negative number, which orders nothing (venues.md 5.4).
        trade_sequence=int(row.trade_id) if row.trade_id.isdigit() else None,
        mark=positive_decimal(row.mark_px),
        adl_rank=None if flat else _adl_rank(row.adl),
    )


def balance(row: BalanceRow, currency: str) -> Balance | None:
    """Return the settlement currency's part; None if the message does not have it."""
    for detail in row.details:
        if detail.ccy == currency:
            return Balance(
                currency=currency,
                wallet_balance=decimal(detail.cash_bal),
                equity=decimal(detail.eq),
                available_margin=optional_decimal(detail.avail_eq),
                initial_margin=optional_decimal(detail.imr),
                maintenance_margin=optional_decimal(detail.mmr),
                # Equity moves with the mark, so its time is the account's, not the cash's.
                event_ns=ns_from_ms(row.u_time or detail.u_time),
            )
    return None


def _adl_rank(text: str) -> int | None:
    # OKX has six levels, of which the two lowest are our last place.
    return max(int(text), 1) if text.isascii() and text.isdigit() else None


def _cancel_reason(row: OrderRow) -> str:
    if row.cancel_source_reason:
        return row.cancel_source_reason
    return f"cancelSource {row.cancel_source}" if row.cancel_source else ""
