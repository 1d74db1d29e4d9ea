"""Prices a wish and names it: a `LegChange` becomes an `OrderIntent`."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain import identity, rounding
from counterpoise.domain.orders import (
    LegChange,
    OrderIntent,
    OrderKind,
    Side,
    TimeInForce,
)
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.market.view import InstrumentView

ONE: Final = Decimal(1)


def reference_price(view: InstrumentView) -> Decimal | None:
    """Return mid of a book in sequence, else the last mark, else None; quote per base."""
    if view.bid is not None and view.ask is not None:
        return (view.bid + view.ask) / 2
    return view.mark


def limit_inside_cap(reference: Decimal, side: Side, cap_bps: Decimal, tick: Decimal) -> Decimal:
    """Return the worst price accepted: `cap_bps` beyond the reference, rounded toward it."""
    if side is Side.BUY:
        return rounding.quantize_down(reference * (ONE + cap_bps / BPS_PER_ONE), tick)
    return rounding.quantize_up(reference * (ONE - cap_bps / BPS_PER_ONE), tick)


def make_intent(
    change: LegChange,
    view: InstrumentView,
    *,
    account_id: str,
    decision_id: str,
    attempt: int,
    cap_bps: Decimal,
    now_ns: int,
) -> OrderIntent:
    """Return a limit IOC inside the slippage cap, or a market order where no price is known.

    Only a reduction may meet a market without any price: an increase is denied for it.
    """
    reference = reference_price(view)
    price_limit = None
    if reference is not None:
        price_limit = limit_inside_cap(reference, change.side, cap_bps, view.instrument.tick_size)
        if price_limit <= 0:
            price_limit = view.instrument.tick_size
    return OrderIntent(
        client_order_id=identity.client_order_id(
            account_id, decision_id, change.instrument_id, attempt
        ),
        decision_id=decision_id,
        instrument_id=change.instrument_id,
        leg=change.leg,
        source=change.source,
        side=change.side,
        quantity=change.quantity,
        kind=OrderKind.MARKET if price_limit is None else OrderKind.LIMIT,
        price_limit=price_limit,
        time_in_force=TimeInForce.IOC,
        reduce_only=change.reduce_only,
        attempt=attempt,
        created_ns=now_ns,
    )


def resized(intent: OrderIntent, quantity: Decimal) -> OrderIntent:
    """Return the same wish for another quantity, base units."""
    return replace(intent, quantity=quantity)
