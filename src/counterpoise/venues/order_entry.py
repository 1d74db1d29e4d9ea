"""What every venue's order entry does before the bytes leave and after the answer came."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

from counterpoise.domain.errors import VenueError, VenueRejected
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.ports import Clock
from counterpoise.venues.session import Row


def check_approval(order: JournaledOrder, clock: Clock) -> None:
    """Raise VenueRejected APPROVAL_EXPIRED for an increase whose approval is over.

    To be called after the wait for the lane, the last moment before the bytes leave.
    """
    if order.intent.increases and order.approved.expires_ns <= clock.now_ns():
        raise VenueRejected(
            f"the approval of {order.intent.client_order_id} is over; nothing was sent",
            code="APPROVAL_EXPIRED",
        )


async def stamped_anew(
    send: Callable[[], Awaitable[Row]],
    refused_code: str,
    correct_clock: Callable[[], Awaitable[None]],
) -> Row:
    """Send what lowers risk; refused for its stamp alone, it is stamped anew and sent once more.

    `refused_code` is definite: the venue looked at the time and at nothing else, so nothing was
    carried out. A clock of ours that stepped must not silence reductions until it is measured the
    next time. Raises what `send` raises; the first refusal if the clock cannot be measured.
    """
    try:
        return await send()
    except VenueRejected as refusal:
        if refusal.code != refused_code:
            raise
        try:
            await correct_clock()
        except VenueError:
            raise refusal from None
    return await send()


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
