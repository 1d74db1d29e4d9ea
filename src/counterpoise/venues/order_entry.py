"""What every venue's order entry does before the bytes leave and after the answer came."""

from decimal import Decimal

from counterpoise.domain.errors import VenueRejected
from counterpoise.domain.events import OrderUpdate, UpdateSource
from counterpoise.domain.orders import JournaledOrder, OrderState
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.ports import Clock


def check_approval(order: JournaledOrder, clock: Clock) -> None:
    """Raise VenueRejected APPROVAL_EXPIRED for an increase whose approval is over.

    To be called after the wait for the lane, the last moment before the bytes leave.
    """
    if order.intent.increases and order.approved.expires_ns <= clock.now_ns():
        raise VenueRejected(
            f"the approval of {order.intent.client_order_id} is over; nothing was sent",
            code="APPROVAL_EXPIRED",
        )


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
