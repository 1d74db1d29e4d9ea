"""Orders and executions as clients ask for them afterwards."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.exchange.accounts import Bill, BillKind
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.exchange.triggers import TriggerOrder, TriggerState
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, int_field, page
from counterpoise.simulator.bybit.conditional import STATES as TRIGGER_STATES
from counterpoise.simulator.bybit.conditional import trigger_row
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_rows import STATES, execution_row, order_row
from counterpoise.simulator.bybit.symbols import CATEGORY, CURRENCY, milliseconds, text

#: Ended orders that order/realtime still knows.
REALTIME_ENDED_MAX: Final = 500
#: Executions in one answer.
EXECUTIONS_MAX: Final = 100
EXECUTIONS_DEFAULT: Final = 50


#: An order, or one that is held back or never came to be one.
_Shown = ExchangeOrder | TriggerOrder


def _known(desk: Desk) -> list[_Shown]:
    # Newest first. A conditional order that was triggered is told as the order it became.
    exchange = desk.venue.exchange
    known: list[_Shown] = [*exchange.orders(desk.account_id)]
    known += [
        each
        for each in exchange.trigger_orders(desk.account_id)
        if each.state is not TriggerState.TRIGGERED
    ]
    known.sort(key=lambda each: int(_order_key(each)), reverse=True)
    return known


def _is_open(order: _Shown) -> bool:
    return order.live if isinstance(order, TriggerOrder) else order.open


def _passes(call: Call, order: _Shown) -> bool:
    # `orderFilter`: "StopOrder" = conditional, triggered or not; "Order" = any other.
    wanted = call.query.get("orderFilter")
    condition = isinstance(order, TriggerOrder) or order.trigger is not None
    return wanted is None or (wanted == "StopOrder") == condition


def _asked(desk: Desk, call: Call, orders: Sequence[_Shown]) -> list[_Shown]:
    # What `symbol`, `baseCoin`, `settleCoin`, `orderId` or `orderLinkId` leave.
    wanted = set(call.past(desk))
    settle = call.query.get("settleCoin", CURRENCY)
    order_id, client_order_id = call.query.get("orderId"), call.query.get("orderLinkId")
    return [
        order
        for order in orders
        if order.instrument_id in wanted
        and settle == CURRENCY
        and _passes(call, order)
        and (order_id is None or _order_key(order) == order_id)
        # Bybit goes by orderId where both are given.
        and (
            order_id is not None
            or client_order_id is None
            or order.client_order_id == client_order_id
        )
    ]


def _order_key(order: _Shown) -> str:
    return order.trigger_order_id if isinstance(order, TriggerOrder) else order.order_id


def _row(order: _Shown) -> Row:
    return trigger_row(order) if isinstance(order, TriggerOrder) else order_row(order)


def _state(order: _Shown) -> str:
    if isinstance(order, TriggerOrder):
        return TRIGGER_STATES[order.state]
    return STATES[order.state]


def _answer(shown: Sequence[_Shown], cursor: str, call: Call) -> Row:
    rows = [_row(order) for order in shown]
    category = call.query.get("category", CATEGORY)
    return {"list": rows, "nextPageCursor": cursor, "category": category}


def _realtime(desk: Desk, call: Call) -> Row:
    query = call.query
    if call.linear and not ({"symbol", "baseCoin", "settleCoin"} & query.keys()):
        raise WireError(Code.PARAMETER, "params error: symbol, settleCoin or baseCoin is required")
    named = "orderId" in query or "orderLinkId" in query
    known = _known(desk)
    open_ones = [order for order in known if _is_open(order)]
    ended = sorted(
        (order for order in known if not _is_open(order)), key=lambda each: -each.updated_ns
    )[:REALTIME_ENDED_MAX]
    if named:
        pool = [*open_ones, *ended]
    elif int_field(query.get("openOnly"), "openOnly") == 1:
        pool = ended
    else:
        pool = open_ones
    shown, cursor = page(_asked(desk, call, pool), call, key=_order_key)
    return _answer(shown, cursor, call)


def _history(desk: Desk, call: Call) -> Row:
    exchange = desk.venue.exchange
    start_ns, end_ns = call.span(exchange.now_ns)
    named = "orderId" in call.query or "orderLinkId" in call.query
    state = call.query.get("orderStatus")
    ended = [
        order
        for order in _known(desk)
        if not _is_open(order)
        and (named or start_ns <= order.created_ns <= end_ns)
        and state in (None, _state(order))
    ]
    shown, cursor = page(_asked(desk, call, ended), call, key=_order_key)
    return _answer(shown, cursor, call)


def funding_row(bill: Bill, fills: Sequence[ExchangeFill]) -> Row | None:
    """Return a funding payment as an execution; None = no position or no rate is behind it."""
    # The bill has rate and payment; the position is what the fills before it add up to.
    position = sum(
        (
            fill.quantity * fill.side.sign
            for fill in fills
            if fill.instrument_id == bill.instrument_id and fill.event_ns <= bill.event_ns
        ),
        Decimal(0),
    )
    rate = bill.funding_rate
    if not position or not rate:
        return None
    value = abs(bill.change / rate)
    return {
        "symbol": bill.instrument_id,
        "orderId": bill.bill_id,
        "orderLinkId": "",
        "side": "Buy" if position > 0 else "Sell",
        "orderPrice": "0",
        "orderQty": "0",
        "leavesQty": "0",
        "createType": "",
        "orderType": "UNKNOWN",
        "stopOrderType": "UNKNOWN",
        "execFee": text(-bill.change),
        "execFeeV2": "",
        "execId": f"funding-{bill.bill_id}",
        "execPrice": text(value / abs(position)),
        "execQty": text(abs(position)),
        "execType": "Funding",
        "execValue": text(value),
        "execTime": milliseconds(bill.event_ns),
        "feeCurrency": CURRENCY,
        "isMaker": False,
        "feeRate": text(rate),
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(value / abs(position)),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "execPnl": "0",
        "extraFees": "",
        "seq": 0,
    }


def _all_executions(desk: Desk, start_ns: int) -> list[tuple[int, Row]]:
    exchange = desk.venue.exchange
    fills = exchange.fills(desk.account_id, 0)
    timed = [
        (
            fill.event_ns,
            execution_row(fill, exchange.order(desk.account_id, order_id=fill.order_id), None),
        )
        for fill in fills
        if fill.event_ns >= start_ns
    ]
    for bill in exchange.bills(desk.account_id, start_ns):
        if bill.kind is BillKind.FUNDING:
            row = funding_row(bill, fills)
            if row is not None:
                timed.append((bill.event_ns, row))
    timed.sort(key=lambda each: each[0])
    timed.reverse()
    return timed


def _executions(desk: Desk, call: Call) -> Row:
    start_ns, end_ns = call.span(desk.venue.exchange.now_ns)
    wanted = set(call.past(desk))
    names = {
        name: call.query[name]
        for name in ("orderId", "orderLinkId", "execType")
        if name in call.query
    }
    if "orderId" in names:
        names.pop("orderLinkId", None)
    rows = [
        row
        for event_ns, row in _all_executions(desk, start_ns)
        if event_ns <= end_ns
        and row["symbol"] in wanted
        and all(row[name] == value for name, value in names.items())
    ]
    shown, cursor = page(
        rows, call, key=lambda row: str(row["execId"]),
        default=EXECUTIONS_DEFAULT, most=EXECUTIONS_MAX,
    )  # fmt: skip
    category = call.query.get("category", CATEGORY)
    return {"nextPageCursor": cursor, "category": category, "list": shown}


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {
    "/v5/order/realtime": _realtime,
    "/v5/order/history": _history,
    "/v5/execution/list": _executions,
}
