"""How far from mid a reduction reaches, and how much farther after it met nobody there.

The cap of one decision covers a book as wide as books are. What must go out, for the guard or a
flatten, also goes out of one that is wider: each order of theirs that executed nothing doubles the
cap of the next in that instrument, across decisions, until one fills whole. It is bounded: by
`CAP_DOUBLINGS_URGENT_MAX` here, and by the venue's own band, where the order goes at market.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import IntentSource, OrderState
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine.order_tracker import TrackedOrder
from counterpoise.engine.plan import LegProgress, Plan
from counterpoise.engine.state import State

#: Doublings of a reduction's cap from mid: beyond, a thin moment would cost more than it is worth.
CAP_DOUBLINGS_MAX: Final = 2
#: ... and where it must go out: 64 times 50 bps is a third of the price.
CAP_DOUBLINGS_URGENT_MAX: Final = 6
#: Orders that met nobody are forgotten after this: by then the book is another one.
MISSED_NS_MAX: Final = 30 * NS_PER_SECOND

_URGENT: Final = frozenset({IntentSource.GUARD, IntentSource.FLATTEN})


def cap_bps(state: State, plan: Plan, leg: LegProgress) -> Decimal:
    """Return how far from mid, or mark, the next reduction of a leg may be priced, bps."""
    again = plan.repairing and plan.pair is not None and plan.pair.rounds > 1
    doublings = CAP_DOUBLINGS_MAX if again else min(leg.misses, CAP_DOUBLINGS_MAX)
    if plan.source in _URGENT:
        missed, missed_ns = state.missed.get(leg.change.instrument_id, (0, 0))
        if state.now_ns - missed_ns <= MISSED_NS_MAX:
            doublings = min(max(doublings, missed), CAP_DOUBLINGS_URGENT_MAX)
    return state.run.slippage_bps_reduction * Decimal(2**doublings)


def ended(state: State, plan: Plan, leg: LegProgress, order: TrackedOrder) -> None:
    """Count an order that took and is over: one that met nobody reaches farther the next time."""
    name, told = leg.change.instrument_id, order.open_order
    if not leg.change.reduce_only or plan.source not in _URGENT:
        return
    if told.remaining <= 0:
        state.missed.pop(name, None)
    elif order.state is OrderState.CANCELED and told.filled_quantity == 0:
        missed, missed_ns = state.missed.get(name, (0, 0))
        if state.now_ns - missed_ns > MISSED_NS_MAX:
            missed = 0
        state.missed[name] = (missed + 1, state.now_ns)
