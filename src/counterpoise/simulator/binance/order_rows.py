"""Orders and executions as Binance's rows.

Since 2026-07-15 the answers of placing, amending and canceling have neither `avgPrice` nor
`cumQuote`; queries keep both.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side
from counterpoise.exchange.modes import PositionSide, SelfTradeMode
from counterpoise.exchange.orders import CancelCause, ExchangeFill, ExchangeOrder, OrderCategory
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.symbols import CURRENCY, text

#: Our state -> Binance's `status`; a canceled order's cause decides.
_STATES: Final = {
    OrderState.ACCEPTED: "NEW",
    OrderState.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderState.FILLED: "FILLED",
}
_CANCELED: Final = frozenset({CancelCause.CLIENT, CancelCause.LIQUIDATION, CancelCause.VENUE})
#: Refused with -5021 and -5022 "and not recorded in the order history".
_UNRECORDED: Final = frozenset({CancelCause.POST_ONLY_WOULD_TAKE, CancelCause.FOK_NOT_FILLED})

POSITION_SIDES: Final = {
    PositionSide.NET: "BOTH",
    PositionSide.LONG: "LONG",
    PositionSide.SHORT: "SHORT",
}
SELF_TRADES: Final = {
    SelfTradeMode.NONE: "NONE",
    SelfTradeMode.CANCEL_MAKER: "EXPIRE_MAKER",
    SelfTradeMode.CANCEL_TAKER: "EXPIRE_TAKER",
    SelfTradeMode.CANCEL_BOTH: "EXPIRE_BOTH",
}
#: What the venue names orders of its own.
_VENUE_NAMES: Final = {
    OrderCategory.LIQUIDATION: "autoclose-",
    OrderCategory.PARTIAL_LIQUIDATION: "autoclose-",
    OrderCategory.ADL: "adl_autoclose-",
    OrderCategory.DELISTING: "settlement_autoclose-",
}
#: What it names a client's order that came without a name.
_UNNAMED: Final = "web_"
#: Above the counters of trades: ids of executions that are no trade of the book.
_SEIZED_ID_START: Final = 1_000_000_000_000

# Fields of kinds and features the simulator does not have.
_EMPTY: Final[Row] = {
    "closePosition": False,
    "goodTillDate": 0,
    "priceMatch": "NONE",
    "priceProtect": False,
    "stopPrice": "0",
    "workingType": "CONTRACT_PRICE",
}


def status(order: ExchangeOrder) -> str:
    """Return Binance's `status`."""
    if order.state is not OrderState.CANCELED:
        return _STATES[order.state]
    if order.cancel_cause is CancelCause.SELF_TRADE:
        return "EXPIRED_IN_MATCH"
    return "CANCELED" if order.cancel_cause in _CANCELED else "EXPIRED"


def recorded(order: ExchangeOrder) -> bool:
    """Tell whether clients are ever told of an order after its answer."""
    return order.cancel_cause not in _UNRECORDED


def client_order_id(order: ExchangeOrder) -> str:
    """Return the client's id, or what the venue names an order without one."""
    prefix = _VENUE_NAMES.get(order.category)
    if prefix is not None:
        return f"{prefix}{order.order_id}"
    return order.client_order_id or f"{_UNNAMED}{order.order_id}"


def named_by_venue(name: str | None) -> str | None:
    """Return the order id in a name the venue gave; None = the client gave it."""
    number = (name or "").removeprefix(_UNNAMED)
    return number if name != number and number.isdecimal() else None


def kind_name(order: ExchangeOrder) -> str:
    """Return Binance's `type`; the venue's own closes are written as limit orders."""
    seized = order.category in _VENUE_NAMES
    return "MARKET" if order.kind is OrderKind.MARKET and not seized else "LIMIT"


def time_name(order: ExchangeOrder) -> str:
    """Return Binance's `timeInForce`."""
    if order.category in _VENUE_NAMES:
        return "IOC"
    if order.kind is OrderKind.MARKET:
        return "GTC"
    if order.post_only:
        return "GTX"
    return order.time_in_force.value.upper()


def side_name(side: Side) -> str:
    """Return "BUY" or "SELL"."""
    return side.value.upper()


