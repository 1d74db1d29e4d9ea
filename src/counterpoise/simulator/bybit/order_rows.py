"""Orders and executions as Bybit's rows. Fields of things we do not have carry its empty values."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side, TimeInForce
from counterpoise.exchange.modes import PositionSide, SelfTradeMode
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeFill,
    ExchangeOrder,
    OrderCategory,
    TriggerDirection,
    TriggerForm,
    TriggerOrigin,
    TriggerSource,
)
from counterpoise.simulator.bybit.errors import Row
from counterpoise.simulator.bybit.symbols import CURRENCY, execution_id, milliseconds, text

#: Our state -> Bybit's `orderStatus`; on derivatives Cancelled may carry fills.
STATES: Final = {
    OrderState.ACCEPTED: "New",
    OrderState.PARTIALLY_FILLED: "PartiallyFilled",
    OrderState.FILLED: "Filled",
    OrderState.CANCELED: "Cancelled",
}

#: Position -> `positionIdx`.
POSITION_INDEX: Final = {PositionSide.NET: 0, PositionSide.LONG: 1, PositionSide.SHORT: 2}

#: Self-trade mode -> `smpType`.
SELF_TRADES: Final = {
    SelfTradeMode.NONE: "None",
    SelfTradeMode.CANCEL_MAKER: "CancelMaker",
    SelfTradeMode.CANCEL_TAKER: "CancelTaker",
    SelfTradeMode.CANCEL_BOTH: "CancelBoth",
}

#: Why it was canceled -> `cancelType`, `rejectReason`.
_CAUSES: Final = {
    None: ("UNKNOWN", "EC_NoError"),
    CancelCause.CLIENT: ("CancelByUser", "EC_PerCancelRequest"),
    CancelCause.IMMEDIATE_REST: ("UNKNOWN", "EC_NoImmediateQtyToFill"),
    CancelCause.FOK_NOT_FILLED: ("UNKNOWN", "EC_CancelForNoFullFill"),
    CancelCause.POST_ONLY_WOULD_TAKE: ("UNKNOWN", "EC_PostOnlyWillTakeLiquidity"),
    CancelCause.REDUCE_ONLY: ("CancelByReduceOnly", "EC_NoError"),
    CancelCause.SELF_TRADE: ("CancelBySmp", "EC_NoError"),
    CancelCause.LIQUIDATION: ("CancelAllBeforeLiq", "EC_NoError"),
    CancelCause.VENUE: ("CancelByAdmin", "EC_NoError"),
    CancelCause.AMENDED_AWAY: ("CancelByUser", "EC_NoError"),
    CancelCause.ADL: ("CancelAllBeforeAdl", "EC_NoError"),
    CancelCause.DELISTING: ("CancelByDelivery", "EC_NoError"),
    CancelCause.POSITION_GONE: ("CancelByTpSlTsClear", "EC_NoError"),
}

#: Price -> `triggerBy`.
TRIGGERS_BY: Final = {
    TriggerSource.MARK: "MarkPrice",
    TriggerSource.INDEX: "IndexPrice",
    TriggerSource.LAST: "LastPrice",
}
#: Direction -> `triggerDirection`.
TRIGGER_DIRECTIONS: Final = {TriggerDirection.RISING: 1, TriggerDirection.FALLING: 2}
#: What its owner calls it -> `stopOrderType`, `createType`.
_FORMS: Final = {
    TriggerForm.PLAIN: ("Stop", "CreateByStopOrder"),
    TriggerForm.STOP_LOSS: ("StopLoss", "CreateByStopLoss"),
    TriggerForm.TAKE_PROFIT: ("TakeProfit", "CreateByTakeProfit"),
}

#: Who made it -> `createType` of orders, `execType` of its executions.
_CATEGORIES: Final = {
    OrderCategory.NORMAL: ("CreateByUser", "Trade"),
    OrderCategory.LIQUIDATION: ("CreateByLiq", "BustTrade"),
    OrderCategory.PARTIAL_LIQUIDATION: ("CreateByLiq", "BustTrade"),
    OrderCategory.ADL: ("CreateByAdl_PassThrough", "AdlTrade"),
    OrderCategory.DELISTING: ("CreateBySettle", "Settle"),
}

_TIMES: Final = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}

#: Order fields of products and features the simulator does not have.
ORDER_EMPTY: Final[Row] = {
    "blockTradeId": "",
    "closeOnTrigger": False,
    "cumFeeDetail": {},
    "extraFees": "",
    "isLeverage": "",
    "lastPriceOnCreated": "",
    "marketUnit": "",
    "ocoTriggerBy": "",
    "orderIv": "",
    "placeType": "",
    "rpiMatchedQty": "0",
    "rpiTakerAccess": False,
    "slLimitPrice": "",
    "slTriggerBy": "",
    "slippageTolerance": "",
    "slippageToleranceType": "UNKNOWN",
    "smpGroup": 0,
    "smpOrderId": "",
    "stopLoss": "",
    "stopOrderType": "",
    "takeProfit": "",
    "tpLimitPrice": "",
    "tpTriggerBy": "",
    "tpslMode": "",
    "triggerBy": "",
    "triggerDirection": 0,
    "triggerPrice": "",
}


def side_name(side: Side) -> str:
    """Return "Buy" or "Sell"."""
    return "Buy" if side is Side.BUY else "Sell"


def kind_name(order: ExchangeOrder) -> str:
    """Return Bybit's `orderType`."""
    return "Market" if order.kind is OrderKind.MARKET else "Limit"


