"""Orders and executions as OKX's rows. Fields OKX has and we never fill are sent empty, as it does.

Signs differ from ours: OKX's `fee` is negative when paid. Sizes are contracts.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side, TimeInForce
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeFill,
    ExchangeOrder,
    OrderCategory,
    TriggerForm,
)
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, CURRENCY, milliseconds, text

#: Our state -> OKX's `state`.
STATES: Final = {
    OrderState.ACCEPTED: "live",
    OrderState.PARTIALLY_FILLED: "partially_filled",
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "canceled",
}

#: `cancelSource` as OKX numbers it; "" where the number is not documented for the cause.
_CANCEL_SOURCES: Final = {
    None: "",
    CancelCause.CLIENT: "1",
    CancelCause.LIQUIDATION: "3",
    CancelCause.IMMEDIATE_REST: "14",
    CancelCause.FOK_NOT_FILLED: "13",
    CancelCause.POST_ONLY_WOULD_TAKE: "31",
    CancelCause.REDUCE_ONLY: "20",
    CancelCause.SELF_TRADE: "23",
    CancelCause.VENUE: "0",
    CancelCause.AMENDED_AWAY: "",
    CancelCause.ADL: "",
    CancelCause.DELISTING: "",
    CancelCause.POSITION_GONE: "",
}

#: `source` of an order that a trigger order made.
_SOURCES: Final = {
    TriggerForm.PLAIN: "6",
    TriggerForm.STOP_LOSS: "7",
    TriggerForm.TAKE_PROFIT: "7",
}

#: `category` of an order.
_CATEGORIES: Final = {
    OrderCategory.NORMAL: "normal",
    OrderCategory.LIQUIDATION: "full_liquidation",
    OrderCategory.PARTIAL_LIQUIDATION: "partial_liquidation",
    OrderCategory.ADL: "adl",
    OrderCategory.DELISTING: "delivery",
}

#: `subType` of an execution in net mode (docs-v5 "Bill types").
_SUB_TYPES: Final = {
    OrderCategory.NORMAL: {Side.BUY: "1", Side.SELL: "2"},
    OrderCategory.PARTIAL_LIQUIDATION: {Side.BUY: "102", Side.SELL: "103"},
    OrderCategory.LIQUIDATION: {Side.BUY: "106", Side.SELL: "107"},
    OrderCategory.ADL: {Side.BUY: "127", Side.SELL: "128"},
    # Delivery closes a long position by selling and a short one by buying.
    OrderCategory.DELISTING: {Side.SELL: "112", Side.BUY: "113"},
}

# Order fields of products and features the simulator does not have.
_ORDER_EMPTY: Final[Row] = {
    "attachAlgoClOrdId": "",
    "attachAlgoOrds": [],
    "cancelSourceReason": "",
    "ccy": "",
    "feeCcy": CURRENCY,
    "instType": "SWAP",
    "isTpLimit": "false",
    "linkedAlgoOrd": {"algoId": ""},
    "posSide": "net",
    "pxType": "",
    "pxUsd": "",
    "pxVol": "",
    "quickMgnType": "",
    "rebate": "0",
    "rebateCcy": CURRENCY,
    "slOrdPx": "",
    "slTriggerPx": "",
    "slTriggerPxType": "",
    "stpId": "",
    "stpMode": "cancel_maker",
    "tdMode": "cross",
    "tgtCcy": "",
    "tpOrdPx": "",
    "tpTriggerPx": "",
    "tpTriggerPxType": "",
    "tradeQuoteCcy": "",
}


def kind_name(order: ExchangeOrder) -> str:
    """Return OKX's `ordType`."""
    if order.kind is OrderKind.MARKET:
        return "market"
    if order.post_only:
        return "post_only"
    return "limit" if order.time_in_force is TimeInForce.GTC else order.time_in_force.value


