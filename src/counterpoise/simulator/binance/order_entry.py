"""Orders as clients write them, and refusals as Binance words them."""

import re
from typing import Final

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.modes import PositionSide, SelfTradeMode
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.calls import Call, Desk, instrument_of
from counterpoise.simulator.binance.errors import Code, WireError

#: What a client order id may be.
CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
#: Kinds that moved to the algo endpoints in December 2025.
CONDITIONAL: Final = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)

#: Binance's `timeInForce` -> ours and post-only.
_TIMES: Final = {
    "GTC": (TimeInForce.GTC, False),
    "IOC": (TimeInForce.IOC, False),
    "FOK": (TimeInForce.FOK, False),
    "GTX": (TimeInForce.GTC, True),
}
_POSITION_SIDES: Final = {
    "BOTH": PositionSide.NET,
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
}
_SELF_TRADES: Final = {
    "NONE": SelfTradeMode.NONE,
    "EXPIRE_MAKER": SelfTradeMode.CANCEL_MAKER,
    "EXPIRE_TAKER": SelfTradeMode.CANCEL_TAKER,
    "EXPIRE_BOTH": SelfTradeMode.CANCEL_BOTH,
}

#: Why the exchange refused -> what Binance calls it.
_REFUSALS: Final = {
    RefusalReason.ACCOUNT_UNKNOWN: Code.KEY,
    RefusalReason.INSTRUMENT_UNKNOWN: Code.SYMBOL,
    RefusalReason.INSTRUMENT_NOT_LIVE: Code.SYMBOL_STATUS,
    RefusalReason.ORDER_INVALID: Code.PARAMETER,
    RefusalReason.POSITION_SIDE_MISMATCH: Code.POSITION_SIDE,
    RefusalReason.CLIENT_ORDER_ID_INVALID: Code.CLIENT_ID_LENGTH,
    RefusalReason.CLIENT_ORDER_ID_DUPLICATE: Code.CLIENT_ID_DUPLICATE,
    RefusalReason.QUANTITY_OFF_GRID: Code.STEP,
    RefusalReason.QUANTITY_TOO_SMALL: Code.QUANTITY_MIN,
    RefusalReason.QUANTITY_TOO_LARGE: Code.QUANTITY_MAX,
    RefusalReason.PRICE_OFF_GRID: Code.TICK,
    RefusalReason.PRICE_OUT_OF_BAND: Code.PRICE_HIGH,
    RefusalReason.NOTIONAL_TOO_SMALL: Code.NOTIONAL_MIN,
    RefusalReason.REDUCE_ONLY_NO_POSITION: Code.REDUCE_ONLY,
    RefusalReason.REDUCE_ONLY_SAME_SIDE: Code.REDUCE_ONLY,
    RefusalReason.OPEN_ORDERS_TOO_MANY: Code.ORDERS_TOO_MANY,
    RefusalReason.POSITION_TOO_LARGE: Code.LEVERAGE_POSITION,
    RefusalReason.MARGIN_INSUFFICIENT: Code.MARGIN,
    RefusalReason.ORDER_NOT_FOUND: Code.CANCEL_REJECTED,
    RefusalReason.ALREADY_OVER: Code.CANCEL_REJECTED,
    RefusalReason.AMEND_UNCHANGED: Code.UNCHANGED,
    RefusalReason.LEVERAGE_INVALID: Code.LEVERAGE,
    RefusalReason.MODE_UNCHANGED: Code.POSITION_MODE_SAME,
    RefusalReason.MODE_LOCKED: Code.POSITION_SIDE_POSITION,
    RefusalReason.TRIGGER_AT_ONCE: Code.TRIGGER_AT_ONCE,
    RefusalReason.TRIGGER_ORDERS_TOO_MANY: Code.STOPS_TOO_MANY,
    RefusalReason.TRIGGER_PROTECTED: Code.MARKET_BAND,
}


def refusal_code(reason: RefusalReason) -> Code:
    """Return what Binance calls a reason."""
    return _REFUSALS.get(reason, Code.REJECTED)


