"""Placing, amending and canceling, by REST and by the trade stream alike.

An answer without an error means "taken": what became of the order comes by the order stream.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from counterpoise.domain.orders import OrderState
from counterpoise.exchange.orders import ExchangeOrder, OrderRefused
from counterpoise.exchange.triggers import TriggerOrder
from counterpoise.simulator import commands
from counterpoise.simulator.bybit import conditional, order_entry
from counterpoise.simulator.bybit.calls import Answer, Call, Desk, Handler, decimal_field, int_field
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_entry import Fields
from counterpoise.simulator.bybit.symbols import CATEGORY, CURRENCY, milliseconds

#: Orders in one batch of a linear account.
BATCH_MAX: Final = 20
#: Orders one cancel-all ends.
CANCEL_ALL_MAX: Final = 500

#: One operation on one order's fields.
Operation = Callable[[Desk, Fields], Row]


def create(desk: Desk, fields: Fields) -> Row:
    """Place an order, conditional or not; WireError: it was not taken."""
    if conditional.asked(fields):
        return _create_conditional(desk, fields)
    order = order_entry.new_order(desk, fields)
    (result,) = desk.venue.place(desk.account_id, [order])
    if isinstance(result, OrderRefused):
        raise order_entry.refusal(desk, result)
    return {"orderId": result.order_id, "orderLinkId": result.client_order_id or ""}


def _create_conditional(desk: Desk, fields: Fields) -> Row:
    asked = conditional.new_trigger(desk, fields)
    result = desk.venue.place_trigger(desk.account_id, asked)
    if isinstance(result, OrderRefused):
        raise conditional.refusal(desk, result, asked)
    return {"orderId": result.order_id, "orderLinkId": result.client_order_id or ""}


def amend(desk: Desk, fields: Fields) -> Row:
    """Change an open order's quantity, price or both; WireError: it stays as it is."""
    order = _open_order(desk, fields)
    if isinstance(order, TriggerOrder):
        return _amend_conditional(desk, order, fields)
    quantity = decimal_field(fields.get("qty")) if fields.get("qty") else None
    price = decimal_field(fields.get("price")) if fields.get("price") else None
    if quantity is None and price is None:
        raise WireError(Code.PARAMETER, "params error: nothing to modify")
    if quantity is not None and quantity <= order.filled_quantity:
        raise WireError(Code.FILLED_BEYOND)
    refused = desk.venue.amend(
        desk.account_id, order.order_id, None, quantity=quantity, price_limit=price
    )
    if isinstance(refused, OrderRefused):
        raise order_entry.refusal(desk, refused)
    return _ids(order)


def _amend_conditional(desk: Desk, order: TriggerOrder, fields: Fields) -> Row:
    figures = {
        ours: decimal_field(fields.get(name)) if fields.get(name) else None
        for ours, name in (("quantity", "qty"), ("trigger_price", "triggerPrice"))
    }
    price = decimal_field(fields.get("price")) if fields.get("price") else None
    source = conditional.SOURCES.get(str(fields.get("triggerBy") or ""), order.terms.source)
    if price is not None and order.terms.price_limit is None:
        raise WireError(Code.PARAMETER, "params error: price invalid")
    if all(each is None for each in (*figures.values(), price)):
        raise WireError(Code.PARAMETER, "params error: nothing to modify")
    command = commands.AmendTrigger(
        desk.account_id, order.trigger_order_id, price_limit=price, source=source, **figures
    )
    refused = desk.venue.do(command)
    if isinstance(refused, OrderRefused):
        amended = replace(
            order.terms,
            trigger_price=figures["trigger_price"] or order.terms.trigger_price,
            source=source,
        )
        raise conditional.refusal(desk, refused, amended)
    return _ids(order)


def cancel(desk: Desk, fields: Fields) -> Row:
    """Cancel an open order; WireError: there is none."""
    order = _open_order(desk, fields)
    if isinstance(order, TriggerOrder):
        refused = desk.venue.do(commands.CancelTrigger(desk.account_id, order.trigger_order_id))
    else:
        refused = desk.venue.cancel(desk.account_id, order.order_id, None)
    if refused is not None:
        raise order_entry.refusal(desk, refused)
    return _ids(order)


def find(
    desk: Desk, symbol: str, order_id: str | None, client_order_id: str | None
) -> ExchangeOrder | None:
    """Return an order by either id, Bybit's first; None = not (any more) known."""
    found = desk.venue.exchange.order(
        desk.account_id,
        order_id=order_id,
        client_order_id=None if order_id is not None else client_order_id,
    )
    return None if found is None or symbol not in ("", found.instrument_id) else found


def _open_order(desk: Desk, fields: Fields) -> ExchangeOrder | TriggerOrder:
    order_entry.check_category(fields)
    symbol = str(fields.get("symbol") or "")
    desk.instrument(symbol)
    order_id = str(fields.get("orderId") or "") or None
    client_order_id = str(fields.get("orderLinkId") or "") or None
    if order_id is None and client_order_id is None:
        raise WireError(Code.PARAMETER, "params error: OrderId or orderLinkId is required")
    order = find(desk, symbol, order_id, client_order_id)
    if order is None:
        held_back = desk.venue.exchange.trigger_order(
            desk.account_id,
            order_id=order_id,
            client_order_id=None if order_id is not None else client_order_id,
        )
        if held_back is not None and held_back.instrument_id == symbol:
            if held_back.live:
                return held_back
            raise WireError(Code.ORDER_CANCELED)
        raise WireError(Code.ORDER_NOT_FOUND)
    if order.state is OrderState.CANCELED:
        raise WireError(Code.ORDER_CANCELED)
    if not order.open:
        raise WireError(Code.ORDER_OVER)
    return order


