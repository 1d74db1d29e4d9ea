"""OKX's algo-order REST (docs-v5 "Algo Trading"): stops, profits and triggers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web

from counterpoise.exchange.orders import OrderRefused, RefusalReason, TriggerForm, TriggerSource
from counterpoise.exchange.triggers import NewTrigger, TriggerOrder
from counterpoise.simulator import commands
from counterpoise.simulator.okx import algo_entry, algo_rows
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
from counterpoise.simulator.okx.errors import Code, Refusal, Row, WireError, outcomes
from counterpoise.simulator.okx.order_entry import Fields

#: Algo orders in one cancel.
CANCELS_MAX: Final = 10
#: `ordType`s that are queried, whether we have such orders or not.
_KINDS: Final = frozenset(
    {"conditional", "oco", "chase", "trigger", "move_order_stop", "iceberg", "twap"}
)
#: New values of an amendment, by form: trigger price, its type, price.
_AMENDED: Final = {
    TriggerForm.STOP_LOSS: ("newSlTriggerPx", "newSlTriggerPxType", "newSlOrdPx"),
    TriggerForm.TAKE_PROFIT: ("newTpTriggerPx", "newTpTriggerPxType", "newTpOrdPx"),
    TriggerForm.PLAIN: ("newTriggerPx", "newTriggerPxType", "newOrdPx"),
}


def row_of(desk: Desk, order: TriggerOrder) -> Row:
    """Return an algo order's row."""
    exchange, child = desk.venue.exchange, None
    if order.order_id is not None:
        child = exchange.order(desk.account_id, order_id=order.order_id)
    return algo_rows.algo_row(
        order,
        child,
        leverage=exchange.leverage_setting_kept(desk.account_id, order.instrument_id),
        last=order.last_at_start,
    )


def _place(desk: Desk, call: Call) -> web.Response:
    fields: Fields = call.body if isinstance(call.body, dict) else {}
    row: Row = {
        "algoClOrdId": str(fields.get("algoClOrdId") or ""),
        "algoId": "",
        "clOrdId": str(fields.get("clOrdId") or ""),
        "sCode": Code.OK.value,
        "sMsg": "",
        "tag": str(fields.get("tag") or ""),
    }
    try:
        _limited(desk, "algo place", fields)
        asked = algo_entry.new_trigger(fields, _price_of(desk))
        placed = desk.venue.place_trigger(desk.account_id, asked)
        if isinstance(placed, OrderRefused):
            raise algo_entry.trigger_refusal(placed, asked)
        row["algoId"] = placed.order_id
    except Refusal as wrong:
        row |= {"sCode": wrong.code.value, "sMsg": wrong.message}
    return outcomes([row], received_ns=call.received_ns)


def _price_of(desk: Desk) -> algo_entry.PriceSource:
    exchange = desk.venue.exchange
    prices = {
        TriggerSource.MARK: exchange.mark,
        TriggerSource.INDEX: exchange.index,
        TriggerSource.LAST: exchange.last,
    }
    return lambda instrument_id, source: prices[source](instrument_id)


def _limited(desk: Desk, operation: str, fields: Fields) -> None:
    if not desk.limits.grant(operation, str(fields.get("instId"))):
        raise Refusal(Code.RATE)


def _find(desk: Desk, fields: Fields) -> TriggerOrder | None:
    order_id = str(fields.get("algoId") or "") or None
    name = str(fields.get("algoClOrdId") or "") or None
    if order_id is None and name is None:
        raise WireError(Code.ORDER_PARAMETER, "Parameter algoId or algoClOrdId error")
    # OKX goes by algoId where both are given.
    return desk.venue.exchange.trigger_order(
        desk.account_id, order_id=order_id, client_order_id=None if order_id else name
    )


def _live(desk: Desk, fields: Fields, code: Code) -> TriggerOrder:
    contract = contract_of(str(fields.get("instId", "")))
    order = _find(desk, fields)
    if order is None or not order.live or order.instrument_id != contract.instrument_id:
        raise Refusal(code)
    return order


def _cancel(desk: Desk, call: Call) -> web.Response:
    items = call.body
    if not isinstance(items, list) or not 1 <= len(items) <= CANCELS_MAX:
        raise WireError(Code.BODY, f"1 to {CANCELS_MAX} items")
    return outcomes([_cancel_one(desk, each) for each in items], received_ns=call.received_ns)


def _cancel_one(desk: Desk, fields: object) -> Row:
    if not isinstance(fields, dict):
        raise WireError(Code.BODY)
    row: Row = {
        "algoClOrdId": str(fields.get("algoClOrdId") or ""),
        "algoId": str(fields.get("algoId") or ""),
        "clOrdId": "",
        "sCode": Code.OK.value,
        "sMsg": "",
        "tag": "",
    }
    try:
        _limited(desk, "algo cancel", fields)
        order = _live(desk, fields, Code.CANCEL_NOT_FOUND)
        desk.venue.do(commands.CancelTrigger(desk.account_id, order.trigger_order_id))
        row |= {
            "algoId": order.trigger_order_id,
            "algoClOrdId": order.client_order_id or "",
            "tag": order.terms.tag,
        }
    except (Refusal, WireError) as wrong:
        row |= {"sCode": wrong.code.value, "sMsg": wrong.message}
    return row


