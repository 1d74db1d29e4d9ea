"""Orders as clients write them, and refusals as Bybit words them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.modes import PositionMode, PositionSide, SelfTradeMode
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.simulator.bybit.calls import Desk, decimal_field, flag_field
from counterpoise.simulator.bybit.errors import MESSAGES, Code, WireError
from counterpoise.simulator.bybit.symbols import CATEGORY

#: The body of one order, as decoded.
Fields = Mapping[str, object]

#: Bybit's `timeInForce` -> time in force, post-only.
_TIMES: Final = {
    "GTC": (TimeInForce.GTC, False),
    "IOC": (TimeInForce.IOC, False),
    "FOK": (TimeInForce.FOK, False),
    "PostOnly": (TimeInForce.GTC, True),
}
_SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
#: `positionIdx` -> position.
POSITIONS: Final = {"0": PositionSide.NET, "1": PositionSide.LONG, "2": PositionSide.SHORT}
_SELF_TRADES: Final = {
    "None": SelfTradeMode.NONE,
    "CancelMaker": SelfTradeMode.CANCEL_MAKER,
    "CancelTaker": SelfTradeMode.CANCEL_TAKER,
    "CancelBoth": SelfTradeMode.CANCEL_BOTH,
}
#: What would make it an order the simulator does not have.
_UNKNOWN_FIELDS: Final = ("triggerPrice", "takeProfit", "stopLoss", "bboSideType", "orderIv")

#: Why the exchange refused -> what Bybit calls it.
_REFUSALS: Final = {
    RefusalReason.ACCOUNT_UNKNOWN: Code.KEY,
    RefusalReason.INSTRUMENT_UNKNOWN: Code.PARAMETER,
    RefusalReason.INSTRUMENT_NOT_LIVE: Code.NOT_LIVE,
    RefusalReason.ORDER_INVALID: Code.PARAMETER,
    RefusalReason.POSITION_SIDE_MISMATCH: Code.PARAMETER,
    RefusalReason.CLIENT_ORDER_ID_INVALID: Code.PARAMETER,
    RefusalReason.QUANTITY_OFF_GRID: Code.PARAMETER,
    RefusalReason.QUANTITY_TOO_SMALL: Code.PARAMETER,
    RefusalReason.QUANTITY_TOO_LARGE: Code.PARAMETER,
    RefusalReason.PRICE_OFF_GRID: Code.PARAMETER,
    RefusalReason.PRICE_OUT_OF_BAND: Code.PRICE_RANGE,
    RefusalReason.NOTIONAL_TOO_SMALL: Code.NOTIONAL_MIN,
    RefusalReason.CLIENT_ORDER_ID_DUPLICATE: Code.DUPLICATE,
    RefusalReason.REDUCE_ONLY_NO_POSITION: Code.REDUCE_ONLY,
    RefusalReason.REDUCE_ONLY_SAME_SIDE: Code.REDUCE_ONLY,
    RefusalReason.OPEN_ORDERS_TOO_MANY: Code.ORDERS_TOO_MANY,
    RefusalReason.POSITION_TOO_LARGE: Code.LEVERAGE_RISK,
    RefusalReason.MARGIN_INSUFFICIENT: Code.MARGIN_INSUFFICIENT,
    RefusalReason.ORDER_NOT_FOUND: Code.ORDER_NOT_FOUND,
    RefusalReason.ALREADY_OVER: Code.ORDER_OVER,
    RefusalReason.AMEND_UNCHANGED: Code.PARAMETER,
    RefusalReason.LEVERAGE_INVALID: Code.LEVERAGE_RISK,
    RefusalReason.MODE_UNCHANGED: Code.MODE_UNCHANGED,
    RefusalReason.MODE_LOCKED: Code.POSITION_HELD,
    RefusalReason.TRIGGER_AT_ONCE: Code.PARAMETER,
    RefusalReason.TRIGGER_ORDERS_TOO_MANY: Code.CONDITIONALS_TOO_MANY,
    RefusalReason.TRIGGER_PROTECTED: Code.PARAMETER,
    RefusalReason.WITHDRAWAL_TOO_LARGE: Code.WALLET_INSUFFICIENT,
}

#: Bybit's own words where a code has several.
_WORDS: Final = {
    RefusalReason.INSTRUMENT_UNKNOWN: "params error: symbol invalid",
    RefusalReason.POSITION_SIDE_MISMATCH: "position idx not match position mode",
    RefusalReason.CLIENT_ORDER_ID_INVALID: "params error: orderLinkId invalid",
    RefusalReason.QUANTITY_OFF_GRID: "Qty invalid",
    RefusalReason.QUANTITY_TOO_SMALL: "The number of contracts below min limit allowed",
    RefusalReason.QUANTITY_TOO_LARGE: "The number of contracts exceeds maximum limit allowed",
    RefusalReason.PRICE_OFF_GRID: "Price invalid",
    RefusalReason.REDUCE_ONLY_NO_POSITION: (
        "current position is zero, cannot fix reduce-only order qty"
    ),
    RefusalReason.AMEND_UNCHANGED: "order not modified",
}


def refusal(desk: Desk, refused: OrderRefused) -> WireError:
    """Return the exchange's refusal in Bybit's codes and words, the model's figures behind."""
    code = _REFUSALS[refused.reason]
    fixed = _WORDS.get(refused.reason, MESSAGES[code])
    if code is Code.MARGIN_INSUFFICIENT:
        account = desk.venue.exchange.account(desk.account_id)
        if account.wallet_balance <= 0:
            code = Code.WALLET_INSUFFICIENT
            fixed = MESSAGES[code]
    return WireError(code, f"{fixed} ({refused.message})")


