"""Trigger orders as OKX's algo orders. Fields we never fill are sent empty, as it does."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind
from counterpoise.exchange.orders import ExchangeOrder, RefusalReason, TriggerForm
from counterpoise.exchange.triggers import TriggerOrder, TriggerState
from counterpoise.simulator.okx.errors import Code, Row
from counterpoise.simulator.okx.order_entry import REFUSALS
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, milliseconds, text

#: Our state -> OKX's `state`.
STATES: Final = {
    TriggerState.LIVE: "live",
    TriggerState.TRIGGERED: "effective",
    TriggerState.CANCELED: "canceled",
    TriggerState.FAILED: "order_failed",
}
#: OKX's `ordType` of each form.
KINDS: Final = {
    TriggerForm.STOP_LOSS: "conditional",
    TriggerForm.TAKE_PROFIT: "conditional",
    TriggerForm.PLAIN: "trigger",
}

_EMPTY: Final[Row] = {
    "activePx": "",
    "amendPxOnTriggerType": "0",
    "attachAlgoOrds": [],
    "callbackRatio": "",
    "callbackSpread": "",
    "ccy": "",
    "instType": "SWAP",
    "isTradeBorrowMode": "",
    "linkedOrd": {"ordId": ""},
    "moveTriggerPx": "",
    "ordPx": "",
    "pxLimit": "",
    "pxSpread": "",
    "pxVar": "",
    "quickMgnType": "",
    "slOrdPx": "",
    "slTriggerPx": "",
    "slTriggerPxType": "",
    "szLimit": "",
    "tdMode": "cross",
    "tgtCcy": "",
    "timeInterval": "",
    "tpOrdPx": "",
    "tpTriggerPx": "",
    "tpTriggerPxType": "",
    "tradeQuoteCcy": "",
    "triggerPx": "",
    "triggerPxType": "",
}

#: Where a form's trigger price, its type and the order's price stand.
_FIELDS: Final = {
    TriggerForm.STOP_LOSS: ("slTriggerPx", "slTriggerPxType", "slOrdPx"),
    TriggerForm.TAKE_PROFIT: ("tpTriggerPx", "tpTriggerPxType", "tpOrdPx"),
    TriggerForm.PLAIN: ("triggerPx", "triggerPxType", "ordPx"),
}


def algo_row(
    order: TriggerOrder, child: ExchangeOrder | None, *, leverage: Decimal, last: Decimal
) -> Row:
    """Return an algo order as REST lists it; `child` is the order it placed, None = none known."""
    terms = order.terms
    contract = BY_INSTRUMENT[order.instrument_id]
    market = terms.kind is OrderKind.MARKET or terms.price_limit is None
    trigger_name, source_name, price_name = _FIELDS[terms.form]
    average = None if child is None else child.average_price
    filled = Decimal(0) if child is None else child.filled_quantity
    size = "" if terms.quantity is None else text(contract.contracts(terms.quantity))
    actual = ""
    if order.state is TriggerState.TRIGGERED:
        actual = {TriggerForm.STOP_LOSS: "sl", TriggerForm.TAKE_PROFIT: "tp"}.get(terms.form, "")
    return {
        **_EMPTY,
        trigger_name: text(terms.trigger_price),
        source_name: terms.source.value,
        price_name: "-1" if market or terms.price_limit is None else text(terms.price_limit),
        "actualPx": "" if average is None else text(average),
        "actualSide": actual,
        "actualSz": text(contract.contracts(filled)),
        "algoClOrdId": order.client_order_id or "",
        "algoId": order.trigger_order_id,
        "cTime": milliseconds(order.created_ns),
        "clOrdId": "",
        "closeFraction": "1" if terms.closes_position else "",
        "cxlOnClosePos": "true" if terms.with_position else "false",
        "failCode": _fail_code(order.failure),
        "instId": contract.symbol,
        "last": text(last),
        "lever": text(leverage),
        "ordId": order.order_id or "",
        "ordIdList": [] if order.order_id is None else [order.order_id],
        "ordType": KINDS[terms.form],
        "posSide": terms.position_side.value,
        "reduceOnly": "true" if terms.reduce_only else "false",
        "side": terms.side.value,
        "state": STATES[order.state],
        "sz": size,
        "tag": terms.tag,
        "triggerTime": "" if order.triggered_ns is None else milliseconds(order.triggered_ns),
        "uTime": milliseconds(order.updated_ns),
    }


def algo_push(row: Row, order: TriggerOrder, *, mark: Decimal) -> Row:
    """Return an algo order as the orders-algo channel pushes it."""
    terms = order.terms
    notional = (terms.quantity or Decimal(0)) * (terms.price_limit or mark)
    return row | {"amendResult": "", "notionalUsd": text(notional), "reqId": ""}


def _fail_code(failure: RefusalReason | None) -> str:
    return "" if failure is None else REFUSALS.get(failure, Code.ORDER_PARAMETER).value
