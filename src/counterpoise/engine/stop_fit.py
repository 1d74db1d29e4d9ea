"""Which stop at the venue still fits its leg, and which legs have none that does."""

from decimal import Decimal
from typing import Final

from counterpoise.engine import unshown, views
from counterpoise.engine.order_tracker import TrackedOrder
from counterpoise.engine.state import State
from counterpoise.risk import protection
from counterpoise.risk.protection import StopTarget

#: A stop lies too far or too near by this part of the distance at which it should lie, or by
#: `stop_band` of the mark, whichever is less.
BAND_OF_DISTANCE: Final = Decimal("0.25")
#: Within a cycle the market moves a stop once the mark used up this part of its distance as placed.
USED_UP: Final = Decimal("0.5")


def fits(state: State, order: TrackedOrder, target: StopTarget, mark: Decimal) -> bool:
    """Tell whether a stop may stay where it is: its side, its size and how far it lies.

    A trade of any leg moves liquidation, so after one every stop is looked at again. The market
    alone moves one once per cycle, and in between only out of the mark's way: a stop knows one mark
    and the guard the whole book, and the guard is to act first.
    """
    book, parameters = state.protection, state.run.protection
    assert parameters is not None, "stops are kept"
    stop = order.open_order
    held = state.account.quantities()
    size = held.get(stop.instrument_id, Decimal(0))
    if not _covers(order, size, target.quantity, parameters.stop_quantity_band):
        return False
    key = stop.client_order_id or ""
    trigger = book.trigger_prices.get(key)
    if trigger is None:
        return False
    wanted = abs(target.trigger_price - mark)
    band = min(parameters.stop_band * mark, BAND_OF_DISTANCE * wanted)
    if abs(trigger - target.trigger_price) <= band:
        return True
    leg = book.leg(stop.instrument_id)
    if leg.slot_ns != state.cycle_slot_ns or leg.held != held:
        return False
    # Once the mark is beyond a stop the venue has sent it, and it is not called back.
    left = (trigger - mark) * stop.side.sign
    farther = (target.trigger_price - trigger) * stop.side.sign > 0
    placed = abs(trigger - book.placed_marks.get(key, mark))
    return not (farther and 0 < left <= (1 - USED_UP) * placed)


def _covers(order: TrackedOrder, held: Decimal, wanted: Decimal, band: Decimal) -> bool:
    stop = order.open_order
    against = held * stop.side.sign < 0
    return against and wanted * (1 - band) <= stop.quantity <= abs(held)


def is_closing(state: State) -> bool:
    """Tell whether a stop of the daemon closes what is held; one that holds leaves it to stops."""
    return state.stopping is not None and state.stopping.flatten


def lacking(state: State) -> list[str]:
    """Return the legs that should have a stop and have none at the venue that fits, sorted.

    Empty where none are kept, and before the account is known. A leg too small for an order needs
    none; where one should lie cannot be told without fresh marks, and then its size is enough. A
    leg lacks it also while an increase of it filled that the account does not show yet.
    """
    parameters = state.run.protection
    kept = state.run.has_triggers and not state.run.observe and state.account.complete
    if parameters is None or not kept:
        return []
    view = views.risk_view(state, state.market.view(state.now_ns))
    targets = protection.stop_targets(view, state.guard, parameters)
    found = {order.instrument_id for order in unshown.may_fill(state)} - state.run.unmanaged
    for name, held in state.account.quantities().items():
        wanted = protection.quantity_to_protect(view, name, held)
        waiting = state.protection.waiting(name)
        target = targets.get(name)
        if target is None:
            band = parameters.stop_quantity_band
            fit = any(_covers(order, held, wanted, band) for order in waiting)
        else:
            fit = any(fits(state, order, target, view.marks[name]) for order in waiting)
        if wanted > 0 and not fit:
            found.add(name)
    return sorted(found)