def order_row(order: ExchangeOrder, fill: ExchangeFill | None) -> Row:
    """Return an order as REST lists it; `fill` is its last execution, None = none yet."""
    contract = BY_INSTRUMENT[order.instrument_id]
    origin = order.trigger
    row: Row = {
        **_ORDER_EMPTY,
        "accFillSz": text(contract.contracts(order.filled_quantity)),
        "algoClOrdId": "" if origin is None else origin.client_order_id or "",
        "algoId": "" if origin is None else origin.trigger_order_id,
        "avgPx": "" if order.average_price is None else text(order.average_price),
        "cTime": milliseconds(order.created_ns),
        "cancelSource": _CANCEL_SOURCES[order.cancel_cause],
        "category": _CATEGORIES[order.category],
        "clOrdId": order.client_order_id or "",
        "fee": text(-order.fee),
        "fillPx": "" if fill is None else text(fill.price),
        "fillSz": "0" if fill is None else text(contract.contracts(fill.quantity)),
        "fillTime": "" if fill is None else milliseconds(fill.event_ns),
        "instId": contract.symbol,
        "lever": text(order.leverage_setting),
        "ordId": order.order_id,
        "posSide": order.position_side.value,
        "ordType": kind_name(order),
        "pnl": text(order.realised_pnl),
        "px": "" if order.price_limit is None else text(order.price_limit),
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.value,
        "source": "" if origin is None else _SOURCES[origin.form],
        "state": STATES[order.state],
        "sz": text(contract.contracts(order.quantity)),
        "tag": order.tag,
        "tradeId": "" if fill is None else str(fill.trade_sequence),
        "uTime": milliseconds(order.updated_ns),
    }
    return row


def order_push(order: ExchangeOrder, fill: ExchangeFill | None, mark: Decimal) -> Row:
    """Return an order as the orders channel pushes it; `fill` is this push's execution."""
    notional = order.quantity * (order.price_limit or mark)
    row = order_row(order, fill)
    row |= {
        "amendResult": "",
        "amendSource": "",
        "code": "0",
        "execType": "" if fill is None else execution_kind(fill),
        "fillFee": "0" if fill is None else text(-fill.fee),
        "fillFeeCcy": "" if fill is None else CURRENCY,
        "fillFwdPx": "",
        "fillMarkPx": "" if fill is None else text(mark),
        "fillMarkVol": "",
        "fillNotionalUsd": "" if fill is None else text(fill.quantity * fill.price),
        "fillPnl": "0" if fill is None else text(fill.realised_pnl),
        "fillPxUsd": "",
        "fillPxVol": "",
        "lastPx": "" if fill is None else text(fill.price),
        "msg": "",
        "notionalUsd": text(notional),
        "reqId": "",
    }
    return row


def execution_kind(fill: ExchangeFill) -> str:
    """Return OKX's `execType`: M = rested, T = took."""
    return "M" if fill.liquidity is Liquidity.MAKER else "T"


def fill_row(fill: ExchangeFill, order: ExchangeOrder | None) -> Row:
    """Return an execution as trade/fills lists it; `order` None = it is no longer known."""
    contract = BY_INSTRUMENT[fill.instrument_id]
    return {
        "billId": fill.bill_id,
        "clOrdId": fill.client_order_id or "",
        "execType": execution_kind(fill),
        "fee": text(-fill.fee),
        "feeCcy": CURRENCY,
        "feeRate": text(-fill.fee / (fill.quantity * fill.price)),
        "fillFwdPx": "",
        "fillIdxPx": "",
        "fillMarkPx": "",
        "fillMarkVol": "",
        "fillPnl": text(fill.realised_pnl),
        "fillPx": text(fill.price),
        "fillPxUsd": "",
        "fillPxVol": "",
        "fillSz": text(contract.contracts(fill.quantity)),
        "fillTime": milliseconds(fill.event_ns),
        "instId": contract.symbol,
        "instType": "SWAP",
        "ordId": fill.order_id,
        "posSide": fill.position_side.value,
        "side": fill.side.value,
        "subType": "" if order is None else _SUB_TYPES[order.category][fill.side],
        "tag": "",
        "tradeId": str(fill.trade_sequence),
        "tradeQuoteCcy": "",
        "ts": milliseconds(fill.event_ns),
    }
