"""What became of orders, over REST: queries, lists, executions, liquidations."""

from collections.abc import Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.orders import ExchangeOrder, OrderCategory
from counterpoise.simulator.binance import order_rows, trade
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
from counterpoise.simulator.binance.errors import Code, WireError
from counterpoise.simulator.binance.market import WeightRule

#: Longest span of one answer, and how far back one looks without a start.
SPAN_NS: Final = 7 * units.NS_PER_DAY
_SEIZED: Final = {
    OrderCategory.LIQUIDATION: "LIQUIDATION",
    OrderCategory.PARTIAL_LIQUIDATION: "LIQUIDATION",
    OrderCategory.ADL: "ADL",
}


def _order(desk: Desk, call: Call) -> object:
    order = trade.find(desk, call)
    if order is None:
        raise WireError(Code.ORDER_NOT_FOUND)
    return order_rows.query_row(order)


def _open_order(desk: Desk, call: Call) -> object:
    order = trade.find(desk, call)
    if order is None or not order.open:
        raise WireError(Code.ORDER_NOT_FOUND)
    return order_rows.query_row(order)


def _open_orders(desk: Desk, call: Call) -> object:
    wanted = instruments_of(desk, call)
    return [
        order_rows.query_row(order)
        for order in desk.venue.exchange.account(desk.account_id).open_orders
        if order.instrument_id in wanted
    ]


def _recorded(desk: Desk, instrument_ids: Sequence[str]) -> list[ExchangeOrder]:
    return [
        order
        for order in desk.venue.exchange.orders(desk.account_id)
        if order.instrument_id in instrument_ids and order_rows.recorded(order)
    ]


def _check_span(desk: Desk, call: Call) -> int:
    # The instant an answer begins at.
    since, until = call.whole("startTime"), call.whole("endTime")
    if since is not None and until is not None:
        if until < since:
            raise WireError(Code.PARAMETER, "Data sent for parameter 'endTime' is not valid.")
        if (until - since) * units.NS_PER_MS > SPAN_NS:
            raise WireError(Code.PARAMETER, "Search window is restricted to recent 7 days only.")
    if since is not None:
        return since * units.NS_PER_MS
    end_ns = desk.venue.exchange.now_ns if until is None else until * units.NS_PER_MS
    return max(0, end_ns - SPAN_NS)


def _all_orders(desk: Desk, call: Call) -> object:
    first = call.whole("orderId")
    since_ns = _check_span(desk, call)
    rows = [
        order
        for order in _recorded(desk, [instrument_of(desk, call)])
        if (first is None and order.created_ns >= since_ns and call.within(order.created_ns))
        or (first is not None and int(order.order_id) >= first)
    ]
    if first is not None:
        rows = rows[: call.rows_max(1_000)]
    return [order_rows.query_row(each) for each in clip(call, rows, 1_000)]


def _user_trades(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    order_id, first = call.whole("orderId"), call.whole("fromId")
    since_ns = _check_span(desk, call)
    fills = [
        fill
        for fill in desk.venue.exchange.fills(desk.account_id, 0 if first is not None else since_ns)
        if fill.instrument_id == instrument_id
        and (order_id is None or int(fill.order_id) == order_id)
        and (first is None or order_rows.trade_id(fill) >= first)
        and call.within(fill.event_ns)
    ]
    return [order_rows.fill_row(each) for each in clip(call, fills, 1_000)]


def _force_orders(desk: Desk, call: Call) -> object:
    kind = call.fields.get("autoCloseType")
    rows = [
        order
        for order in _recorded(desk, instruments_of(desk, call))
        if order.category in _SEIZED
        and (kind is None or _SEIZED[order.category] == kind)
        and call.within(order.created_ns)
    ]
    return [order_rows.query_row(each) for each in clip(call, rows, 100, 50)]


_SIGNED: Final = Security.SIGNED

ROUTES: Final[Routes] = {
    ("GET", "/fapi/v1/order"): Route(handler=_order, security=_SIGNED),
    ("GET", "/fapi/v1/openOrder"): Route(handler=_open_order, security=_SIGNED),
    ("GET", "/fapi/v1/openOrders"): Route(
        handler=_open_orders, security=_SIGNED, weight=WeightRule(1, 40)
    ),
    ("GET", "/fapi/v1/allOrders"): Route(handler=_all_orders, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/userTrades"): Route(handler=_user_trades, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/forceOrders"): Route(
        handler=_force_orders, security=_SIGNED, weight=WeightRule(20, 50)
    ),
}
