"""Algo orders over REST: conditional orders live here since December 2025 ("Trade")."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.orders import (
    ExchangeOrder,
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerForm,
)
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder
from counterpoise.simulator import commands
from counterpoise.simulator.binance import algo_rows, order_entry, trade
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    Security,
    clip,
    instrument_of,
    instruments_of,
)
from counterpoise.simulator.binance.errors import Code, Row, WireError
from counterpoise.simulator.binance.market import WeightRule

#: How far mark and last may be apart under `priceProtect`: exchangeInfo's `triggerProtect`.
PROTECT_FRACTION: Final = Decimal("0.05")
#: How far back allAlgoOrders looks without a start, and its longest span.
SPAN_NS: Final = 7 * units.NS_PER_DAY
_DONE: Final[Row] = {"code": 200, "msg": "The operation of cancel all open order is done."}

#: `type` -> form, kind.
_TYPES: Final = {
    "STOP": (TriggerForm.STOP_LOSS, OrderKind.LIMIT),
    "STOP_MARKET": (TriggerForm.STOP_LOSS, OrderKind.MARKET),
    "TAKE_PROFIT": (TriggerForm.TAKE_PROFIT, OrderKind.LIMIT),
    "TAKE_PROFIT_MARKET": (TriggerForm.TAKE_PROFIT, OrderKind.MARKET),
}
_SOURCES: Final = {name: source for source, name in algo_rows.WORKING_TYPES.items()}
#: `timeInForce` -> ours, post-only, ends with the position.
_TIMES: Final = {
    "GTC": (TimeInForce.GTC, False, False),
    "IOC": (TimeInForce.IOC, False, False),
    "FOK": (TimeInForce.FOK, False, False),
    "GTX": (TimeInForce.GTC, True, False),
    "GTE_GTC": (TimeInForce.GTC, False, True),
}


def child_of(desk: Desk, order: TriggerOrder) -> ExchangeOrder | None:
    """Return the order an algo order placed; None = none, or forgotten."""
    if order.order_id is None:
        return None
    return desk.venue.exchange.order(desk.account_id, order_id=order.order_id)


def _row(desk: Desk, order: TriggerOrder) -> Row:
    return algo_rows.query_row(order, child_of(desk, order))


def _new_trigger(desk: Desk, call: Call) -> NewTrigger:
    if call.text("algoType") != "CONDITIONAL":
        raise missing("algoType")
    instrument_id, side = instrument_of(desk, call), order_entry.side_of(call)
    name = call.text("type")
    if name not in _TYPES:
        raise WireError(Code.ORDER_TYPE)
    form, kind = _TYPES[name]
    if call.fields.get("priceMatch", "NONE") != "NONE":
        raise order_entry.not_required("priceMatch")
    time_in_force, post_only, with_position = _time_in_force(call, kind)
    trigger_price = call.figure("triggerPrice")
    if trigger_price is None:
        raise missing("triggerPrice")
    if trigger_price <= 0:
        raise WireError(Code.STOP_NOT_POSITIVE)
    working_type = call.fields.get("workingType", "CONTRACT_PRICE")
    if working_type not in _SOURCES:
        raise WireError(Code.WORKING_TYPE)
    quantity = _quantity(call, kind)
    rising = (side is Side.BUY) == (form is TriggerForm.STOP_LOSS)
    return NewTrigger(
        instrument_id=instrument_id,
        side=side,
        quantity=quantity,
        trigger_price=trigger_price,
        source=_SOURCES[working_type],
        direction=TriggerDirection.RISING if rising else TriggerDirection.FALLING,
        kind=kind,
        price_limit=_price(call, kind),
        time_in_force=time_in_force,
        post_only=post_only,
        reduce_only=_reduces(desk, call, instrument_id),
        position_side=order_entry.position_side(call),
        with_position=with_position,
        protect_fraction=PROTECT_FRACTION if call.flag("priceProtect") else None,
        form=form,
        client_order_id=order_entry.client_order_id(call, "clientAlgoId"),
        self_trade=order_entry.self_trade(call),
    )


def _time_in_force(call: Call, kind: OrderKind) -> tuple[TimeInForce, bool, bool]:
    name = call.fields.get("timeInForce", "GTC")
    if name not in _TIMES or (kind is OrderKind.MARKET and name in ("FOK", "GTX")):
        raise WireError(Code.TIME_IN_FORCE)
    return _TIMES[name]


def _quantity(call: Call, kind: OrderKind) -> Decimal | None:
    quantity, closes = call.figure("quantity"), call.flag("closePosition")
    if closes:
        if kind is OrderKind.LIMIT:
            raise WireError(Code.TARGET)
        if quantity:
            raise WireError(Code.CLOSE_QUANTITY)
        if call.flag("reduceOnly") is not None:
            raise order_entry.not_required("reduceonly")
        return None
    if quantity is None:
        raise missing("quantity")
    if quantity <= 0:
        raise WireError(Code.QUANTITY_NOT_POSITIVE)
    return quantity


def _price(call: Call, kind: OrderKind) -> Decimal | None:
    if kind is OrderKind.MARKET:
        return None
    price = call.figure("price")
    if price is None:
        raise missing("price")
    if price <= 0:
        raise WireError(Code.PRICE_NOT_POSITIVE)
    return price


def _reduces(desk: Desk, call: Call, instrument_id: str) -> bool:
    return order_entry.reduce_only(call, hedged=trade.hedged(desk, instrument_id))


def _place(desk: Desk, call: Call) -> object:
    asked = _new_trigger(desk, call)
    placed = desk.venue.place_trigger(desk.account_id, asked)
    if isinstance(placed, OrderRefused):
        raise _refusal(placed, asked)
    order = desk.venue.exchange.trigger_order(desk.account_id, order_id=placed.order_id)
    assert order is not None, "an algo order just placed is known"
    return algo_rows.answer_row(order)


def _refusal(refused: OrderRefused, asked: NewTrigger) -> WireError:
    if refused.reason is RefusalReason.REDUCE_ONLY_NO_POSITION and asked.with_position:
        return WireError(Code.NEEDS_POSITION)
    return order_entry.refusal(refused, side=asked.side)


def _find(desk: Desk, call: Call) -> TriggerOrder | None:
    algo_id, name = call.whole("algoId"), call.fields.get("clientAlgoId")
    if algo_id is None and name is None:
        raise WireError(
            Code.MANDATORY,
            "Either 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!",
        )
    order = desk.venue.exchange.trigger_order(
        desk.account_id,
        order_id=algo_rows.named_by_venue(name) if algo_id is None else str(algo_id),
        client_order_id=name if algo_id is None else None,
    )
    if order is None or order.instrument_id not in instruments_of(desk, call):
        return None
    return order


def _cancel(desk: Desk, call: Call) -> object:
    order = _find(desk, call)
    if order is None or not order.live:
        raise WireError(Code.CANCEL_REJECTED)
    desk.venue.do(commands.CancelTrigger(desk.account_id, order.trigger_order_id))
    return {
        "algoId": int(order.trigger_order_id),
        "clientAlgoId": algo_rows.client_algo_id(order),
        "code": "200",
        "msg": "success",
    }


def _cancel_all(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    for order in _live(desk, [instrument_id]):
        desk.venue.do(commands.CancelTrigger(desk.account_id, order.trigger_order_id))
    return _DONE


def _live(desk: Desk, instrument_ids: Sequence[str]) -> list[TriggerOrder]:
    known = desk.venue.exchange.trigger_orders(desk.account_id)
    return [each for each in known if each.live and each.instrument_id in instrument_ids]


def _query(desk: Desk, call: Call) -> object:
    order = _find(desk, call)
    if order is None:
        raise WireError(Code.ORDER_NOT_FOUND)
    return _row(desk, order)


def _open(desk: Desk, call: Call) -> object:
    algo_id = call.whole("algoId")
    return [
        _row(desk, order)
        for order in _live(desk, instruments_of(desk, call))
        if algo_id is None or order.trigger_order_id == str(algo_id)
    ]


def _all(desk: Desk, call: Call) -> object:
    instrument_id, first = instrument_of(desk, call), call.whole("algoId")
    since, until = call.whole("startTime"), call.whole("endTime")
    if since is not None and until is not None:
        if until < since:
            raise WireError(Code.PARAMETER, "Data sent for parameter 'endTime' is not valid.")
        if (until - since) * units.NS_PER_MS > SPAN_NS:
            raise WireError(Code.PARAMETER, "Search window is restricted to recent 7 days only.")
    earliest_ns = 0
    if since is None and first is None:
        earliest_ns = max(0, desk.venue.exchange.now_ns - SPAN_NS)
    rows = [
        order
        for order in desk.venue.exchange.trigger_orders(desk.account_id)
        if order.instrument_id == instrument_id
        and (first is None or int(order.trigger_order_id) >= first)
        and order.created_ns >= earliest_ns
        and call.within(order.created_ns)
    ]
    return [_row(desk, each) for each in clip(call, rows, 1_000)]


_SIGNED: Final = Security.SIGNED

ROUTES: Final[Routes] = {
    ("POST", "/fapi/v1/algoOrder"): Route(handler=_place, security=_SIGNED, weight=0, orders=True),
    ("DELETE", "/fapi/v1/algoOrder"): Route(handler=_cancel, security=_SIGNED),
    ("DELETE", "/fapi/v1/algoOpenOrders"): Route(handler=_cancel_all, security=_SIGNED),
    ("GET", "/fapi/v1/algoOrder"): Route(handler=_query, security=_SIGNED),
    ("GET", "/fapi/v1/openAlgoOrders"): Route(
        handler=_open, security=_SIGNED, weight=WeightRule(1, 40)
    ),
    ("GET", "/fapi/v1/allAlgoOrders"): Route(handler=_all, security=_SIGNED, weight=5),
}
