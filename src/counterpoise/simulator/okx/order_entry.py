"""Orders as clients write them, and refusals as OKX words them."""

from collections.abc import Mapping
from typing import Final

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import NewOrder, OrderRefused, RefusalReason
from counterpoise.simulator.okx.calls import decimal_field
from counterpoise.simulator.okx.errors import Code, Refusal
from counterpoise.simulator.okx.symbols import BY_SYMBOL

#: OKX's `ordType` -> kind, time in force, post-only.
_KINDS: Final = {
    "limit": (OrderKind.LIMIT, TimeInForce.GTC, False),
    "post_only": (OrderKind.LIMIT, TimeInForce.GTC, True),
    "ioc": (OrderKind.LIMIT, TimeInForce.IOC, False),
    "fok": (OrderKind.LIMIT, TimeInForce.FOK, False),
    "market": (OrderKind.MARKET, TimeInForce.IOC, False),
    "optimal_limit_ioc": (OrderKind.MARKET, TimeInForce.IOC, False),
}

#: Why the exchange refused -> what OKX calls it.
REFUSALS: Final = {
    RefusalReason.ACCOUNT_UNKNOWN: Code.KEY,
    RefusalReason.INSTRUMENT_UNKNOWN: Code.INSTRUMENT,
    RefusalReason.INSTRUMENT_NOT_LIVE: Code.SUSPENDED,
    RefusalReason.ORDER_INVALID: Code.ORDER_PARAMETER,
    RefusalReason.CLIENT_ORDER_ID_INVALID: Code.ORDER_PARAMETER,
    RefusalReason.CLIENT_ORDER_ID_DUPLICATE: Code.DUPLICATE,
    RefusalReason.QUANTITY_OFF_GRID: Code.LOT,
    RefusalReason.QUANTITY_TOO_SMALL: Code.QUANTITY_MIN,
    RefusalReason.QUANTITY_TOO_LARGE: Code.TOO_MANY,
    RefusalReason.PRICE_OFF_GRID: Code.ORDER_PARAMETER,
    RefusalReason.PRICE_OUT_OF_BAND: Code.PRICE_BAND,
    RefusalReason.REDUCE_ONLY_NO_POSITION: Code.NOTHING_TO_REDUCE,
    RefusalReason.REDUCE_ONLY_SAME_SIDE: Code.REDUCE_SAME_SIDE,
    RefusalReason.OPEN_ORDERS_TOO_MANY: Code.ORDERS_TOO_MANY,
    RefusalReason.MARGIN_INSUFFICIENT: Code.MARGIN,
    RefusalReason.ORDER_NOT_FOUND: Code.CANCEL_NOT_FOUND,
    RefusalReason.ALREADY_OVER: Code.CANCEL_NOT_FOUND,
    RefusalReason.LEVERAGE_INVALID: Code.LEVERAGE,
    RefusalReason.POSITION_SIDE_MISMATCH: Code.ORDER_PARAMETER,
    RefusalReason.NOTIONAL_TOO_SMALL: Code.QUANTITY_MIN,
    RefusalReason.POSITION_TOO_LARGE: Code.TOO_MANY,
    RefusalReason.AMEND_UNCHANGED: Code.ORDER_PARAMETER,
    RefusalReason.MODE_UNCHANGED: Code.POSITION_MODE,
    RefusalReason.MODE_LOCKED: Code.POSITION_MODE,
    RefusalReason.TRIGGER_AT_ONCE: Code.ORDER_PARAMETER,
    RefusalReason.TRIGGER_ORDERS_TOO_MANY: Code.ORDERS_TOO_MANY,
    RefusalReason.TRIGGER_PROTECTED: Code.PRICE_BAND,
    RefusalReason.WITHDRAWAL_TOO_LARGE: Code.MARGIN,
}

#: The body of one order, as decoded.
Fields = Mapping[str, object]


def refusal(refused: OrderRefused) -> Refusal:
    """Return the exchange's refusal in OKX's codes and words."""
    code = REFUSALS[refused.reason]
    # OKX's fixed sentence where it has one (clients match on it), the model's figures after it.
    fixed = Refusal(code).message
    return Refusal(code, f"{fixed}. {refused.message}" if fixed else refused.message)


def new_order(fields: Fields) -> NewOrder:
    """Return the order a body asks for, in base units; Refusal names the wrong parameter."""
    contract = BY_SYMBOL.get(str(fields.get("instId", "")))
    if contract is None:
        raise Refusal(Code.INSTRUMENT)
    kind_name = str(fields.get("ordType", ""))
    side = str(fields.get("side", ""))
    contracts = decimal_field(fields.get("sz"))
    price = decimal_field(fields.get("px"))
    client_order_id = str(fields.get("clOrdId") or "")
    for name, right in (
        ("tdMode", fields.get("tdMode") == "cross"),
        ("side", side in ("buy", "sell")),
        ("ordType", kind_name in _KINDS),
        ("posSide", (fields.get("posSide") or "net") in ("net", "long", "short")),
        ("sz", contracts is not None and contracts > 0),
        ("tgtCcy", fields.get("tgtCcy") in (None, "")),
    ):
        if not right:
            raise Refusal(Code.ORDER_PARAMETER, f"Parameter {name} error")
    assert contracts is not None, "checked above"
    kind, time_in_force, post_only = _KINDS[kind_name]
    if kind is OrderKind.LIMIT and price is None:
        raise Refusal(Code.ORDER_PARAMETER, "Parameter px error")
    return NewOrder(
        instrument_id=contract.instrument_id,
        side=Side(side),
        quantity=contract.quantity(contracts),
        kind=kind,
        price_limit=price if kind is OrderKind.LIMIT else None,
        time_in_force=time_in_force,
        post_only=post_only,
        position_side=PositionSide(str(fields.get("posSide") or "net")),
        reduce_only=fields.get("reduceOnly") in (True, "true"),
        client_order_id=client_order_id or None,
        tag=str(fields.get("tag") or ""),
    )
