"""Works one leg of a plan: prices, gates and sends its next order, and minds the one at work."""

from decimal import Decimal

from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import (
    ApprovedOrder,
    IntentSource,
    OrderIntent,
    OrderState,
    Side,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions, pricing, reaching, recording, together, unshown, views
from counterpoise.engine.order_tracker import TrackedOrder
from counterpoise.engine.plan import ORDERS_PER_LEG_MAX, LegProgress, Plan
from counterpoise.engine.run import (
    BANDED_NS,
    CANCEL_AGAIN_NS,
    DOUBTED_NS_MAX,
    POST_ONLY_NS,
    RESERVED_NS_MAX,
)
from counterpoise.engine.state import State
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial
from counterpoise.strategy.memory import Regime


def is_working(state: State, plan: Plan, leg: LegProgress) -> bool:
    """Tell whether a leg's order is still at work; one that has ended is counted into the leg."""
    if leg.working_id is None:
        return False
    order = state.orders.get(leg.working_id)
    assert order is not None, "a plan's order is tracked until it is over"
    if not order.over:
        return True
    rested, leg.resting, leg.working_id = leg.resting, False, None
    filled = order.open_order.filled_quantity
    leg.filled += filled
    if filled > 0:
        plan.orders_filled += 1
    whole = order.open_order.remaining <= 0
    if rested and not whole:
        # Its time was up, or the venue would not let it wait: from now on it takes.
        leg.passive_until_ns = min(leg.passive_until_ns or state.now_ns, state.now_ns)
    elif not whole and not _outside_band(state, leg, order):
        leg.misses += 1
    if not rested:
        reaching.ended(state, plan, leg, order)
    if order.state in {OrderState.REJECTED, OrderState.EXPIRED}:
        plan.note(f"{leg.change.instrument_id} {order.state.value}")
        doubtful = leg.change.reduce_only and leg.change.instrument_id in state.doubted
        again = rested or doubtful or _outside_band(state, leg, order)
        leg.closed = leg.closed or not again
    return False


def _outside_band(state: State, leg: LegProgress, order: TrackedOrder) -> bool:
    # A reduction that was refused for its price, not for anything else: it goes again at market.
    refused_ns = state.banded.get(leg.change.instrument_id, -1)
    priced = order.open_order.price_limit is not None
    return (
        leg.change.reduce_only
        and priced
        and order.state is OrderState.REJECTED
        and refused_ns >= order.created_ns
    )


def tend(state: State, plan: Plan, leg: LegProgress) -> list[actions.Action]:
    """Cancel a leg's resting order once it has waited for as long as it may."""
    if not leg.resting or leg.working_id is None:
        return []
    late = state.now_ns >= (leg.passive_until_ns or 0)
    hurried = plan.reductions_only or (plan.pair is not None and plan.pair.used_up)
    # A reduction rests only where the venue takes nothing else: there is no hurrying it.
    hurried = hurried and not leg.change.reduce_only
    if not (late or leg.closed or hurried):
        return []
    return cancel(state, leg.working_id)


def cancel(state: State, client_order_id: str) -> list[actions.Action]:
    """Ask for a cancel of an order at work; nothing if one was asked for a moment ago."""
    order = state.orders.active.get(client_order_id)
    if order is None or not state.orders.cancel_due(client_order_id, state.now_ns, CANCEL_AGAIN_NS):
        return []
    return [
        actions.Cancel(
            instrument_id=order.open_order.instrument_id, client_order_id=client_order_id
        )
    ]


def send(state: State, plan: Plan, leg: LegProgress) -> list[actions.Action]:
    """Send what a leg needs next; the leg is closed when there is nothing, or held back."""
    leg.held = False
    if leg.closed:
        return []
    market = state.market.view(state.now_ns)
    view = market.instruments.get(leg.change.instrument_id)
    if view is None:
        leg.closed = True
        plan.note(f"{leg.change.instrument_id} is not followed: its rules are not known")
        return []
    if not _wants_more(leg, view):
        leg.closed = True
        return []
    if leg.change.reduce_only:
        first = _free_position(state, leg)
    else:
        first = together.look(state, plan, leg, market)
    if leg.held or leg.closed:
        return first
    return first + _submit(state, plan, leg, market, view)


def _submit(
    state: State, plan: Plan, leg: LegProgress, market: MarketView, view: InstrumentView
) -> list[actions.Action]:
    intent = _next_intent(state, plan, leg, view)
    approved = _approve(state, market, intent)
    if isinstance(approved, Denial):
        leg.closed = True
        plan.note(f"{intent.instrument_id} denied: {approved.reason.value}")
        return [recording.order_denied(state, intent, approved)]
    if approved is None:
        leg.closed = True
        plan.note(f"{intent.instrument_id} nothing left to reduce")
        return []
    plan.attempts[intent.instrument_id] = intent.attempt + 1
    plan.order_ids.append(intent.client_order_id)
    plan.orders_sent += 1
    leg.orders += 1
    leg.working_id = intent.client_order_id
    leg.resting = intent.rests
    if leg.resting and leg.change.reduce_only:
        leg.passive_until_ns = state.now_ns + POST_ONLY_NS
    elif leg.resting and leg.passive_until_ns is None:
        box_ns = int(state.run.execution.passive_seconds * NS_PER_SECOND)
        leg.passive_until_ns = state.now_ns + box_ns
    state.orders.journaled(approved, _held_before(state, intent.instrument_id))
    return [
        actions.Submit(approved=approved, intent=recording.intent_written(state, approved)),
    ]


def _held_before(state: State, instrument_id: str) -> Decimal | None:
    # What was filled and is not shown yet will move the position without this order.
    if any(o.open_order.instrument_id == instrument_id for o in unshown.orders(state)):
        return None
    return state.account.quantities().get(instrument_id, Decimal(0))


def _wants_more(leg: LegProgress, view: InstrumentView) -> bool:
    tried_out = leg.misses >= leg.misses_max or leg.orders >= ORDERS_PER_LEG_MAX
    return not tried_out and leg.remaining >= view.instrument.lot_size


def _next_intent(state: State, plan: Plan, leg: LegProgress, view: InstrumentView) -> OrderIntent:
    cap_bps = state.run.slippage_cap_bps(state.memory.regime)
    if leg.change.reduce_only:
        cap_bps = reaching.cap_bps(state, plan, leg)
    intent = pricing.make_intent(
        leg.change,
        view,
        account_id=state.run.account_id,
        decision_id=plan.decision_id,
        attempt=plan.attempt(leg.change.instrument_id),
        cap_bps=cap_bps,
        now_ns=state.now_ns,
        waits=_may_wait(state, plan, leg) or _must_wait(leg, view),
        at_market=_at_market(state, leg) and not _must_wait(leg, view),
    )
    # Only a decision of the cycle has time to go step by step into a thin book.
    patient = plan.source is IntentSource.CYCLE and not plan.repairing
    share = state.run.execution.depth_share_max if patient else None
    left = ORDERS_PER_LEG_MAX - leg.orders
    quantity = pricing.child_quantity(leg.remaining, view, share, left)
    return intent if intent.quantity == quantity else pricing.resized(intent, quantity)


def _at_market(state: State, leg: LegProgress) -> bool:
    # A band that refused our price is nearer than our own limit, so the price at which the venue
    # bounds a market order is better than one we had accepted; and it cannot be refused for it.
    refused_ns = state.banded.get(leg.change.instrument_id)
    late = refused_ns is None or state.now_ns - refused_ns >= BANDED_NS
    return leg.change.reduce_only and not late


def _must_wait(leg: LegProgress, view: InstrumentView) -> bool:
    # Anything that takes would be refused there; the guard and the flatten try again and again.
    post_only = view.instrument.state is InstrumentState.POST_ONLY
    return leg.change.reduce_only and post_only


def _may_wait(state: State, plan: Plan, leg: LegProgress) -> bool:
    # Only what nothing stands naked for: the first increase of a decision, in a calm market. A
    # reduction never waits.
    if leg.change.reduce_only or plan.source is not IntentSource.CYCLE or plan.repairing:
        return False
    if state.memory.regime is not Regime.CALM or not plan.leads:
        return False
    if not state.run.execution.passive_seconds:
        return False
    return leg.passive_until_ns is None or state.now_ns < leg.passive_until_ns


def _free_position(state: State, leg: LegProgress) -> list[actions.Action]:
    # Cancels resting orders of ours that reserve what this reduction needs and waits for their
    # end; waits as well while the venue's answer about a doubted position is under way. Neither
    # wait is longer than its limit: the venue has the last word, reduce-only keeps it harmless.
    name = leg.change.instrument_id
    doubted_ns = state.doubted.get(name)
    if doubted_ns is not None and state.now_ns - doubted_ns < DOUBTED_NS_MAX:
        leg.held = True
        return []
    state.doubted.pop(name, None)
    reserving = _reserving(state, name, leg.change.side)
    reserved = sum((order.open_order.remaining for order in reserving), Decimal(0))
    held = abs(state.account.quantities().get(name, Decimal(0)))
    if not reserving or leg.remaining <= held - reserved:
        return []
    if not leg.held_until_ns:
        leg.held_until_ns = state.now_ns + RESERVED_NS_MAX
    leg.held = state.now_ns < leg.held_until_ns
    found: list[actions.Action] = []
    for order in reserving:
        found += cancel(state, order.open_order.client_order_id or "")
    return found


def _reserving(state: State, instrument_id: str, side: Side) -> list[TrackedOrder]:
    return [
        order
        for order in state.orders.resting(instrument_id)
        if order.open_order.reduce_only and order.open_order.side is side
    ]


def _approve(
    state: State, market: MarketView, intent: OrderIntent
) -> ApprovedOrder | Denial | None:
    view = views.risk_view(state, market)
    if intent.reduce_only:
        return gate.approve_reduction(intent, view)
    return gate.approve_increase(intent, view)
