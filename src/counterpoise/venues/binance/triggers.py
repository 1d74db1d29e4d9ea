"""Stops that Binance holds back: algo orders, mark-triggered, sent at market.

They bind no margin and reserve no position until they act, and end with the position (GTE_GTC).
The order a stop makes bears the stop's client id (USD-M "New Algo Order", "ALGO_UPDATE").
"""

from collections.abc import Mapping
from typing import Any, Final

from counterpoise.domain.account import WaitingTrigger
from counterpoise.domain.errors import OutcomeUnknown, VenueRejected, VenueUnreachable
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState, Side
from counterpoise.ports import Clock
from counterpoise.venues import figures, order_entry
from counterpoise.venues.binance import errors, reads, rows
from counterpoise.venues.binance.convert import ORDER_STATES, Listing
from counterpoise.venues.binance.frames import AlgoRow, OrderRow
from counterpoise.venues.binance.session import BinanceSession

#: A stop that is over, or waits; one that acted is what its order is.
_STATES: Final[Mapping[str, OrderState]] = {
    "NEW": OrderState.ACCEPTED,
    "TRIGGERING": OrderState.ACCEPTED,
    "TRIGGERED": OrderState.ACCEPTED,
    "FINISHED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "EXPIRED": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
}


def request(order: JournaledOrder, listing: Listing) -> dict[str, Any]:
    """Return the fields of fapi/v1/algoOrder for a stop."""
    intent = order.intent
    assert intent.trigger_price is not None, "a stop waits for a mark"
    quantity = order_entry.quantity_on_grid(
        order.approved.quantity, listing.lot_size, listing.quantity_min
    )
    # Rounded toward the mark: a stop that acts a tick earlier, never later.
    trigger = figures.price_on_grid(
        intent.trigger_price, intent.side, listing.tick_size, reduce_only=True
    )
    return {
        "algoType": "CONDITIONAL",
        "symbol": listing.symbol,
        "side": intent.side.value.upper(),
        "type": "STOP_MARKET",
        "quantity": figures.plain(quantity),
        "triggerPrice": figures.plain(trigger),
        "workingType": "MARK_PRICE",
        "reduceOnly": "true",
        "timeInForce": "GTE_GTC",
        "clientAlgoId": intent.client_order_id,
    }


def accepted(
    answer: Mapping[str, Any], client_order_id: str, listing: Listing, clock: Clock
) -> OrderUpdate:
    """Return Binance's answer to a stop. Raises OutcomeUnknown for one that does not name it."""
    if not answer.get("algoId") or answer.get("clientAlgoId") != client_order_id:
        raise OutcomeUnknown(
            f"Binance answered without naming the stop {client_order_id}: {str(answer)[:120]}"
        )
    received_ns = clock.now_ns()
    return order_entry.accepted(
        client_order_id,
        str(answer["algoId"]),
        listing.symbol,
        event_ns=figures.ns_from_ms(answer.get("createTime")) or received_ns,
        received_ns=received_ns,
    )


def cancel_request(symbol: str, client_order_id: str) -> dict[str, str]:
    """Return the parameters of DELETE algoOrder that has a stop dropped."""
    return {"symbol": symbol, "clientAlgoId": client_order_id}


async def find(
    session: BinanceSession, symbol: str, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return what became of a stop and of the order it made; None = Binance knows none."""
    try:
        answer = await session.row("fapiPrivateGetAlgoOrder", clientAlgoId=client_order_id)
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    (row,) = reads.read([answer], AlgoRow)
    if row.client_algo_id != client_order_id:
        return None
    if row.algo_status not in _STATES:
        raise VenueUnreachable(f"Binance answered a stop's state we do not know: {row.algo_status}")
    state = _STATES[row.algo_status]
    if row.actual_order_id:
        made = await _made(session, symbol, str(row.actual_order_id), clock)
        if made is not None:
            return made
        # Forgotten, so it is over; what it filled stands in the stop.
        state = OrderState.CANCELED
    filled = figures.decimal(row.actual_qty or "0")
    return OrderUpdate(
        client_order_id=client_order_id,
        venue_order_id=str(row.algo_id),
        instrument_id=row.symbol,
        state=state,
        filled_quantity=filled,
        average_price=None,
        source=UpdateSource.REST,
        code=None,
        message="",
        order=None,
        event_ns=figures.ns_from_ms(row.update_time or row.create_time),
        received_ns=clock.now_ns(),
    )


async def waiting(session: BinanceSession) -> tuple[WaitingTrigger, ...]:
    """Return every stop that waits in this account, whoever sent it."""
    listed = reads.read(await session.rows("fapiPrivateGetOpenAlgoOrders"), AlgoRow)
    found = [
        WaitingTrigger(
            client_order_id=row.client_algo_id or None,
            venue_order_id=str(row.algo_id),
            instrument_id=row.symbol,
            side=Side(row.side.lower()),
            quantity=figures.positive_decimal(row.quantity),
            trigger_price=figures.decimal(row.trigger_price),
            # One that closes the whole position says so instead.
            reduce_only=row.reduce_only or row.close_position,
        )
        for row in listed
    ]
    return tuple(sorted(found, key=lambda each: each.venue_order_id))


async def _made(
    session: BinanceSession, symbol: str, order_id: str, clock: Clock
) -> OrderUpdate | None:
    try:
        answer = await session.row("fapiPrivateGetOrder", symbol=symbol, orderId=order_id)
    except VenueRejected as error:
        if error.code in errors.NOT_FOUND:
            return None
        raise
    (row,) = reads.read([answer], OrderRow)
    return rows.order_update(row, clock.now_ns()) if row.status in ORDER_STATES else None
