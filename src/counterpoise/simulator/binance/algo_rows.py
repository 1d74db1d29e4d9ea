"""Trigger orders as Binance's algo orders, by REST and in ALGO_UPDATE."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind
from counterpoise.exchange.modes import SelfTradeMode
from counterpoise.exchange.orders import CancelCause, ExchangeOrder, TriggerForm, TriggerSource
from counterpoise.exchange.triggers import TriggerOrder, TriggerState
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.errors import MESSAGES, Code, Row
from counterpoise.simulator.binance.order_entry import refusal_code
from counterpoise.simulator.binance.order_rows import (
    POSITION_SIDES,
    SELF_TRADES,
    kind_name,
    side_name,
)
from counterpoise.simulator.binance.symbols import text

#: Price -> `workingType`; there is no trigger on the index.
WORKING_TYPES: Final = {
    TriggerSource.MARK: "MARK_PRICE",
    TriggerSource.LAST: "CONTRACT_PRICE",
}
#: What the venue names an algo order that came without a name.
_UNNAMED: Final = "web_algo_"


def status(order: TriggerOrder, child: ExchangeOrder | None) -> str:
    """Return `algoStatus`; a triggered one is FINISHED when its order has ended."""
    match order.state:
        case TriggerState.LIVE:
            return "NEW"
        case TriggerState.TRIGGERED:
            return "TRIGGERED" if child is not None and child.open else "FINISHED"
        case TriggerState.FAILED:
            return "REJECTED"
        case TriggerState.CANCELED:
            gone = order.cancel_cause in (CancelCause.POSITION_GONE, CancelCause.DELISTING)
            return "EXPIRED" if gone else "CANCELED"


def client_algo_id(order: TriggerOrder) -> str:
    """Return the client's id, or what the venue names an order without one."""
    return order.client_order_id or f"{_UNNAMED}{order.trigger_order_id}"


def named_by_venue(name: str | None) -> str | None:
    """Return the algo id in a name the venue gave; None = the client gave it."""
    number = (name or "").removeprefix(_UNNAMED)
    return number if name != number and number.isdecimal() else None


def algo_type(order: TriggerOrder) -> str:
    """Return `orderType`."""
    profit = order.terms.form is TriggerForm.TAKE_PROFIT
    name = "TAKE_PROFIT" if profit else "STOP"
    return f"{name}_MARKET" if order.terms.kind is OrderKind.MARKET else name


def time_name(order: TriggerOrder) -> str:
    """Return `timeInForce`."""
    if order.terms.with_position:
        return "GTE_GTC"
    return "GTX" if order.terms.post_only else order.terms.time_in_force.value.upper()


def answer_row(order: TriggerOrder) -> Row:
    """Return an algo order as the answer to placing it."""
    terms = order.terms
    self_trade = terms.self_trade or SelfTradeMode.CANCEL_MAKER
    return {
        "algoId": int(order.trigger_order_id),
        "clientAlgoId": client_algo_id(order),
        "algoType": "CONDITIONAL",
        "orderType": algo_type(order),
        "symbol": order.instrument_id,
        "side": side_name(terms.side),
        "positionSide": POSITION_SIDES[terms.position_side],
        "timeInForce": time_name(order),
        "quantity": text(terms.quantity or Decimal(0)),
        "algoStatus": "NEW",
        "triggerPrice": text(terms.trigger_price),
        "price": text(terms.price_limit or Decimal(0)),
        "icebergQuantity": None,
        "selfTradePreventionMode": SELF_TRADES[self_trade],
        "workingType": WORKING_TYPES[terms.source],
        "priceMatch": "NONE",
        "closePosition": terms.closes_position,
        "priceProtect": terms.protect_fraction is not None,
        "reduceOnly": terms.reduce_only or terms.closes_position,
        "activatePrice": "",
        "callbackRate": "",
        "createTime": symbols.milliseconds(order.created_ns),
        "updateTime": symbols.milliseconds(order.updated_ns),
        "triggerTime": symbols.milliseconds(order.triggered_ns or 0),
        "goodTillDate": 0,
    }


def query_row(order: TriggerOrder, child: ExchangeOrder | None) -> Row:
    """Return an algo order as queries have it; `child` is the order it placed, None = none."""
    average = None if child is None else child.average_price
    row = answer_row(order) | {
        "algoStatus": status(order, child),
        "actualOrderId": order.order_id or "",
        "actualPrice": symbols.quotient(average or Decimal(0)),
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
    }
    if child is not None:
        row |= {"actualType": kind_name(child), "actualQty": text(child.filled_quantity)}
    return row


def event_row(order: TriggerOrder, child: ExchangeOrder | None, state: str) -> Row:
    """Return the `o` of ALGO_UPDATE; `state` is its `X`."""
    terms = order.terms
    self_trade = terms.self_trade or SelfTradeMode.CANCEL_MAKER
    row: Row = {
        "caid": client_algo_id(order),
        "aid": int(order.trigger_order_id),
        "at": "CONDITIONAL",
        "o": algo_type(order),
        "s": order.instrument_id,
        "S": side_name(terms.side),
        "ps": POSITION_SIDES[terms.position_side],
        "f": time_name(order),
        "q": text(terms.quantity or Decimal(0)),
        "X": state,
        "ai": "" if state == "TRIGGERING" else order.order_id or "",
        "tp": text(terms.trigger_price),
        "p": text(terms.price_limit or Decimal(0)),
        "V": SELF_TRADES[self_trade],
        "wt": WORKING_TYPES[terms.source],
        "pm": "NONE",
        "cp": terms.closes_position,
        "pP": terms.protect_fraction is not None,
        "R": terms.reduce_only or terms.closes_position,
        "tt": symbols.milliseconds(order.triggered_ns or 0),
        "gtd": 0,
    }
    if child is not None and state != "TRIGGERING":
        row |= {
            "ap": symbols.quotient(child.average_price or Decimal(0)),
            "aq": text(child.filled_quantity),
            "act": kind_name(child),
        }
    if order.failure is not None:
        code = refusal_code(order.failure)
        row["rm"] = "Reduce Only reject" if code is Code.REDUCE_ONLY else MESSAGES.get(code, "")
    return row
