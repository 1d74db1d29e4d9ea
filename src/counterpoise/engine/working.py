"""Sends a plan's orders, phase by phase, and ends the plan.

Every increase passes the gate here, just before it is sent; a reduction is capped to the position
and never denied.
"""

from decimal import Decimal

from counterpoise.domain.orders import (
    ApprovedOrder,
    OrderIntent,
    OrderState,
)
from counterpoise.engine import actions, pricing, recording, views
from counterpoise.engine.plan import ATTEMPTS_MAX, LegProgress, Plan, enter_phase
from counterpoise.engine.run import PHASE_NS_MAX
from counterpoise.engine.state import State
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial


def begin(state: State, plan: Plan) -> list[actions.Action]:
    """Take up a plan and send its first phase."""
    assert plan.decision_id not in state.plans, "a decision is carried out once"
    state.plans[plan.decision_id] = plan
    return advance(state, plan)


def advance_all(state: State) -> list[actions.Action]:
    """Send whatever any plan can send now, oldest plan first."""
    done: list[actions.Action] = []
    for decision_id in list(state.plans):
        done += advance(state, state.plans[decision_id])
    return done


def advance(state: State, plan: Plan) -> list[actions.Action]:
    """Count what ended, send what is left of the phase, move on, or end the plan."""
    done: list[actions.Action] = []
    while not plan.done:
        legs = plan.phases[plan.phase]
        idle = [leg for leg in legs if not _is_working(state, plan, leg)]
        # A leg is tried again as soon as its own order is over, whatever the others do.
        done += [action for leg in idle for action in _send(state, plan, leg)]
        if any(leg.working_id is not None for leg in legs):
            return done + _give_up_if_late(state, plan)
        _enter_next(state, plan)
    return done + _end(state, plan)


def drop_increases(state: State, why: str) -> list[actions.Action]:
    """Keep only what reduces in every plan at work."""
    done: list[actions.Action] = []
    for plan in list(state.plans.values()):
        plan.reductions_only = True
        for leg in plan.legs:
            if not leg.change.reduce_only and not leg.closed:
                leg.closed = True
                plan.note(f"{leg.change.instrument_id} increase dropped: {why}")
        done += advance(state, plan)
    return done


def _is_working(state: State, plan: Plan, leg: LegProgress) -> bool:
    # Counts an order that has ended into its leg and tells whether one is still at work.
    if leg.working_id is None:
        return False
    order = state.orders.get(leg.working_id)
    assert order is not None, "a plan's order is tracked until it is over"
    if not order.over:
        return True
    leg.filled += order.open_order.filled_quantity
    leg.working_id = None
    if order.open_order.filled_quantity > 0:
        plan.orders_filled += 1
    if order.state in {OrderState.REJECTED, OrderState.EXPIRED}:
        leg.closed = True
        plan.note(f"{leg.change.instrument_id} {order.state.value}")
    return False


def _send(state: State, plan: Plan, leg: LegProgress) -> list[actions.Action]:
    market = state.market.view(state.now_ns)
    view = market.instruments.get(leg.change.instrument_id)
    if view is None:
        leg.closed = True
        plan.note(f"{leg.change.instrument_id} is not followed: its rules are not known")
        return []
    intent = _next_intent(state, plan, leg, view)
    if intent is None:
        leg.closed = True
        return []
    approved = _approve(state, market, intent)
    if isinstance(approved, Denial):
        leg.closed = True
        plan.note(f"{intent.instrument_id} denied: {approved.reason.value}")
        return [recording.order_denied(state, intent, approved)]
    if approved is None:
        leg.closed = True
        plan.note(f"{intent.instrument_id} nothing left to reduce")
        return []
    leg.attempts += 1
    leg.working_id = intent.client_order_id
    plan.orders_sent += 1
    state.orders.journaled(approved)
    return [
        actions.Submit(approved=approved, intent=recording.intent_written(state, approved)),
    ]


def _next_intent(
    state: State, plan: Plan, leg: LegProgress, view: InstrumentView
) -> OrderIntent | None:
    if leg.closed or leg.attempts >= ATTEMPTS_MAX:
        return None
    if leg.remaining < view.instrument.lot_size:
        return None
    change = leg.change
    cap_bps = state.run.slippage_bps_increase
    if change.reduce_only:
        cap_bps = state.run.slippage_bps_reduction * Decimal(2**leg.attempts)
    intent = pricing.make_intent(
        change,
        view,
        account_id=state.run.account_id,
        decision_id=plan.decision_id,
        attempt=leg.attempts,
        cap_bps=cap_bps,
        now_ns=state.now_ns,
    )
    return intent if intent.quantity == leg.remaining else pricing.resized(intent, leg.remaining)


def _approve(
    state: State, market: MarketView, intent: OrderIntent
) -> ApprovedOrder | Denial | None:
    view = views.risk_view(state, market)
    if intent.reduce_only:
        return gate.approve_reduction(intent, view)
    return gate.approve_increase(intent, view)


def _enter_next(state: State, plan: Plan) -> None:
    plan.phase += 1
    plan.phase_ns = state.now_ns
    if not plan.done:
        lots = {i: rules.lot_size for i, rules in state.instruments.items()}
        enter_phase(plan, lots)


def _give_up_if_late(state: State, plan: Plan) -> list[actions.Action]:
    # The order itself stays tracked, counted by the gate and asked about until it is over.
    if state.now_ns - plan.phase_ns <= PHASE_NS_MAX:
        return []
    for leg in plan.phases[plan.phase]:
        if leg.working_id is not None:
            plan.note(f"{leg.change.instrument_id} order without an end in time")
    plan.phase = len(plan.phases)
    return _end(state, plan, outcome="incomplete")


def _end(state: State, plan: Plan, *, outcome: str | None = None) -> list[actions.Action]:
    del state.plans[plan.decision_id]
    if outcome is None:
        complete = all(leg.remaining == 0 for leg in plan.legs)
        outcome = "done" if complete else "incomplete"
    return [
        recording.decision_ended(state, plan, outcome),
        *recording.equity(state, f"{plan.source.value}_end"),
    ]
