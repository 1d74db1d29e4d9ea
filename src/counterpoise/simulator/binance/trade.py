"""Orders over REST: place, amend, cancel, countdown ("Trade")."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from counterpoise.domain import units
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import (
    CancelCause,
    ExchangeOrder,
    NewOrder,
    OrderRefused,
    PlacedOrder,
)
from counterpoise.simulator.binance import order_entry, order_rows
from counterpoise.simulator.binance.auth import missing
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    Security,
    instrument_of,
)
from counterpoise.simulator.binance.errors import Code, Row, WireError

#: Orders in one batch.
BATCH_MAX: Final = 5
BATCH_CANCEL_MAX: Final = 10
_DONE: Final[Row] = {"code": 200, "msg": "The operation of cancel all open order is done."}

_REFUSED_AFTER: Final = {
    CancelCause.POST_ONLY_WOULD_TAKE: Code.POST_ONLY,
    CancelCause.FOK_NOT_FILLED: Code.FOK,
}


def hedged(desk: Desk, instrument_id: str) -> bool:
    """Tell whether the account has long and short positions beside each other."""
    mode = desk.venue.exchange.position_mode(desk.account_id, instrument_id)
    return mode is PositionMode.HEDGE


def find(desk: Desk, call: Call) -> ExchangeOrder | None:
    """Return the order a call names, by the venue's id first; None = not told of (any more)."""
    instrument_id = instrument_of(desk, call)
    order_id = call.whole("orderId")
    name = call.fields.get("origClientOrderId")
    if order_id is None and name is None:
        raise WireError(
            Code.MANDATORY, "Either 'origClientOrderId' or 'orderId' must be sent, but both were"
            " empty/null!",
        )  # fmt: skip
    found = desk.venue.exchange.order(
        desk.account_id,
        order_id=order_rows.named_by_venue(name) if order_id is None else str(order_id),
        client_order_id=name if order_id is None else None,
    )
    if found is None or found.instrument_id != instrument_id or not order_rows.recorded(found):
        return None
    return found


def _place_all(desk: Desk, calls: Sequence[Call]) -> list[Row | WireError]:
    asked: list[NewOrder | WireError] = []
    for call in calls:
        try:
            instrument_id = instrument_of(desk, call)
            asked.append(order_entry.new_order(desk, call, hedged=hedged(desk, instrument_id)))
        except WireError as wrong:
            asked.append(wrong)
    orders = [each for each in asked if isinstance(each, NewOrder)]
    placed = iter(desk.venue.place(desk.account_id, orders))
    return [
        each if isinstance(each, WireError) else _outcome(desk, call, each, next(placed))
        for call, each in zip(calls, asked, strict=True)
    ]


def _outcome(
    desk: Desk, call: Call, new: NewOrder, result: PlacedOrder | OrderRefused
) -> Row | WireError:
    if isinstance(result, OrderRefused):
        return order_entry.refusal(result, side=new.side)
    order = desk.venue.exchange.order(desk.account_id, order_id=result.order_id)
    assert order is not None, "an order just placed is known"
    if order.cancel_cause in _REFUSED_AFTER:
        return WireError(_REFUSED_AFTER[order.cancel_cause])
    if call.fields.get("newOrderRespType", "ACK") == "RESULT":
        return order_rows.answer_row(order)
    return order_rows.acknowledgement(order)


def _single(result: Row | WireError) -> Row:
    if isinstance(result, WireError):
        raise result
    return result


def _rows(results: Sequence[Row | WireError]) -> list[Row]:
    return [each.row if isinstance(each, WireError) else each for each in results]


def _place(desk: Desk, call: Call) -> object:
    return _single(_place_all(desk, [call])[0])


