"""What orders filled and the account does not show yet.

Venues tell an order's end and its executions apart (Bybit), or list executions later than orders.
Until an execution, a position as new as the fill or a later answer shows it, what is held is not
what was traded: an increase counts in the gate as if it were still to fill, a reduction is not
sent again, and a pair is judged by what its orders filled. Neither lasts longer than its limit.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.orders import OrderState
from counterpoise.engine import actions
from counterpoise.engine.order_tracker import REDUCTION_COUNTS_NS, TrackedOrder
from counterpoise.engine.run import ACCOUNT_ASK_NS, CLOCKS_APART_NS, UNSHOWN_NS_MAX
from counterpoise.engine.state import State

ZERO: Final = Decimal(0)


def orders(state: State, within_ns: int = UNSHOWN_NS_MAX) -> list[TrackedOrder]:
    """Return our orders with something unshown that was told within that time, oldest first."""
    found: list[TrackedOrder] = []
    for key, told_ns in state.orders.unshown.items():
        order = state.orders.get(key)
        late = state.now_ns - told_ns > within_ns
        if order is not None and not late and left(state, order) > 0:
            found.append(order)
    return found


def look(state: State) -> list[actions.Action]:
    """Keep what the account shows by now; ask for the account while anything stays unshown."""
    hidden = {order.open_order.client_order_id for order in orders(state)}
    for key in [key for key in state.orders.unshown if key not in hidden]:
        state.orders.show(key)
    since_ns = min(state.orders.unshown.values(), default=state.now_ns)
    if state.now_ns - max(since_ns, state.orders.unshown_asked_ns) < ACCOUNT_ASK_NS:
        return []
    # The executions mostly come by themselves in a moment; the venue's whole answer has them too.
    state.orders.unshown_asked_ns = state.now_ns
    return [actions.Reconcile(cause="doubt")]


def may_fill(state: State) -> tuple[OpenOrder, ...]:
    """Return unshown increases as the gate counts them: as orders still to fill by that much."""
    return tuple(
        OpenOrder(
            client_order_id=order.open_order.client_order_id,
            venue_order_id=order.open_order.venue_order_id,
            instrument_id=order.open_order.instrument_id,
            side=order.open_order.side,
            quantity=left(state, order),
            filled_quantity=ZERO,
            price_limit=order.open_order.price_limit,
            reduce_only=False,
            state=OrderState.ACCEPTED,
        )
        for order in orders(state)
        # An unknown one counts whole already.
        if not order.open_order.reduce_only and order.state is not OrderState.UNKNOWN
    )


def reducing(state: State) -> dict[str, Decimal]:
    """Return base units per instrument that reductions at work or unshown take off what is held.

    Either counts for `REDUCTION_COUNTS_NS` only: nothing may stop a reduction for longer.
    """
    found = state.orders.reducing(state.now_ns)
    for order in orders(state, REDUCTION_COUNTS_NS):
        if order.open_order.reduce_only:
            name = order.open_order.instrument_id
            found[name] = found.get(name, ZERO) + left(state, order)
    return found


def quantities(state: State) -> dict[str, Decimal]:
    """Return signed base units held with what is unshown; a reduction never turns a position."""
    held = state.account.quantities()
    for order in orders(state):
        name = order.open_order.instrument_id
        before = held.get(name, ZERO)
        part = left(state, order)
        if order.open_order.reduce_only:
            against = before * order.open_order.side.sign < 0
            part = min(part, abs(before)) if against else ZERO
        held[name] = before + part * order.open_order.side.sign
    return {name: quantity for name, quantity in held.items() if quantity != 0}


def left(state: State, order: TrackedOrder) -> Decimal:
    """Return base units of an order's fills that nothing the account was told of shows yet."""
    name, sign = order.open_order.instrument_id, order.open_order.side.sign
    told = state.account.told.get(name)
    if state.account.positions_ns >= order.filled_ns + CLOCKS_APART_NS:
        return ZERO
    if told is None or told.event_ns < order.filled_ns:
        return order.unshown
    # A message of the very instant may be of a moment between two of its executions.
    instant = state.account.told_instant(name)
    ahead = None if instant is None else instant.ahead_at(order.filled_ns)
    if ahead is None:
        return ZERO
    shown = max(order.executed + max(ZERO, ahead * sign), order.shown)
    return max(ZERO, order.filled_told - shown)
