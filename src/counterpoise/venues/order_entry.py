"""What every venue's order entry does before the bytes leave and after the answer came."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

from counterpoise.domain.errors import StampRefused, VenueError, VenueRejected
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.ports import Clock
from counterpoise.venues.session import RestSession, Row

#: A reduction that was refused for its stamp waits this long for the venue's time, seconds.
MEASURED_WITHIN_SECONDS: Final = 2.0


def check_approval(order: JournaledOrder, clock: Clock) -> None:
    """Raise VenueRejected APPROVAL_EXPIRED for an increase whose approval is over.

    To be called after the wait for the lane, the last moment before the bytes leave.
    """
    if order.intent.increases and order.approved.expires_ns <= clock.now_ns():
        raise VenueRejected(
            f"the approval of {order.intent.client_order_id} is over; nothing was sent",
            code="APPROVAL_EXPIRED",
        )


async def measuring_anew(
    send: Callable[[], Awaitable[Row]], refused_code: str, session: RestSession
) -> Row:
    """Send what lowers risk; refused for its stamp alone, the clock is measured before that is told.

    `refused_code` is definite: the venue looked at the time and at nothing else. Raises what `send`
    raises; StampRefused instead of that refusal once the clock is known anew. Whether it is sent
    again is for whoever knows if this process still may.
    """
    try:
        return await send()
    except VenueRejected as refusal:
        if refusal.code != refused_code:
            raise
        try:
            async with asyncio.timeout(MEASURED_WITHIN_SECONDS):
                await session.measure_clock(for_reduction=True)
        except (VenueError, TimeoutError):
            raise refusal from None
        raise StampRefused(str(refusal), code=refusal.code) from refusal


def quantity_on_grid(quantity: Decimal, lot_size: Decimal, quantity_min: Decimal) -> Decimal:
    """Return base units on the lot grid, never more than `quantity`.

    For venues without contracts. Raises VenueRejected BELOW_LOT_SIZE (nothing was sent).
    """
    whole = quantize_toward_zero(quantity, lot_size)
    if whole <= 0 or whole < quantity_min:
        raise VenueRejected(
            f"quantity {quantity} is below the smallest order {quantity_min}", code="BELOW_LOT_SIZE"
        )
    return whole


def accepted(
    client_order_id: str,
    venue_order_id: str,
    instrument_id: str,
    *,
    event_ns: int,
    received_ns: int,
) -> OrderUpdate:
    """Return the update of an order the venue has taken; what it filled is told by the stream."""
    return OrderUpdate(
        client_order_id=client_order_id,
        venue_order_id=venue_order_id,
        instrument_id=instrument_id,
        state=OrderState.ACCEPTED,
        filled_quantity=None,
        average_price=None,
        source=UpdateSource.REST,
        code=None,
        message="",
        order=None,
        event_ns=event_ns,
        received_ns=received_ns,
    )
