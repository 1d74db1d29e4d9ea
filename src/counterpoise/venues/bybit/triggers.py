"""Stops that Bybit holds back: conditional orders, mark-triggered, sent at market.

A conditional order and the order it becomes are one order under one id: Untriggered, Triggered,
then New and on. It binds no margin and reserves no position until it acts. Unlike other venues'
stops it does not end with the position: being reduce-only it then finds nothing to reduce, and the
daemon drops it (docs v5 "Place Order", "Get Open & Closed Orders").
"""

from typing import Any, Final

from counterpoise.domain.account import WaitingTrigger
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState, Side
from counterpoise.ports import Clock
from counterpoise.venues.bybit import convert, reads, rows
from counterpoise.venues.bybit.convert import CATEGORY, Listing
from counterpoise.venues.bybit.frames import OrderRow
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.figures import ns_from_ms, plain, positive_decimal, price_on_grid
from counterpoise.venues.order_entry import quantity_on_grid

#: `triggerDirection`: the mark rises, or falls, to the trigger.
_RISING: Final = 1
_FALLING: Final = 2


def request(order: JournaledOrder, listing: Listing) -> dict[str, Any]:
    """Return the fields of order/create for a stop."""
    intent = order.intent
    assert intent.trigger_price is not None, "a stop waits for a mark"
    quantity = quantity_on_grid(order.approved.quantity, listing.lot_size, listing.quantity_min)
    # Rounded toward the mark: a stop that acts a tick earlier, never later.
    trigger = price_on_grid(intent.trigger_price, intent.side, listing.tick_size, reduce_only=True)
    return {
        "category": CATEGORY,
        "symbol": listing.instrument_id,
        "side": convert.side_name(intent.side),
        "orderType": "Market",
        "qty": plain(quantity),
        "triggerPrice": plain(trigger),
        "triggerBy": "MarkPrice",
        "triggerDirection": _RISING if intent.side is Side.BUY else _FALLING,
        "positionIdx": 0,
        "reduceOnly": True,
        "orderLinkId": intent.client_order_id,
        **convert.NO_SELF_TRADE,
    }


async def find(
    session: BybitSession, symbol: str, client_order_id: str, clock: Clock
) -> OrderUpdate | None:
    """Return what became of a stop; None = Bybit knows none by that id."""
    named = {"category": CATEGORY, "symbol": symbol, "orderLinkId": client_order_id}
    for method in ("privateGetV5OrderRealtime", "privateGetV5OrderHistory"):
        listed = reads.read((await session.read(method, **named)).rows, OrderRow)
        for row in listed:
            if row.order_link_id == client_order_id:
                return _told(row, clock.now_ns())
    return None


async def waiting(session: BybitSession, settle: str) -> tuple[WaitingTrigger, ...]:
    """Return every order that waits for a price in this account, whoever sent it."""
    listed = await reads.open_rows(session, settle, order_filter="StopOrder")
    found: list[WaitingTrigger] = []
    for row in listed:
        if row.order_status not in convert.WAITING:
            # One that acted stands among the orders; a state that nobody documented is a KeyError.
            _ = convert.ORDER_STATES[row.order_status]
            continue
        found.append(
            WaitingTrigger(
                client_order_id=row.order_link_id or None,
                venue_order_id=row.order_id,
                instrument_id=row.symbol,
                side=convert.SIDES[row.side],
                # 0 = all there is to close then.
                quantity=positive_decimal(row.quantity),
                trigger_price=positive_decimal(row.trigger_price),
                reduce_only=row.reduce_only,
            )
        )
    return tuple(sorted(found, key=lambda each: each.venue_order_id))


def _told(row: OrderRow, received_ns: int) -> OrderUpdate:
    if row.order_status in convert.WAITING:
        return OrderUpdate(
            client_order_id=row.order_link_id,
            venue_order_id=row.order_id,
            instrument_id=row.symbol,
            state=OrderState.ACCEPTED,
            filled_quantity=None,
            average_price=None,
            source=UpdateSource.REST,
            code=None,
            message="",
            order=None,
            event_ns=ns_from_ms(row.updated_time or row.created_time),
            received_ns=received_ns,
        )
    if row.order_status not in convert.ORDER_STATES:
        raise VenueUnreachable(f"Bybit answered a stop's state we do not know: {row.order_status}")
    return rows.order_update(row, UpdateSource.REST, received_ns)
