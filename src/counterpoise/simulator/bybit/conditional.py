"""Conditional orders: as clients write them, as refusals word them, as rows show them.

A conditional order and the order it becomes are one order to Bybit, under one id: Untriggered,
Triggered for a moment, then New and on. What ends before is Deactivated or Rejected.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.orders import (
    CancelCause,
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerForm,
    TriggerSource,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder, TriggerState
from counterpoise.simulator.bybit import order_entry, order_rows
from counterpoise.simulator.bybit.calls import Desk, decimal_field, flag_field
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_entry import Fields
from counterpoise.simulator.bybit.symbols import CURRENCY, milliseconds, text

#: `triggerBy` -> price.
SOURCES: Final = {name: source for source, name in order_rows.TRIGGERS_BY.items()}
_DIRECTIONS: Final = {str(n): each for each, n in order_rows.TRIGGER_DIRECTIONS.items()}

#: Our state -> Bybit's `orderStatus`.
STATES: Final = {
    TriggerState.LIVE: "Untriggered",
    TriggerState.TRIGGERED: "Triggered",
    TriggerState.CANCELED: "Deactivated",
    TriggerState.FAILED: "Rejected",
}
#: Why it was canceled -> `cancelType`.
_CANCEL_TYPES: Final = {
    None: "UNKNOWN",
    CancelCause.CLIENT: "CancelByUser",
    CancelCause.POSITION_GONE: "CancelByTpSlTsClear",
    CancelCause.DELISTING: "CancelByDelivery",
}
#: Why its order was refused -> `rejectReason`.
_REJECT_REASONS: Final = {
    RefusalReason.REDUCE_ONLY_NO_POSITION: "EC_QtyCannotBeZero",
    RefusalReason.REDUCE_ONLY_SAME_SIDE: "EC_QtyCannotBeZero",
    RefusalReason.INSTRUMENT_NOT_LIVE: "EC_InvalidSymbolStatus",
    RefusalReason.MARGIN_INSUFFICIENT: "EC_NoEnoughQtyToFill",
}


def asked(fields: Fields) -> bool:
    """Tell whether a body asks for a conditional order."""
    return fields.get("triggerPrice") not in (None, "", "0", 0)


def new_trigger(desk: Desk, fields: Fields) -> NewTrigger:
    """Return the conditional order a body asks for; WireError 10001 names the wrong parameter."""
    symbol = str(fields.get("symbol") or "")
    instrument = desk.instrument(symbol)
    closes = (
        decimal_field(fields.get("qty")) == 0
        and flag_field(fields.get("reduceOnly"))
        and flag_field(fields.get("closeOnTrigger"))
    )
    plain = {**fields, "triggerPrice": ""}
    if closes:
        # How much that is, is known when it is triggered.
        plain["qty"] = str(instrument.quantity_min)
    order = order_entry.new_order(desk, plain)
    trigger_price = decimal_field(fields.get("triggerPrice"))
    direction = _DIRECTIONS.get(str(fields.get("triggerDirection") or ""))
    source = SOURCES.get(str(fields.get("triggerBy") or "LastPrice"))
    if trigger_price is None or trigger_price <= 0:
        raise WireError(Code.PARAMETER, "TriggerPrice invalid")
    if direction is None:
        raise WireError(Code.PARAMETER, "TriggerDirection invalid")
    if source is None:
        raise WireError(Code.PARAMETER, "TriggerBy invalid")
    return NewTrigger(
        instrument_id=symbol,
        side=order.side,
        quantity=None if closes else order.quantity,
        trigger_price=trigger_price,
        source=source,
        direction=direction,
        kind=order.kind,
        price_limit=order.price_limit,
        time_in_force=order.time_in_force,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        position_side=order.position_side,
        form=TriggerForm.PLAIN,
        client_order_id=order.client_order_id,
        self_trade=order.self_trade,
    )


def refusal(desk: Desk, refused: OrderRefused, terms: NewTrigger) -> WireError:
    """Return the exchange's refusal of a conditional order in Bybit's codes and words."""
    if refused.reason is not RefusalReason.TRIGGER_AT_ONCE:
        return order_entry.refusal(desk, refused)
    exchange = desk.venue.exchange
    prices = {
        TriggerSource.MARK: exchange.mark,
        TriggerSource.INDEX: exchange.index,
        TriggerSource.LAST: exchange.last,
    }
    now = text(prices[terms.source](terms.instrument_id))
    name, asked_price = order_rows.TRIGGERS_BY[terms.source], text(terms.trigger_price)
    if terms.direction is TriggerDirection.RISING:
        words = f"expect Rising, but trigger_price[{asked_price}] <= current[{now}]??{name}"
        return WireError(Code.TRIGGER_NOT_RISING, words)
    words = f"expect Falling, but trigger_price[{asked_price}] >= current[{now}]??{name}"
    return WireError(Code.TRIGGER_NOT_FALLING, words)


def trigger_row(order: TriggerOrder) -> Row:
    """Return a conditional order that is no order yet, or never became one, as REST lists it."""
    terms, origin = order.terms, order.origin
    quantity = terms.quantity or Decimal(0)
    price = terms.price_limit or Decimal(0)
    left = quantity if order.live else Decimal(0)
    times = "PostOnly" if terms.post_only else terms.time_in_force.value.upper()
    reason = "EC_PerCancelRequest" if order.cancel_cause is CancelCause.CLIENT else "EC_NoError"
    if order.failure is not None:
        reason = _REJECT_REASONS.get(order.failure, "EC_Others")
    return {
        **order_rows.ORDER_EMPTY,
        **order_rows.origin_row(origin),
        "orderId": order.trigger_order_id,
        "orderLinkId": order.client_order_id or "",
        "symbol": order.instrument_id,
        "price": text(price),
        "qty": text(quantity),
        "side": order_rows.side_name(terms.side),
        "positionIdx": order_rows.POSITION_INDEX[terms.position_side],
        "orderStatus": STATES[order.state],
        "cancelType": _CANCEL_TYPES.get(order.cancel_cause, "CancelByAdmin"),
        "rejectReason": reason,
        "avgPrice": "",
        "leavesQty": text(left),
        "leavesValue": text(left * price),
        "cumExecQty": "0",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "timeInForce": "IOC" if terms.kind is OrderKind.MARKET else times,
        "orderType": "Market" if terms.kind is OrderKind.MARKET else "Limit",
        "reduceOnly": terms.reduce_only or terms.closes_position,
        "closeOnTrigger": terms.closes_position or terms.with_position,
        "lastPriceOnCreated": text(order.last_at_start),
        "placeType": "",
        "smpType": "None" if terms.self_trade is None else order_rows.SELF_TRADES[terms.self_trade],
        "createdTime": milliseconds(order.created_ns),
        "updatedTime": milliseconds(order.updated_ns),
    }


def trigger_push(order: TriggerOrder) -> Row:
    """Return a conditional order as the order topic pushes it."""
    row = trigger_row(order)
    return {**row, "category": "linear", "closedPnl": "0", "feeCurrency": CURRENCY}


def closing_side(position_quantity: Decimal) -> Side:
    """Return the side that closes a position (signed)."""
    return Side.SELL if position_quantity > 0 else Side.BUY