def _amend(desk: Desk, call: Call) -> web.Response:
    fields: Fields = call.body if isinstance(call.body, dict) else {}
    row: Row = {
        "algoClOrdId": str(fields.get("algoClOrdId") or ""),
        "algoId": str(fields.get("algoId") or ""),
        "reqId": str(fields.get("reqId") or ""),
        "sCode": Code.OK.value,
        "sMsg": "",
    }
    try:
        _limited(desk, "algo amend", fields)
        order = _live(desk, fields, Code.AMEND_NOT_FOUND)
        _amend_one(desk, order, fields)
        row |= {"algoId": order.trigger_order_id, "algoClOrdId": order.client_order_id or ""}
    except (Refusal, WireError) as wrong:
        row |= {"sCode": wrong.code.value, "sMsg": wrong.message}
    return outcomes([row], received_ns=call.received_ns)


def _amend_one(desk: Desk, order: TriggerOrder, fields: Fields) -> None:
    terms = order.terms
    trigger_name, source_name, price_name = _AMENDED[terms.form]
    contracts = decimal_field(fields.get("newSz"))
    trigger_price = decimal_field(fields.get(trigger_name))
    price = decimal_field(fields.get(price_name))
    source_text = str(fields.get(source_name) or "")
    if contracts is None and trigger_price is None and price is None:
        raise Refusal(Code.ORDER_PARAMETER, f"Parameter {trigger_name} or newSz error")
    if source_text not in ("", *TriggerSource):
        raise Refusal(Code.ORDER_PARAMETER, f"Parameter {source_name} error")
    if price is not None and (price == algo_entry.MARKET) != (terms.price_limit is None):
        # A market order stays one here, and a limit order too.
        raise Refusal(Code.ORDER_PARAMETER, f"Parameter {price_name} error")
    if contracts is not None and terms.closes_position:
        raise Refusal(Code.ORDER_PARAMETER, "Parameter newSz error")
    contract = contract_of(str(fields.get("instId", "")))
    command = commands.AmendTrigger(
        desk.account_id,
        order.trigger_order_id,
        quantity=None if contracts is None else contract.quantity(contracts),
        trigger_price=trigger_price,
        price_limit=None if price == algo_entry.MARKET else price,
        source=TriggerSource(source_text) if source_text else None,
    )
    refused = desk.venue.do(command)
    if isinstance(refused, OrderRefused):
        if refused.reason in (RefusalReason.ORDER_NOT_FOUND, RefusalReason.ALREADY_OVER):
            raise Refusal(Code.AMEND_NOT_FOUND)
        raise algo_entry.trigger_refusal(refused, _with_source(terms, source_text))


def _with_source(terms: NewTrigger, source_text: str) -> NewTrigger:
    return replace(terms, source=TriggerSource(source_text)) if source_text else terms


def _order(desk: Desk, call: Call) -> Answer:
    order = _find(desk, call.query)
    if order is None:
        raise WireError(Code.ORDER_NOT_FOUND)
    return [row_of(desk, order)]


def _asked(desk: Desk, call: Call, orders: Sequence[TriggerOrder]) -> Answer:
    kinds = (call.query.get("ordType") or "").split(",")
    if not set(kinds) <= _KINDS:
        raise WireError(Code.ORDER_PARAMETER, "Parameter ordType error")
    contract, algo_id = call.contract(), call.query.get("algoId")
    name, state = call.query.get("algoClOrdId"), call.query.get("state")
    if not call.only_swaps():
        return []
    wanted = [
        order
        for order in orders
        if algo_rows.KINDS[order.terms.form] in kinds
        and (contract is None or order.instrument_id == contract.instrument_id)
        and (algo_id is None or order.trigger_order_id == algo_id)
        and (name is None or order.client_order_id == name)
        and (state is None or algo_rows.STATES[order.state] == state)
        and within(call, order.created_ns)
    ]
    shown = page(wanted, call, key=lambda each: each.trigger_order_id, most=100)
    return [row_of(desk, order) for order in shown]


def _pending(desk: Desk, call: Call) -> Answer:
    known = reversed(desk.venue.exchange.trigger_orders(desk.account_id))
    return _asked(desk, call, [order for order in known if order.live])


def _history(desk: Desk, call: Call) -> Answer:
    query = call.query
    if ("state" in query) == ("algoId" in query):
        raise WireError(Code.ORDER_PARAMETER, "Either parameter state or algoId is required")
    if query.get("state", "effective") not in ("effective", "canceled", "order_failed"):
        raise WireError(Code.ORDER_PARAMETER, "Parameter state error")
    known = reversed(desk.venue.exchange.trigger_orders(desk.account_id))
    return _asked(desk, call, [order for order in known if not order.live])


#: Path -> handler of signed GET requests.
READS: Final[dict[str, Handler]] = {
    "/api/v5/trade/order-algo": _order,
    "/api/v5/trade/orders-algo-pending": _pending,
    "/api/v5/trade/orders-algo-history": _history,
}

#: Path -> handler of signed POST requests.
WRITES: Final[dict[str, Handler]] = {
    "/api/v5/trade/order-algo": _place,
    "/api/v5/trade/cancel-algos": _cancel,
    "/api/v5/trade/amend-algos": _amend,
}