def _ids(order: ExchangeOrder | TriggerOrder) -> Row:
    order_id = order.trigger_order_id if isinstance(order, TriggerOrder) else order.order_id
    return {"orderId": order_id, "orderLinkId": order.client_order_id or ""}


def batch_items(fields: Fields) -> list[Fields]:
    """Return the items of a batch, each with the batch's category; WireError 10001."""
    order_entry.check_category(fields)
    items = fields.get("request")
    if not isinstance(items, list) or not 1 <= len(items) <= BATCH_MAX:
        raise WireError(Code.PARAMETER, f"params error: request must have 1 to {BATCH_MAX} items")
    return [each if isinstance(each, dict) else {} for each in items]


def batch(desk: Desk, operation: Operation, fields: Fields) -> Answer:
    """Carry out the same operation on several orders, each for itself."""
    rows: list[Row] = []
    outcomes: list[Row] = []
    for item in batch_items(fields):
        row: Row = {
            "category": CATEGORY,
            "symbol": str(item.get("symbol") or ""),
            "orderId": "",
            "orderLinkId": str(item.get("orderLinkId") or ""),
        }
        stamp = milliseconds(desk.venue.clock.told_ns())
        try:
            row |= operation(desk, item)
            outcomes.append({"code": Code.OK.value, "msg": "OK"})
        except WireError as error:
            stamp = ""
            outcomes.append({"code": error.code.value, "msg": error.message})
        if operation is create:
            row["createAt"] = stamp
        rows.append(row)
    return Answer(result={"list": rows}, extra={"list": outcomes})


def _cancel_all(desk: Desk, call: Call) -> Row:
    fields = call.body
    order_entry.check_category(fields)
    symbol, base = str(fields.get("symbol") or ""), str(fields.get("baseCoin") or "")
    settle = str(fields.get("settleCoin") or "")
    if not (symbol or base or settle):
        raise WireError(Code.PARAMETER, "params error: symbol, baseCoin or settleCoin is required")
    if symbol:
        desk.instrument(symbol)
    wanted: Sequence[ExchangeOrder | TriggerOrder] = [
        order
        for order in _filtered(desk, str(fields.get("orderFilter") or ""))
        if (not symbol or order.instrument_id == symbol)
        and (symbol or not base or desk.listed[order.instrument_id].instrument.base == base)
        and (symbol or base or settle == CURRENCY)
    ][:CANCEL_ALL_MAX]
    for order in wanted:
        if isinstance(order, TriggerOrder):
            desk.venue.do(commands.CancelTrigger(desk.account_id, order.trigger_order_id))
        else:
            desk.venue.cancel(desk.account_id, order.order_id, None)
    return {"list": [_ids(order) for order in wanted], "success": "1"}


def _filtered(desk: Desk, order_filter: str) -> list[ExchangeOrder | TriggerOrder]:
    # "Order" leaves what is in the book, "StopOrder" what is held back; without a word both.
    exchange = desk.venue.exchange
    open_ones: list[ExchangeOrder | TriggerOrder] = []
    if order_filter in ("", "Order"):
        open_ones += exchange.account(desk.account_id).open_orders
    if order_filter in ("", "StopOrder"):
        open_ones += [each for each in exchange.trigger_orders(desk.account_id) if each.live]
    return open_ones


def _disconnected(desk: Desk, call: Call) -> Row:
    seconds = int_field(call.body.get("timeWindow"), "timeWindow")
    product = str(call.body.get("product") or "OPTIONS")
    if seconds is None:
        raise WireError(Code.PARAMETER, "params error: timeWindow invalid")
    if product != "DERIVATIVES":
        raise WireError(Code.PARAMETER, "params error: product invalid")
    desk.protection.set_window(seconds)
    return {}


def _single(operation: Operation) -> Handler:
    return lambda desk, call: operation(desk, call.body)


def _several(operation: Operation) -> Handler:
    return lambda desk, call: batch(desk, operation, call.body)


#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {
    "/v5/order/create": _single(create),
    "/v5/order/amend": _single(amend),
    "/v5/order/cancel": _single(cancel),
    "/v5/order/create-batch": _several(create),
    "/v5/order/amend-batch": _several(amend),
    "/v5/order/cancel-batch": _several(cancel),
    "/v5/order/cancel-all": _cancel_all,
    "/v5/order/disconnected-cancel-all": _disconnected,
}

#: Of these, the ones that place, amend or cancel.
ENTRY: Final = frozenset(WRITES) - {"/v5/order/disconnected-cancel-all"}

#: `op` of the trade stream -> what it does to one order, whether it takes several.
STREAM_OPERATIONS: Final[dict[str, tuple[Operation, bool]]] = {
    "order.create": (create, False),
    "order.amend": (amend, False),
    "order.cancel": (cancel, False),
    "order.create-batch": (create, True),
    "order.amend-batch": (amend, True),
    "order.cancel-batch": (cancel, True),
}