def refusal(refused: OrderRefused, *, side: Side | None = None) -> WireError:
    """Return the exchange's refusal in Binance's code and words; `side` tells the band's end."""
    code = refusal_code(refused.reason)
    if refused.reason is RefusalReason.PRICE_OUT_OF_BAND and side is Side.SELL:
        code = Code.PRICE_LOW
    return WireError(code)


def side_of(call: Call) -> Side:
    """Return `side`; WireError -1102, -1117."""
    name = call.text("side")
    if name not in ("BUY", "SELL"):
        raise WireError(Code.SIDE)
    return Side(name.lower())


def new_order(desk: Desk, call: Call, *, hedged: bool) -> NewOrder:
    """Return the order a call asks for; WireError names what is wrong with it."""
    instrument_id = instrument_of(desk, call)
    side = side_of(call)
    kind = _kind(call)
    time_in_force, post_only = _time_in_force(call, kind)
    quantity = call.figure("quantity")
    price = call.figure("price") if kind is OrderKind.LIMIT else None
    if quantity is None:
        raise missing("quantity")
    if quantity <= 0:
        raise WireError(Code.QUANTITY_NOT_POSITIVE)
    if kind is OrderKind.LIMIT and price is None:
        raise missing("price")
    if price is not None and price <= 0:
        raise WireError(Code.PRICE_NOT_POSITIVE)
    return NewOrder(
        instrument_id=instrument_id,
        side=side,
        quantity=quantity,
        kind=kind,
        price_limit=price,
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=reduce_only(call, hedged=hedged),
        client_order_id=client_order_id(call, "newClientOrderId"),
        position_side=position_side(call),
        self_trade=self_trade(call),
    )


def _kind(call: Call) -> OrderKind:
    name = call.text("type")
    if name in CONDITIONAL:
        raise WireError(Code.ALGO)
    if name not in ("LIMIT", "MARKET"):
        raise WireError(Code.ORDER_TYPE)
    for unknown in ("priceMatch", "closePosition", "stopPrice"):
        if call.fields.get(unknown, "false").lower() not in ("false", "none"):
            raise not_required(unknown)
    return OrderKind(name.lower())


def _time_in_force(call: Call, kind: OrderKind) -> tuple[TimeInForce, bool]:
    if kind is OrderKind.MARKET:
        if "timeInForce" in call.fields:
            raise not_required("timeInForce")
        return TimeInForce.IOC, False
    name = call.text("timeInForce")
    if name not in _TIMES:
        raise WireError(Code.TIME_IN_FORCE)
    return _TIMES[name]


def reduce_only(call: Call, *, hedged: bool) -> bool:
    """Return `reduceOnly`; WireError -1106: hedge mode has no such flag."""
    if hedged and "reduceOnly" in call.fields:
        raise not_required("reduceonly")
    return bool(call.flag("reduceOnly"))


def client_order_id(call: Call, field: str) -> str | None:
    """Return the client's id in a field; None = none; WireError -4015, -1100."""
    name = call.fields.get(field)
    if name is None:
        return None
    if len(name) > 36:
        raise WireError(Code.CLIENT_ID_LENGTH)
    if not CLIENT_ID.fullmatch(name):
        raise WireError(
            Code.ILLEGAL_CHARACTERS,
            f"Illegal characters found in parameter '{field}'; legal range is"
            " '^[\\.A-Z\\:/a-z0-9_-]{1,36}$'.",
        )
    return name


def position_side(call: Call) -> PositionSide:
    """Return `positionSide`; WireError -4060."""
    name = call.fields.get("positionSide", "BOTH")
    if name not in _POSITION_SIDES:
        raise WireError(Code.POSITION_SIDE_NAME)
    return _POSITION_SIDES[name]


def self_trade(call: Call) -> SelfTradeMode | None:
    """Return `selfTradePreventionMode`; None = not given; WireError -1102."""
    name = call.fields.get("selfTradePreventionMode")
    if name is None:
        return None
    if name not in _SELF_TRADES:
        raise missing("selfTradePreventionMode")
    return _SELF_TRADES[name]


def not_required(name: str) -> WireError:
    """Return the refusal of a parameter that must not be there."""
    return WireError(Code.NOT_REQUIRED, f"Parameter '{name}' sent when not required.")
