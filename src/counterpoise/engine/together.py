"""Increases that belong together: the first goes out only if the gate would allow all of them.

Each is approved by itself when it is sent. But hedges fill before their core, so a core that is
denied for a reason that held before would have its hedges bought and taken off again, every cycle
anew. What reduces is sent before and judged by nobody.
"""

from dataclasses import replace
from typing import Final

from counterpoise.domain.orders import OrderIntent
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions, pricing, recording, views
from counterpoise.engine.plan import LegProgress, Plan
from counterpoise.engine.run import COMPLETE_GAP_NS, PHASE_NS_MAX, UNWOUND_DOUBLINGS_MAX
from counterpoise.engine.state import State
from counterpoise.market.view import MarketView
from counterpoise.risk import gate
from counterpoise.risk.denials import PASSING, Denial

#: Words of a decision of which nothing grew because one of its legs may not.
WORDS: Final = "denied together, nothing grows"


def look(state: State, plan: Plan, leg: LegProgress, market: MarketView) -> list[actions.Action]:
    """Hold an increase back, or drop all of the plan's, if one of them would be denied now.

    For a reason that lasts: all of them if it is the core's, and a hedge alone where it is its own.
    Does nothing once one of them has filled or is at work: then its pair is completed or unwound.
    A reason that may pass is waited for: while nothing stands alone for as long as a phase lasts,
    otherwise for no longer than lies between two tries to complete.
    """
    if plan.pair is None or plan.repairing or plan.grows:
        return []
    legs = _increases(plan)
    if not plan.pair.naked and _rests(state):
        _drop(plan, legs, f"{state.pairs_unwound} pairs in a row were unwound: none is opened yet")
        return []
    done: list[actions.Action] = []
    while (found := _denied(state, plan, legs, market)) is not None:
        intent, denial = found
        patience_ns = COMPLETE_GAP_NS if plan.pair.naked else PHASE_NS_MAX
        if denial.reason in PASSING and state.now_ns - plan.phase_ns < patience_ns:
            leg.held = True
            return done
        done.append(recording.order_denied(state, intent, denial))
        name, why = intent.instrument_id, denial.reason.value
        if denial.reason in PASSING or name == state.strategy.core_instrument:
            _drop(plan, legs, f"{WORDS}: {name} {why}")
            return done
        # A hedge that may not grow is its own affair; its core follows what the others fill.
        _drop(plan, [e for e in legs if e.change.instrument_id == name], f"{name} denied: {why}")
        legs = [each for each in legs if not each.closed]
    return done


def ended(state: State, plan: Plan) -> None:
    """Count pairs that were taken apart again; one that grew and stands ends the row."""
    if plan.pair is None:
        return
    if plan.pair.unwindings:
        state.pairs_unwound += 1
        state.pair_unwound_ns = state.now_ns
    elif plan.grows:
        state.pairs_unwound = 0


def _rests(state: State) -> bool:
    # What the gate cannot know, as a venue that refuses every core, costs a hedge bought and sold
    # each time. So after the second in a row one cycle is left out, then three, seven, fifteen.
    doublings = min(state.pairs_unwound - 1, UNWOUND_DOUBLINGS_MAX)
    if doublings < 1:
        return False
    # Half a cycle less: the last one ended some time after its slot.
    patience_ns = ((2 << doublings) - 1) * state.run.cycle_seconds * NS_PER_SECOND // 2
    return state.now_ns - state.pair_unwound_ns < patience_ns


def _drop(plan: Plan, legs: list[LegProgress], words: str) -> None:
    for each in legs:
        each.closed = True
    plan.note(words)


def _increases(plan: Plan) -> list[LegProgress]:
    # What is still to be sent of the decision, in its order.
    legs = [leg for phase in plan.phases[plan.phase : plan.phases_decided] for leg in phase]
    return [leg for leg in legs if not leg.change.reduce_only and not leg.closed]


def _denied(
    state: State, plan: Plan, legs: list[LegProgress], market: MarketView
) -> tuple[OrderIntent, Denial] | None:
    # Whole, at the farthest price each may take, whether it waits in the book first or not.
    intents = [
        pricing.make_intent(
            replace(leg.change, quantity=leg.remaining),
            market.instruments[leg.change.instrument_id],
            account_id=state.run.account_id,
            decision_id=plan.decision_id,
            attempt=plan.attempt(leg.change.instrument_id),
            cap_bps=state.run.slippage_cap_bps(state.memory.regime),
            now_ns=state.now_ns,
        )
        for leg in legs
        if leg.change.instrument_id in market.instruments
    ]
    return gate.denied_together(intents, views.risk_view(state, market))