def check_category(fields: Fields) -> None:
    """WireError 10001: the body is not about linear instruments."""
    if fields.get("category", CATEGORY) != CATEGORY:
        raise WireError(Code.PARAMETER, "params error: category invalid")


def new_order(desk: Desk, fields: Fields) -> NewOrder:
    """Return the order a body asks for; WireError 10001 names the wrong parameter."""
    check_category(fields)
    symbol = str(fields.get("symbol") or "")
    instrument = desk.instrument(symbol)
    side = _SIDES.get(str(fields.get("side")))
    kind = {"Market": OrderKind.MARKET, "Limit": OrderKind.LIMIT}.get(str(fields.get("orderType")))
    times = _TIMES.get(str(fields.get("timeInForce") or "GTC"))
    position = POSITIONS.get(str(fields.get("positionIdx") or 0))
    self_trade = str(fields.get("smpType") or "None")
    quantity = decimal_field(fields.get("qty"))
    price = decimal_field(fields.get("price"))
    if side is None:
        raise WireError(Code.PARAMETER, "Side invalid")
    if kind is None:
        raise WireError(Code.PARAMETER, "OrderType invalid")
    if times is None or (kind is OrderKind.MARKET and times[1]):
        raise WireError(Code.PARAMETER, "TimeInForce invalid")
    if position is None:
        raise WireError(Code.PARAMETER, "PositionIdx invalid")
    if self_trade not in _SELF_TRADES:
        raise WireError(Code.PARAMETER, "SmpType invalid")
    if any(fields.get(name) not in (None, "", "0", 0) for name in _UNKNOWN_FIELDS):
        raise WireError(Code.PARAMETER, "not simulated with an order: take profit, stop loss")
    if kind is OrderKind.LIMIT and (price is None or price <= 0):
        raise WireError(Code.PARAMETER, "Price invalid")
    if quantity == 0 and _closes_all(fields):
        # "0" with both flags means all that one market order may close.
        quantity = held(desk, symbol, position)
        most = instrument.market_quantity_max
        quantity = quantity if most is None else min(quantity, most)
    if quantity is None or quantity <= 0:
        raise WireError(Code.PARAMETER, "Qty invalid")
    return NewOrder(
        instrument_id=symbol,
        side=side,
        quantity=quantity,
        kind=kind,
        price_limit=price if kind is OrderKind.LIMIT else None,
        time_in_force=TimeInForce.IOC if kind is OrderKind.MARKET else times[0],
        post_only=times[1],
        reduce_only=flag_field(fields.get("reduceOnly")),
        client_order_id=str(fields.get("orderLinkId") or "") or None,
        position_side=position,
        self_trade=_SELF_TRADES[self_trade],
    )


def _closes_all(fields: Fields) -> bool:
    return flag_field(fields.get("reduceOnly")) and flag_field(fields.get("closeOnTrigger"))


def held(desk: Desk, instrument_id: str, side: PositionSide) -> Decimal:
    """Return the unsigned base units a position has; 0 = none."""
    for position in desk.venue.exchange.account(desk.account_id).positions.values():
        if position.instrument_id == instrument_id and position.position_side is side:
            return abs(position.quantity)
    return Decimal(0)


def position_sides(mode: PositionMode) -> tuple[PositionSide, ...]:
    """Return the positions an instrument has in a mode."""
    if mode is PositionMode.HEDGE:
        return (PositionSide.LONG, PositionSide.SHORT)
    return (PositionSide.NET,)
