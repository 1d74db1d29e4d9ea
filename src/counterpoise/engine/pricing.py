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


#: What says of a book, or of a mark, that it is not of now.
_BOOK_OLD: Final = frozenset({"BOOK_STALE", "BOOK_MISSING"})
_MARK_OLD: Final = frozenset({"MARK_STALE", "MARK_MISSING"})


def reference_price(view: InstrumentView) -> Decimal | None:
    """Return mid of a book in sequence, else the last mark, else None; quote per base."""
    return view.mark if _mid(view) is None else _mid(view)


def reducing_price(view: InstrumentView, side: Side) -> Decimal | None:
    """Return what a reduction is priced from, quote per base; None = no price is known.

    Mid or mark, whichever lets it pay more: a book may stand still, a mark may lag, and what must
    go out is not held by the one that is wrong. What is too old counts only where both are.
    """
    mid, mark = _mid(view), view.mark
    missing = frozenset(view.missing)
    new = [p for p, old in ((mid, _BOOK_OLD), (mark, _MARK_OLD)) if not missing & old]
    known = [p for p in new if p is not None] or [p for p in (mid, mark) if p is not None]
    if not known:
        return None
    return max(known) if side is Side.BUY else min(known)


def _mid(view: InstrumentView) -> Decimal | None:
    if view.bid is None or view.ask is None:
        return None
    return (view.bid + view.ask) / 2


def limit_inside_cap(reference: Decimal, side: Side, cap_bps: Decimal, tick: Decimal) -> Decimal:
    """Return the worst price accepted: `cap_bps` beyond the reference, rounded toward it."""
    if side is Side.BUY:
        return rounding.quantize_down(reference * (ONE + cap_bps / BPS_PER_ONE), tick)
    return rounding.quantize_up(reference * (ONE - cap_bps / BPS_PER_ONE), tick)


def own_best(view: InstrumentView, side: Side) -> Decimal | None:
    """Return the best price an order of this side can wait at; None = no such book of now."""
    if _BOOK_OLD & frozenset(view.missing):
        return None
    if view.bid is None or view.ask is None or view.bid >= view.ask:
        return None
    return view.bid if side is Side.BUY else view.ask


def child_quantity(
    remaining: Decimal, view: InstrumentView, depth_share: Decimal | None, orders_left: int
) -> Decimal:
    """Return how much of `remaining` one order may carry, base units on the lot grid.

    Never more than the venue takes at once. `depth_share` of the visible depth at most (None =
    whatever the depth), but enough for the orders that are left to carry it all; neither makes an
    order smaller than the venue's least, nor leaves less than that behind.
    """
    instrument, reference = view.instrument, reference_price(view)
    least = instrument.quantity_min
    if instrument.notional_min is not None and reference:
        # Twice the least notional: the limit or the mark may lie below the reference.
        least = max(least, 2 * instrument.notional_min / reference)
    quantity = remaining
    if depth_share is not None and view.depth_quote is not None and reference:
        visible = view.depth_quote * depth_share / reference
        quantity = min(quantity, max(visible, remaining / max(orders_left, 1), least))
    limits = (instrument.market_quantity_max, instrument.limit_quantity_max)
    most = min((limit for limit in limits if limit is not None), default=remaining)
    if remaining <= most and remaining - quantity < least:
        return remaining
    quantity = rounding.quantize_toward_zero(min(quantity, most), instrument.lot_size)
    return min(max(quantity, instrument.lot_size), remaining)


def make_intent(
    change: LegChange,
    view: InstrumentView,
    *,
    account_id: str,
    decision_id: str,
    attempt: int,
    cap_bps: Decimal,
    now_ns: int,
    waits: bool = False,
    at_market: bool = False,
) -> OrderIntent:
    """Return a limit IOC inside the slippage cap, or a market order where no price is known.

    Only a reduction may meet a market without any price: an increase is denied for it. `waits` =
    post-only at the best price of its own side instead, where there is one. `at_market` = no
    price of ours, because the venue refuses it.
    """
    assert change.reduce_only or not at_market, "an increase is never sent at market"
    reference = None
    if not at_market:
        reducing = change.reduce_only
        reference = reducing_price(view, change.side) if reducing else reference_price(view)
    price_limit = None
    if reference is not None:
        price_limit = limit_inside_cap(reference, change.side, cap_bps, view.instrument.tick_size)
        if price_limit <= 0:
            price_limit = view.instrument.tick_size
    best = own_best(view, change.side) if waits else None
    if best is not None:
        price_limit = best
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
        time_in_force=TimeInForce.IOC if best is None else TimeInForce.GTC,
        reduce_only=change.reduce_only,
        attempt=attempt,
        created_ns=now_ns,
        post_only=best is not None,
    )


def resized(intent: OrderIntent, quantity: Decimal) -> OrderIntent:
    """Return the same wish for another quantity, base units."""
    return replace(intent, quantity=quantity)