def _test(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    order_entry.new_order(desk, call, hedged=hedged(desk, instrument_id))
    return {}


def _batch(call: Call, name: str, most: int) -> list[Call]:
    try:
        items = msgspec.json.decode(call.text(name))
    except msgspec.DecodeError:
        raise missing(name) from None
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise missing(name)
    calls: list[Call] = []
    for fields in items:
        if not isinstance(fields, dict):
            raise missing(name)
        calls.append(Call(fields={key: _written(value) for key, value in fields.items()}))
    return calls


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _place_batch(desk: Desk, call: Call) -> object:
    return _rows(_place_all(desk, _batch(call, "batchOrders", BATCH_MAX)))


def _amend_one(desk: Desk, call: Call) -> Row:
    side = order_entry.side_of(call)
    quantity, price = call.figure("quantity"), call.figure("price")
    if quantity is None:
        raise missing("quantity")
    if price is None:
        raise missing("price")
    order = find(desk, call)
    if order is None or not order.open:
        raise WireError(Code.ORDER_NOT_FOUND)
    if side is not order.side:
        raise WireError(Code.SIDE)
    refused = desk.venue.amend(
        desk.account_id, order.order_id, None, quantity=quantity, price_limit=price
    )
    if isinstance(refused, OrderRefused):
        raise order_entry.refusal(refused, side=side)
    after = desk.venue.exchange.order(desk.account_id, order_id=order.order_id)
    assert after is not None, "an order just amended is known"
    if after.cancel_cause in _REFUSED_AFTER:
        raise WireError(_REFUSED_AFTER[after.cancel_cause])
    return {**order_rows.answer_row(after), "pair": after.instrument_id, "modifyId": 1}


def _amend(desk: Desk, call: Call) -> object:
    return _amend_one(desk, call)


def _each(desk: Desk, calls: Sequence[Call], one: Callable[[Desk, Call], Row]) -> list[Row]:
    rows: list[Row] = []
    for call in calls:
        try:
            rows.append(one(desk, call))
        except WireError as wrong:
            rows.append(wrong.row)
    return rows


def _amend_batch(desk: Desk, call: Call) -> object:
    return _each(desk, _batch(call, "batchOrders", BATCH_MAX), _amend_one)


def _cancel_one(desk: Desk, call: Call) -> Row:
    order = find(desk, call)
    if order is None or not order.open:
        raise WireError(Code.CANCEL_REJECTED)
    refused = desk.venue.cancel(desk.account_id, order.order_id, None)
    if refused is not None:
        raise order_entry.refusal(refused)
    after = desk.venue.exchange.order(desk.account_id, order_id=order.order_id)
    return order_rows.answer_row(after or order)


def _cancel(desk: Desk, call: Call) -> object:
    return _cancel_one(desk, call)


def _cancel_batch(desk: Desk, call: Call) -> object:
    # Names are taken in any case: clients write orderIdList and orderidlist.
    lists = {name.lower(): value for name, value in call.fields.items()}
    for name, one in (("orderidlist", "orderId"), ("origclientorderidlist", "origClientOrderId")):
        if name in lists:
            try:
                items = msgspec.json.decode(lists[name], type=list[int | str])
            except msgspec.DecodeError:
                raise missing("orderIdList") from None
            if not 1 <= len(items) <= BATCH_CANCEL_MAX:
                raise missing("orderIdList")
            symbol = call.text("symbol")
            calls = [Call(fields={"symbol": symbol, one: str(item)}) for item in items]
            return _each(desk, calls, _cancel_one)
    raise missing("orderIdList")


def cancel_all(desk: Desk, instrument_id: str) -> None:
    """Cancel every open order of an instrument."""
    for order in desk.venue.exchange.account(desk.account_id).open_orders:
        if order.instrument_id == instrument_id:
            desk.venue.cancel(desk.account_id, order.order_id, None)


def _cancel_all(desk: Desk, call: Call) -> object:
    cancel_all(desk, instrument_of(desk, call))
    return _DONE


def _countdown(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    length_ms = call.whole("countdownTime")
    if length_ms is None or length_ms < 0:
        raise missing("countdownTime")
    desk.countdowns.pop(instrument_id, None)
    if length_ms:
        now_ms = desk.venue.exchange.now_ns // units.NS_PER_MS
        desk.countdowns[instrument_id] = now_ms + length_ms
    return {"symbol": instrument_id, "countdownTime": str(length_ms)}


def count_down(desk: Desk) -> None:
    """Cancel what a countdown has reached; called at every tick and before every request."""
    now_ms = desk.venue.exchange.now_ns // units.NS_PER_MS
    for instrument_id in [each for each, due in desk.countdowns.items() if due <= now_ms]:
        del desk.countdowns[instrument_id]
        cancel_all(desk, instrument_id)


_SIGNED: Final = Security.SIGNED

ROUTES: Final[Routes] = {
    ("POST", "/fapi/v1/order"): Route(handler=_place, security=_SIGNED, weight=0, orders=True),
    ("POST", "/fapi/v1/order/test"): Route(handler=_test, security=_SIGNED),
    ("PUT", "/fapi/v1/order"): Route(handler=_amend, security=_SIGNED, orders=True),
    ("DELETE", "/fapi/v1/order"): Route(handler=_cancel, security=_SIGNED),
    ("POST", "/fapi/v1/batchOrders"): Route(
        handler=_place_batch, security=_SIGNED, weight=5, orders=True
    ),
    ("PUT", "/fapi/v1/batchOrders"): Route(
        handler=_amend_batch, security=_SIGNED, weight=5, orders=True
    ),
    ("DELETE", "/fapi/v1/batchOrders"): Route(handler=_cancel_batch, security=_SIGNED),
    ("DELETE", "/fapi/v1/allOpenOrders"): Route(handler=_cancel_all, security=_SIGNED),
    ("POST", "/fapi/v1/countdownCancelAll"): Route(handler=_countdown, security=_SIGNED, weight=10),
}