def _common(order: ExchangeOrder) -> Row:
    return {
        **_EMPTY,
        "clientOrderId": client_order_id(order),
        "executedQty": text(order.filled_quantity),
        "orderId": int(order.order_id),
        "origQty": text(order.quantity),
        "origType": kind_name(order),
        "positionSide": POSITION_SIDES[order.position_side],
        "price": text(order.price_limit or Decimal(0)),
        "reduceOnly": order.reduce_only,
        "selfTradePreventionMode": SELF_TRADES[order.self_trade],
        "side": side_name(order.side),
        "status": status(order),
        "symbol": order.instrument_id,
        "timeInForce": time_name(order),
        "type": kind_name(order),
        "updateTime": symbols.milliseconds(order.updated_ns),
    }


def answer_row(order: ExchangeOrder) -> Row:
    """Return an order as the answers of placing, amending and canceling have it."""
    return {**_common(order), "cumQty": text(order.filled_quantity)}


def acknowledgement(order: ExchangeOrder) -> Row:
    """Return the answer with `newOrderRespType` ACK: what was known before it was matched."""
    return {
        **answer_row(order),
        "cumQty": "0",
        "executedQty": "0",
        "status": "NEW",
        "updateTime": symbols.milliseconds(order.created_ns),
    }


def query_row(order: ExchangeOrder) -> Row:
    """Return an order as queries have it."""
    average = order.average_price or Decimal(0)
    return {
        **_common(order),
        "avgPrice": symbols.quotient(average),
        "cumQuote": symbols.quotient(order.filled_quantity * average),
        "pair": order.instrument_id,
        "time": symbols.milliseconds(order.created_ns),
    }


def trade_id(fill: ExchangeFill) -> int:
    """Return an execution's id; liquidation and ADL have ids above all trades."""
    if fill.trade_sequence > 0:
        return fill.trade_sequence
    return _SEIZED_ID_START - fill.trade_sequence


def fill_row(fill: ExchangeFill) -> Row:
    """Return an execution as userTrades lists it."""
    return {
        "baseQty": text(fill.quantity),
        "buyer": fill.side is Side.BUY,
        "commission": text(fill.fee),
        "commissionAsset": CURRENCY,
        "id": trade_id(fill),
        "maker": fill.liquidity is Liquidity.MAKER,
        "marginAsset": CURRENCY,
        "orderId": int(fill.order_id),
        "pair": fill.instrument_id,
        "positionSide": POSITION_SIDES[fill.position_side],
        "price": text(fill.price),
        "qty": text(fill.quantity),
        "quoteQty": text(fill.quantity * fill.price),
        "realizedPnl": text(fill.realised_pnl),
        "side": side_name(fill.side),
        "symbol": fill.instrument_id,
        "time": symbols.milliseconds(fill.event_ns),
    }


#: `x` of an order event without execution.
_ENDED: Final = {"CANCELED": "CANCELED", "EXPIRED": "EXPIRED", "EXPIRED_IN_MATCH": "EXPIRED"}


def event_row(order: ExchangeOrder, fill: ExchangeFill | None, execution: str) -> Row:
    """Return the `o` of ORDER_TRADE_UPDATE; `execution` is its `x`."""
    state = status(order)
    return {
        "s": order.instrument_id,
        "c": client_order_id(order),
        "S": side_name(order.side),
        "o": kind_name(order),
        "f": time_name(order),
        "q": text(order.quantity),
        "p": text(order.price_limit or Decimal(0)),
        "ap": symbols.quotient(order.average_price or Decimal(0)),
        "sp": "0",
        "x": execution,
        "X": state,
        "i": int(order.order_id),
        "l": text(fill.quantity) if fill else "0",
        "z": text(order.filled_quantity),
        "L": text(fill.price) if fill else "0",
        "N": CURRENCY,
        "n": text(fill.fee) if fill else "0",
        "T": symbols.milliseconds(fill.event_ns if fill else order.updated_ns),
        "t": trade_id(fill) if fill else 0,
        "b": "0",
        "a": "0",
        "m": fill is not None and fill.liquidity is Liquidity.MAKER,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": kind_name(order),
        "ps": POSITION_SIDES[order.position_side],
        "cp": False,
        "rp": text(fill.realised_pnl) if fill else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": SELF_TRADES[order.self_trade],
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
    }


def execution_name(order: ExchangeOrder, fill: ExchangeFill | None, *, first: bool) -> str:
    """Return the `x` of an order's event."""
    if fill is not None:
        return "TRADE"
    if first:
        return "NEW"
    return _ENDED.get(status(order), "AMENDMENT")