def origin_row(origin: TriggerOrigin | None) -> Row:
    """Return what a row tells of the condition behind an order; None = there is none."""
    if origin is None:
        return {}
    stop_type, create_type = _FORMS[origin.form]
    return {
        "stopOrderType": stop_type,
        "createType": create_type,
        "triggerPrice": text(origin.trigger_price),
        "triggerBy": TRIGGERS_BY[origin.source],
        "triggerDirection": TRIGGER_DIRECTIONS[origin.direction],
        "tpslMode": "" if origin.form is TriggerForm.PLAIN else "Full",
    }


def order_row(order: ExchangeOrder) -> Row:
    """Return an order as REST lists it."""
    cancel_type, reject_reason = _CAUSES[order.cancel_cause]
    price = order.price_limit or Decimal(0)
    left = order.remaining if order.open else Decimal(0)
    cost = order.filled_quantity * (order.average_price or Decimal(0))
    return {
        **ORDER_EMPTY,
        "orderId": order.order_id,
        "orderLinkId": order.client_order_id or "",
        "symbol": order.instrument_id,
        "price": text(price),
        "qty": text(order.quantity),
        "side": side_name(order.side),
        "positionIdx": POSITION_INDEX[order.position_side],
        "orderStatus": STATES[order.state],
        "createType": _CATEGORIES[order.category][0],
        "cancelType": cancel_type,
        "rejectReason": reject_reason,
        "avgPrice": "" if order.average_price is None else text(order.average_price),
        "leavesQty": text(left),
        "leavesValue": text(left * price),
        "cumExecQty": text(order.filled_quantity),
        "cumExecValue": text(cost),
        "cumExecFee": text(order.fee),
        "timeInForce": "PostOnly" if order.post_only else _TIMES[order.time_in_force],
        "orderType": kind_name(order),
        "reduceOnly": order.reduce_only,
        "smpType": SELF_TRADES[order.self_trade],
        "createdTime": milliseconds(order.created_ns),
        "updatedTime": milliseconds(order.updated_ns),
        **origin_row(order.trigger),
    }


def order_push(order: ExchangeOrder) -> Row:
    """Return an order as the order topic pushes it."""
    return {
        **order_row(order),
        "category": "linear",
        "closedPnl": text(order.realised_pnl),
        "feeCurrency": CURRENCY,
    }


def execution_row(fill: ExchangeFill, order: ExchangeOrder | None, mark: Decimal | None) -> Row:
    """Return an execution as execution/list and the execution topic have it.

    `order` is the order it belongs to and `mark` the mark then; None = no longer known.
    """
    value = fill.quantity * fill.price
    # A row of an order that is forgotten tells what the execution alone knows.
    category = OrderCategory.NORMAL if order is None else order.category
    if order is None and fill.trade_sequence < 0:
        category = OrderCategory.LIQUIDATION
    create_type, kind = _CATEGORIES[category]
    price = None if order is None else order.price_limit
    closes = bool(fill.realised_pnl)
    origin = None if order is None else order.trigger
    stop_type = "UNKNOWN"
    if origin is not None:
        stop_type, create_type = _FORMS[origin.form]
    return {
        "symbol": fill.instrument_id,
        "orderId": fill.order_id,
        "orderLinkId": fill.client_order_id or "",
        "side": side_name(fill.side),
        "orderPrice": "0" if price is None else text(price),
        "orderQty": text(fill.quantity if order is None else order.quantity),
        "leavesQty": "0" if order is None else text(order.remaining),
        "createType": create_type,
        "orderType": "UNKNOWN" if order is None else kind_name(order),
        "stopOrderType": stop_type,
        "execFee": text(fill.fee),
        "execFeeV2": "",
        "execId": execution_id(fill),
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "execType": kind,
        "execValue": text(value),
        "execTime": milliseconds(fill.event_ns),
        "feeCurrency": CURRENCY,
        "isMaker": fill.liquidity is Liquidity.MAKER,
        "feeRate": text(fill.fee / value),
        "tradeIv": "",
        "markIv": "",
        "markPrice": "" if mark is None else text(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": text(fill.quantity) if closes else "0",
        "execPnl": text(fill.realised_pnl),
        "extraFees": "",
        "seq": abs(fill.trade_sequence),
    }


def execution_push(fill: ExchangeFill, order: ExchangeOrder | None, mark: Decimal) -> Row:
    """Return an execution as the execution topic pushes it."""
    return {
        **execution_row(fill, order, mark),
        "category": "linear",
        "isLeverage": "0",
        "marketUnit": "",
    }


def fast_row(fill: ExchangeFill) -> Row:
    """Return an execution as execution.fast pushes it."""
    return {
        "category": "linear",
        "symbol": fill.instrument_id,
        "execId": execution_id(fill),
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "orderId": fill.order_id,
        "isMaker": fill.liquidity is Liquidity.MAKER,
        "orderLinkId": fill.client_order_id or "",
        "side": side_name(fill.side),
        "execTime": milliseconds(fill.event_ns),
        "seq": abs(fill.trade_sequence),
    }
