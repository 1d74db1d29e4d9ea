"""Orders and executions as clients ask for them afterwards."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.exchange.accounts import Bill, BillKind
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, int_field, page
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_rows import STATES, execution_row, order_row
from counterpoise.simulator.bybit.symbols import CATEGORY, CURRENCY, milliseconds, text

#: Ended orders that order/realtime still knows.
REALTIME_ENDED_MAX: Final = 500
#: Executions in one answer.
EXECUTIONS_MAX: Final = 100
EXECUTIONS_DEFAULT: Final = 50


def _asked(desk: Desk, call: Call, orders: Sequence[ExchangeOrder]) -> list[ExchangeOrder]:
    # What `symbol`, `baseCoin`, `settleCoin`, `orderId` or `orderLinkId` leave.
    wanted = set(call.wanted(desk))
    settle = call.query.get("settleCoin", CURRENCY)
    order_id, client_order_id = call.query.get("orderId"), call.query.get("orderLinkId")
    return [
        order
        for order in orders
        if order.instrument_id in wanted
        and settle == CURRENCY
        and (order_id is None or order.order_id == order_id)
        # Bybit goes by orderId where both are given.
        and (
            order_id is not None
            or client_order_id is None
            or order.client_order_id == client_order_id
        )
    ]


def _order_key(order: ExchangeOrder) -> str:
    return order.order_id


def _answer(shown: Sequence[ExchangeOrder], cursor: str, call: Call) -> Row:
    rows = [order_row(order) for order in shown]
    category = call.query.get("category", CATEGORY)
    return {"list": rows, "nextPageCursor": cursor, "category": category}


def _realtime(desk: Desk, call: Call) -> Row:
    query = call.query
    if call.linear and not ({"symbol", "baseCoin", "settleCoin"} & query.keys()):
        raise WireError(Code.PARAMETER, "params error: symbol, settleCoin or baseCoin is required")
    named = "orderId" in query or "orderLinkId" in query
    known = list(reversed(desk.venue.exchange.orders(desk.account_id)))
    open_ones = [order for order in known if order.open]
    ended = sorted((order for order in known if not order.open), key=lambda each: -each.updated_ns)[
        :REALTIME_ENDED_MAX
    ]
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
        for order in reversed(exchange.orders(desk.account_id))
        if not order.open
        and (named or start_ns <= order.created_ns <= end_ns)
        and state in (None, STATES[order.state])
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
    wanted = set(call.wanted(desk))
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
