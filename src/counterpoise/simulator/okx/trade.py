"""OKX's trade REST: orders, cancels, their history and the executions (docs-v5 "Trade")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from counterpoise.domain import units
from counterpoise.exchange.orders import (
    ExchangeFill,
    ExchangeOrder,
    NewOrder,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
)
from counterpoise.simulator.okx import order_entry, order_rows
from counterpoise.simulator.okx.calls import (
    Answer,
    Call,
    Desk,
    Handler,
    contract_of,
    decimal_field,
    page,
    within,
)
from counterpoise.simulator.okx.errors import (
    Code,
    Refusal,
    Row,
    WireError,
    outcomes,
)
from counterpoise.simulator.okx.symbols import milliseconds

#: Orders or cancels in one batch.
BATCH_MAX: Final = 20
#: How far back executions go: 3 days, and 3 months in the history.
FILLS_DAYS: Final = 3
FILLS_HISTORY_DAYS: Final = 90
#: How far back ended orders go.
ORDERS_DAYS: Final = 7
#: How far back the archive of them goes.
ORDERS_ARCHIVE_DAYS: Final = 90
#: Bounds of a cancel-all-after timer, seconds; 0 disarms.
TIMER_SECONDS: Final = range(10, 121)
_NS_PER_DAY: Final = 24 * units.NS_PER_HOUR

_Fields = order_entry.Fields


def _outcome(fields: _Fields, result: PlacedOrder | Refusal, now_ns: int) -> Row:
    row: Row = {
        "clOrdId": str(fields.get("clOrdId") or ""),
        "ordId": "",
        "sCode": Code.OK.value,
        "sMsg": "",
        "tag": str(fields.get("tag") or ""),
        "ts": milliseconds(now_ns),
    }
    if isinstance(result, Refusal):
        row |= {"sCode": result.code.value, "sMsg": result.message}
    else:
        row["ordId"] = result.order_id
    return row


def _items(call: Call) -> list[_Fields]:
    body = call.body if isinstance(call.body, list) else [call.body]
    if not 1 <= len(body) <= BATCH_MAX:
        raise WireError(Code.BODY, f"1 to {BATCH_MAX} items")
    items: list[_Fields] = []
    for fields in body:
        if not isinstance(fields, dict):
            raise WireError(Code.BODY)
        items.append(fields)
    return items


def _place(desk: Desk, call: Call) -> web.Response:
    items = _items(call)
    if (
        call.expires_ms is not None
        and desk.venue.clock.told_ns() // units.NS_PER_MS > call.expires_ms
    ):
        raise WireError(Code.EXPIRED)
    asked: list[NewOrder | Refusal] = []
    operation = "batch" if len(items) > 1 else "place"
    for fields in items:
        try:
            _limited(desk, operation, fields)
            asked.append(order_entry.new_order(fields))
        except Refusal as wrong:
            asked.append(wrong)
    placed = iter(
        desk.venue.place(desk.account_id, [each for each in asked if isinstance(each, NewOrder)])
    )
    answers: list[Row] = []
    for fields, each in zip(items, asked, strict=True):
        result = each if isinstance(each, Refusal) else next(placed)
        outcome = order_entry.refusal(result) if isinstance(result, OrderRefused) else result
        answers.append(_outcome(fields, outcome, desk.venue.exchange.now_ns))
    return outcomes(answers, received_ns=call.received_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    # How a query or body names an order.
    instrument_id: str
    order_id: str | None
    client_order_id: str | None


def _named(fields: _Fields) -> _Named:
    contract = contract_of(str(fields.get("instId", "")))
    order_id = str(fields.get("ordId") or "") or None
    client_order_id = str(fields.get("clOrdId") or "") or None
    if order_id is None and client_order_id is None:
        raise WireError(Code.ORDER_PARAMETER, "Parameter ordId or clOrdId error")
    # OKX goes by ordId where both are given.
    return _Named(
        instrument_id=contract.instrument_id,
        order_id=order_id,
        client_order_id=None if order_id is not None else client_order_id,
    )


def _find(desk: Desk, named: _Named) -> ExchangeOrder | None:
    found = desk.venue.exchange.order(
        desk.account_id, order_id=named.order_id, client_order_id=named.client_order_id
    )
    if found is None or found.instrument_id != named.instrument_id:
        return None
    return found


def _cancel_one(desk: Desk, fields: _Fields, operation: str) -> Row:
    order = None
    code, message = Code.OK, ""
    try:
        _limited(desk, operation, fields)
        order = _find(desk, _named(fields))
        if order is None:
            raise Refusal(Code.CANCEL_NOT_FOUND)
        refused = desk.venue.cancel(desk.account_id, order.order_id, None)
        if refused is not None:
            raise Refusal(Code.CANCEL_NOT_FOUND)
    except (Refusal, WireError) as wrong:
        code, message = wrong.code, wrong.message
    found = order is not None
    return {
        "clOrdId": (order.client_order_id if order else fields.get("clOrdId")) or "",
        "ordId": order.order_id if found and order else str(fields.get("ordId") or ""),
        "sCode": code.value,
        "sMsg": message,
        "ts": milliseconds(desk.venue.exchange.now_ns),
    }


def _cancel(desk: Desk, call: Call) -> web.Response:
    items = _items(call)
    operation = "cancel batch" if len(items) > 1 else "cancel"
    answers = [_cancel_one(desk, fields, operation) for fields in items]
    return outcomes(answers, received_ns=call.received_ns)


def _limited(desk: Desk, operation: str, fields: _Fields) -> None:
    if not desk.limits.grant(operation, str(fields.get("instId"))):
        raise Refusal(Code.RATE)
    if not operation.startswith("cancel") and not desk.limits.grant_account():
        raise Refusal(Code.ACCOUNT_RATE)


def _amend_one(desk: Desk, fields: _Fields, operation: str) -> Row:
    row: Row = {
        "clOrdId": str(fields.get("clOrdId") or ""),
        "ordId": str(fields.get("ordId") or ""),
        "reqId": str(fields.get("reqId") or ""),
        "sCode": Code.OK.value,
        "sMsg": "",
        "ts": milliseconds(desk.venue.exchange.now_ns),
    }
    try:
        _limited(desk, operation, fields)
        order = _find(desk, _named(fields))
        if order is None:
            raise Refusal(Code.AMEND_NOT_FOUND)
        contract = contract_of(str(fields.get("instId", "")))
        contracts, price = decimal_field(fields.get("newSz")), decimal_field(fields.get("newPx"))
        if contracts is None and price is None:
            raise Refusal(Code.ORDER_PARAMETER, "Parameter newSz or newPx error")
        answer = desk.venue.amend(
            desk.account_id,
            order.order_id,
            None,
            quantity=None if contracts is None else contract.quantity(contracts),
            price_limit=price,
        )
        if isinstance(answer, OrderRefused):
            if answer.reason in (RefusalReason.ORDER_NOT_FOUND, RefusalReason.ALREADY_OVER):
                raise Refusal(Code.AMEND_NOT_FOUND)
            raise order_entry.refusal(answer)
        row |= {"ordId": order.order_id, "clOrdId": order.client_order_id or ""}
    except (Refusal, WireError) as wrong:
        row |= {"sCode": wrong.code.value, "sMsg": wrong.message}
    return row


def _amend(desk: Desk, call: Call) -> web.Response:
    items = _items(call)
    operation = "amend batch" if len(items) > 1 else "amend"
    answers = [_amend_one(desk, fields, operation) for fields in items]
    return outcomes(answers, received_ns=call.received_ns)


def _cancel_all_after(desk: Desk, call: Call) -> Answer:
    fields = call.body if isinstance(call.body, dict) else {}
    seconds = decimal_field(fields.get("timeOut"))
    if seconds is None or (seconds != 0 and seconds not in TIMER_SECONDS):
        raise WireError(Code.ORDER_PARAMETER, "Parameter timeOut error")
    now_ns = desk.venue.clock.now_ns()
    deadline_ns = now_ns + int(seconds) * units.NS_PER_SECOND if seconds else 0
    desk.venue.arm_deadline(desk.account_id, deadline_ns)
    return [
        {
            "tag": str(fields.get("tag") or ""),
            "triggerTime": milliseconds(deadline_ns),
            "ts": milliseconds(now_ns),
        }
    ]


def _order_rows(desk: Desk, orders: Sequence[ExchangeOrder]) -> list[Row]:
    if not orders:
        return []
    since_ns = min(order.created_ns for order in orders)
    fills = desk.venue.last_fills(desk.account_id, since_ns)
    return [order_rows.order_row(order, fills.get(order.order_id)) for order in orders]


def _order(desk: Desk, call: Call) -> Answer:
    order = _find(desk, _named(call.query))
    if order is None:
        raise WireError(Code.ORDER_NOT_FOUND)
    return _order_rows(desk, [order])


def _asked_orders(call: Call, orders: Sequence[ExchangeOrder]) -> list[ExchangeOrder]:
    contract = call.contract()
    state = call.query.get("state")
    kind = call.query.get("ordType")
    if not call.only_swaps():
        return []
    return [
        order
        for order in orders
        if (contract is None or order.instrument_id == contract.instrument_id)
        and (state is None or order_rows.STATES[order.state] == state)
        and (kind is None or order_rows.kind_name(order) in kind.split(","))
        and within(call, order.updated_ns)
    ]


def _orders_pending(desk: Desk, call: Call) -> Answer:
    newest_first = list(reversed(desk.venue.exchange.account(desk.account_id).open_orders))
    shown = page(_asked_orders(call, newest_first), call, key=_order_key, most=100)
    return _order_rows(desk, shown)


def _orders_archive(desk: Desk, call: Call) -> Answer:
    # The archive alone still has filled orders that the model has forgotten.
    since_ns = desk.venue.exchange.now_ns - ORDERS_ARCHIVE_DAYS * _NS_PER_DAY
    ended = [
        order
        for order in reversed(desk.venue.accepted_orders(desk.account_id))
        if not order.open and order.filled_quantity and order.updated_ns >= since_ns
    ]
    return _order_rows(desk, page(_asked_orders(call, ended), call, key=_order_key, most=100))


def _orders_history(desk: Desk, call: Call) -> Answer:
    since_ns = desk.venue.exchange.now_ns - ORDERS_DAYS * _NS_PER_DAY
    ended = [
        order
        for order in reversed(desk.venue.exchange.orders(desk.account_id))
        if not order.open and order.updated_ns >= since_ns
    ]
    return _order_rows(desk, page(_asked_orders(call, ended), call, key=_order_key, most=100))


def _order_key(order: ExchangeOrder) -> str:
    return order.order_id


def _fills_since(desk: Desk, call: Call, days: int) -> Answer:
    contract = call.contract()
    order_id = call.query.get("ordId")
    if not call.only_swaps():
        return []
    since_ns = max(0, desk.venue.exchange.now_ns - days * _NS_PER_DAY)
    found: list[ExchangeFill] = [
        fill
        for fill in desk.venue.exchange.fills(desk.account_id, since_ns)
        if (contract is None or fill.instrument_id == contract.instrument_id)
        and (order_id is None or fill.order_id == order_id)
        and within(call, fill.event_ns)
    ]
    found.reverse()
    shown = page(found, call, key=lambda fill: fill.bill_id, most=100)
    exchange = desk.venue.exchange
    return [
        order_rows.fill_row(fill, exchange.order(desk.account_id, order_id=fill.order_id))
        for fill in shown
    ]


def _fills(desk: Desk, call: Call) -> Answer:
    return _fills_since(desk, call, FILLS_DAYS)


def _fills_history(desk: Desk, call: Call) -> Answer:
    return _fills_since(desk, call, FILLS_HISTORY_DAYS)


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {
    "/api/v5/trade/order": _order,
    "/api/v5/trade/orders-pending": _orders_pending,
    "/api/v5/trade/orders-history": _orders_history,
    "/api/v5/trade/orders-history-archive": _orders_archive,
    "/api/v5/trade/fills": _fills,
    "/api/v5/trade/fills-history": _fills_history,
}

#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {
    "/api/v5/trade/order": _place,
    "/api/v5/trade/batch-orders": _place,
    "/api/v5/trade/amend-order": _amend,
    "/api/v5/trade/amend-batch-orders": _amend,
    "/api/v5/trade/cancel-order": _cancel,
    "/api/v5/trade/cancel-batch-orders": _cancel,
    "/api/v5/trade/cancel-all-after": _cancel_all_after,
}
