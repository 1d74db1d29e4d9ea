"""Sends a plan's orders, phase by phase, and ends the plan.

Every increase passes the gate just before it is sent; a reduction is capped to the position and
never denied.
"""

from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import OrderState
from counterpoise.engine import actions, recording, repairing, sending, together
from counterpoise.engine.plan import LegProgress, Plan, enter_phase
from counterpoise.engine.run import PHASE_NS_MAX
from counterpoise.engine.state import State

#: States of an order that the venue has not answered for: its call may be at work.
_UNANSWERED: Final = frozenset({OrderState.JOURNALED, OrderState.SUBMITTED})


def begin(state: State, plan: Plan) -> list[actions.Action]:
    """Take up a plan and send its first phase."""
    assert plan.decision_id not in state.plans, "a decision is carried out once"
    state.plans[plan.decision_id] = plan
    return repairing.open_pair(state, plan) + advance(state, plan)


def advance_all(state: State) -> list[actions.Action]:
    """Send whatever any plan can send now, oldest plan first."""
    done: list[actions.Action] = []
    for decision_id in list(state.plans):
        done += advance(state, state.plans[decision_id])
    return done + _cancel_left_behind(state)


def advance(state: State, plan: Plan) -> list[actions.Action]:
    """Count what ended, send what is left, repair the pair, or end the plan."""
    repairing.look(state, plan)
    done: list[actions.Action] = []
    while True:
        done += _carry_on(state, plan)
        if not plan.done:
            return done
        follows = repairing.next_round(state, plan)
        done += follows.records
        if follows.outcome is not None:
            return done + _end(state, plan, follows.outcome)
        if not follows.begun:
            return done


def waiting(state: State) -> dict[str, Decimal]:
    """Return base units per instrument of reductions that wait for a moment before they are sent.

    For a position to be read again, or for a resting order to end; both have their limits.
    """
    found: dict[str, Decimal] = {}
    for plan in state.plans.values():
        for leg in [leg for phase in plan.phases for leg in phase]:
            if leg.change.reduce_only and leg.held and not leg.closed:
                name = leg.change.instrument_id
                found[name] = found.get(name, Decimal(0)) + leg.remaining
    return found


def drop_increases(state: State, why: str) -> list[actions.Action]:
    """Keep only what reduces in every plan at work; what waits in the book is canceled.

    What is still in the journal is not sent any more, whosever it is, and what the venue has not
    answered for is not sent again.

    A pair that is left naked is looked at with the next event, when the reductions of whoever
    dropped the increases are at work and count.
    """
    done = _withdraw(state)
    for plan in list(state.plans.values()):
        plan.reductions_only = True
        for leg in [leg for phase in plan.phases for leg in phase]:
            if not leg.change.reduce_only and not leg.closed:
                leg.closed = True
                plan.note(f"{leg.change.instrument_id} increase dropped: {why}")
        if plan.pair is None:
            done += advance(state, plan)
        else:
            repairing.look(state, plan)
            done += _carry_on(state, plan)
    return done


def _carry_on(state: State, plan: Plan) -> list[actions.Action]:
    # Works the phases that were begun or are next, until one has orders at work.
    done: list[actions.Action] = []
    while not plan.done:
        legs = plan.phases[plan.phase]
        for leg in legs:
            # A leg is tried again as soon as its own order is over, whatever the others do.
            if sending.is_working(state, plan, leg):
                done += sending.tend(state, plan, leg)
            else:
                done += sending.send(state, plan, leg)
        at_work = [leg for leg in legs if leg.working_id is not None or leg.held]
        if at_work and state.now_ns - plan.phase_ns <= PHASE_NS_MAX:
            return done
        if at_work:
            done += _give_up(state, plan, at_work)
            continue
        plan.phase += 1
        plan.phase_ns = state.now_ns
        if not plan.done:
            lots = {i: rules.lot_size for i, rules in state.instruments.items()}
            enter_phase(plan, lots, repairing.weights(plan))
    return done


def _give_up(state: State, plan: Plan, legs: list[LegProgress]) -> list[actions.Action]:
    # The order itself stays tracked, counted by the gate and asked about until it is over.
    done: list[actions.Action] = []
    for leg in legs:
        plan.note(f"{leg.change.instrument_id} order without an end in time")
        leg.closed = True
        done += sending.tend(state, plan, leg)
    plan.phase = len(plan.phases)
    return done


def _withdraw(state: State) -> list[actions.Action]:
    # Each counts as on its way until its own update says what became of it.
    return [
        actions.Withdraw(client_order_id=key)
        for key, order in sorted(state.orders.active.items())
        if order.state in _UNANSWERED and not order.open_order.reduce_only
    ]


def _cancel_left_behind(state: State) -> list[actions.Action]:
    # A resting increase whose decision is over or was another run's waits for nothing any more.
    owned = {key for plan in state.plans.values() for key in plan.order_ids if not plan.done}
    done: list[actions.Action] = []
    for key in sorted(state.orders.active):
        order = state.orders.active[key]
        if order.rests and not order.open_order.reduce_only and key not in owned:
            done += sending.cancel(state, key)
    return done


def _end(state: State, plan: Plan, outcome: str) -> list[actions.Action]:
    del state.plans[plan.decision_id]
    together.ended(state, plan)
    return [
        recording.decision_ended(state, plan, outcome),
        *recording.equity(state, f"{plan.source.value}_end"),
    ]
