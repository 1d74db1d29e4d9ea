"""What happens to a pair after its phases: complete, or unwound within the naked-leg budget.

A pair is looked at with the positions the account really has, so that it does not matter which
order, fill or restart made it what it is. While the budget lasts the legs behind are tried again;
once it is used up one more try completes it if the gate allows, and otherwise what stands alone is
taken off, reduce-only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import TradingState
from counterpoise.domain.orders import IntentSource, LegChange
from counterpoise.domain.records import PairOpened
from counterpoise.engine import actions, pairing, recording, unshown, views
from counterpoise.engine.contradiction import CONFIRM_NS
from counterpoise.engine.order_tracker import REDUCTION_COUNTS_NS
from counterpoise.engine.plan import MISSES_MAX, PairProgress, Plan
from counterpoise.engine.run import (
    COMPLETE_GAP_NS,
    NAKED_NS_MAX,
    ORDER_END_NS_MAX,
    ORDER_WATCH_NS_MAX,
    REPAIR_NS_MAX,
    RESUME_DATA_NS_MAX,
    UNSHOWN_NS_MAX,
    UNWIND_GAP_NS,
    UNWIND_GAP_NS_MAX,
)
from counterpoise.engine.state import State

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a look at a pair came to."""

    #: True = a further phase was begun.
    begun: bool = False
    #: How the decision ended; None = it goes on.
    outcome: str | None = None
    #: What is written of it.
    records: tuple[actions.Action, ...] = ()


WAIT: Final = Round()


def open_pair(state: State, plan: Plan) -> list[actions.Action]:
    """Begin to watch a cycle's pair, if its legs ever stand alone; written before they trade."""
    if plan.source is not IntentSource.CYCLE:
        return []
    pair = pairing.make_pair(
        [[leg.change for leg in phase] for phase in plan.phases],
        start=state.account.quantities(),
        weights=_weights(state),
        lots={i: rules.lot_size for i, rules in state.instruments.items()},
        core_id=state.strategy.core_instrument,
    )
    if pair is None:
        return []
    seconds = state.run.execution.naked_leg_seconds
    plan.pair = PairProgress(pair=pair, budget=pair.notional * seconds, looked_ns=state.now_ns)
    return [
        actions.Write(
            record=PairOpened(
                decision_id=plan.decision_id,
                run_id=state.run.run_id,
                account_id=state.run.account_id,
                notional=pair.notional,
                naked_leg_seconds=seconds,
                body=state.encode(pair),
                opened_ns=state.now_ns,
            )
        )
    ]


def look(state: State, plan: Plan) -> None:
    """Count how long what stands alone has stood; called with every event that may change it."""
    if plan.pair is None or not state.account.complete:
        return
    naked = pairing.naked(plan.pair.pair, unshown.quantities(state))
    plan.pair.look(naked if naked > plan.pair.pair.tolerance else ZERO, state.now_ns)


def weights(plan: Plan) -> Mapping[str, Decimal]:
    """Return net beta exposure per base unit as of the decision; empty = not a pair."""
    return plan.pair.pair.weights if plan.pair is not None else {}


def next_round(state: State, plan: Plan) -> Round:
    """Say what follows once every phase of a plan is over: a repair, a wait, or its end."""
    progress = plan.pair
    if progress is None:
        # What only reduces is never waited for longer than its reductions count.
        behind = _is_behind(state, plan, REDUCTION_COUNTS_NS)
        return WAIT if behind else Round(outcome=_plain_outcome(plan))
    if progress.repairs_ns is None:
        progress.repairs_ns = state.now_ns
        if progress.resumed:
            plan.note("taken up after a restart")
    quantities = _after_working(state, progress)
    known = state.account.complete
    stands = not known or pairing.is_naked(progress.pair, quantities)
    if not stands:
        progress.stands_ns = progress.denied_ns = None
    elif progress.stands_ns is None:
        progress.stands_ns = state.now_ns
    if _waits_for_orders(state, plan, progress, stands=stands):
        return WAIT
    if not stands:
        behind = _is_behind(state, plan, UNSHOWN_NS_MAX)
        return WAIT if behind else Round(outcome=_outcome(state, plan, progress))
    assert progress.stands_ns is not None, "set above"
    late = state.now_ns - progress.stands_ns > REPAIR_NS_MAX
    if late and (progress.reduced or not known):
        return _given_up(state, plan, progress, "in time")
    if not known:
        return WAIT
    return _repair(state, plan, progress, quantities)


def _repair(
    state: State, plan: Plan, progress: PairProgress, quantities: Mapping[str, Decimal]
) -> Round:
    wanted = pairing.completing(progress.pair, quantities, state.instruments)
    changes = _within_plan(state, plan, progress, wanted)
    increases = any(not change.reduce_only for change in changes)
    if changes and (not increases or _may_complete(state, plan, progress)):
        # The last try for an increase comes at once; a reduction is tried until it is filled.
        early = state.now_ns < progress.next_ns and not (increases and progress.used_up)
        if early or (increases and _waits_for_data(state, progress, changes)):
            return WAIT
        # What the account lost while no daemon ran is not bought back as if it had not filled.
        if increases and progress.resumed and state.recorded is not None:
            return _unwind(state, plan, progress, quantities)
        progress.last_tried = increases and progress.used_up
        progress.next_ns = state.now_ns + COMPLETE_GAP_NS
        progress.completings += 1
        progress.reduced |= not increases
        plan.repair(changes, state.now_ns, misses_max=1 if increases else MISSES_MAX)
        return Round(begun=True)
    if wanted and not changes and _waits_for_account(state, plan, progress):
        return WAIT
    return _unwind(state, plan, progress, quantities)


def _waits_for_account(state: State, plan: Plan, progress: PairProgress) -> bool:
    # Increases that executed whole, and an account that shows less: one of the two is late or
    # wrong. Nothing is taken off for that before the account was asked, unless the venue took it.
    if progress.resumed or progress.used_up or plan.reductions_only:
        return False
    if progress.denied_ns is None:
        progress.denied_ns = state.now_ns
        if state.ask_again_ns is None:
            state.ask_again_ns = state.now_ns
    return state.now_ns - progress.denied_ns < CONFIRM_NS


def _within_plan(
    state: State, plan: Plan, progress: PairProgress, changes: tuple[LegChange, ...]
) -> tuple[LegChange, ...]:
    # A decision's increases never fill more than it wanted, whatever the account shows: what is
    # missing beyond that was taken by the venue, and to buy it back is the next cycle's to decide.
    kept: list[LegChange] = []
    for change in changes:
        if change.reduce_only:
            kept.append(change)
            continue
        name = change.instrument_id
        taken = _taken_by_increases(state, plan, name) + progress.increased_before.get(name, ZERO)
        left = min(change.quantity, pairing.increase(progress.pair, name) - taken)
        if left > 0 and left >= state.instruments[name].quantity_min:
            kept.append(replace(change, quantity=left))
    return tuple(kept)


def _taken_by_increases(state: State, plan: Plan, name: str) -> Decimal:
    # What the plan's increases filled and may still fill. Without an end an order counts whole:
    # it may fill after the next one was sent, however long ago it was given up.
    taken = ZERO
    for key in plan.order_ids:
        order = state.orders.get(key)
        if order is None or order.open_order.instrument_id != name or order.open_order.reduce_only:
            continue
        filled = order.open_order.filled_quantity
        taken += filled if order.over else max(filled, order.open_order.quantity)
    return taken


def _unwind(
    state: State, plan: Plan, progress: PairProgress, quantities: Mapping[str, Decimal]
) -> Round:
    if progress.unwindings and state.now_ns < progress.next_ns:
        return WAIT
    changes = pairing.unwinding(progress.pair, quantities, state.instruments)
    if not changes:
        return _given_up(state, plan, progress, "by what is held")
    gap_ns = min(UNWIND_GAP_NS << min(progress.unwindings, 10), UNWIND_GAP_NS_MAX)
    progress.next_ns = state.now_ns + gap_ns
    progress.unwindings += 1
    progress.reduced = True
    plan.note("the legs behind could not follow: taking off what stands alone")
    plan.repair(changes, state.now_ns, misses_max=MISSES_MAX)
    return Round(begun=True)


def _may_complete(state: State, plan: Plan, progress: PairProgress) -> bool:
    held_back = plan.reductions_only or state.trading_state is not TradingState.ACTIVE
    return not (held_back or progress.last_tried or progress.unwindings)


def _waits_for_orders(state: State, plan: Plan, progress: PairProgress, *, stands: bool) -> bool:
    # An order without an end may still change what stands. While something stands alone it is not
    # waited for longer than that may; otherwise a late fill must find its pair still watched.
    assert progress.repairs_ns is not None, "looked at before"
    if not unended(state, plan):
        return False
    if stands and not progress.resumed:
        return not progress.used_up
    limit_ns = ORDER_END_NS_MAX if stands else ORDER_WATCH_NS_MAX
    return state.now_ns - progress.repairs_ns < limit_ns


def unended(state: State, plan: Plan) -> list[str]:
    """Return the plan's orders whose end is not known and may still come to be known."""
    return [
        key
        for key in plan.order_ids
        if (order := state.orders.active.get(key)) is not None and not order.unresolved
    ]


def _waits_for_data(state: State, progress: PairProgress, changes: tuple[LegChange, ...]) -> bool:
    # The streams of a restart need a moment; the gate would deny for it. So do executions that
    # explain what is held.
    assert progress.repairs_ns is not None, "looked at before"
    if not progress.resumed or state.now_ns - progress.repairs_ns >= RESUME_DATA_NS_MAX:
        return False
    if views.is_contradicted(state):
        return True
    view = state.market.view(state.now_ns)
    followed = [view.instruments.get(change.instrument_id) for change in changes]
    account = state.account.view(state.now_ns, views.marks(state), state.run.account_age_ms_max)
    return bool(account.missing) or any(each is None or each.missing for each in followed)


def _is_behind(state: State, plan: Plan, within_ns: int) -> bool:
    # A decision ends with what the account shows; until then its orders explain what that says.
    keys = {order.open_order.client_order_id for order in unshown.orders(state, within_ns)}
    return not keys.isdisjoint(plan.order_ids)


def _after_working(state: State, progress: PairProgress) -> dict[str, Decimal]:
    # What is held once the reductions at work have filled, whoever sent them, with what orders
    # filled and the account does not show: it would be traded again otherwise. A second reduction
    # beside one that may still fill would make the other side naked, so it waits longer here.
    unended_ns = REDUCTION_COUNTS_NS if progress.used_up_again else NAKED_NS_MAX
    working = state.orders.reducing(state.now_ns, unended_ns)
    left: dict[str, Decimal] = {}
    for name, held in unshown.quantities(state).items():
        size = max(ZERO, abs(held) - working.get(name, ZERO))
        left[name] = size if held > 0 else -size
    return left


def _weights(state: State) -> dict[str, Decimal]:
    # An instrument without a beta counts at its notional: better too naked than not at all.
    core = state.strategy.core_instrument
    return {
        name: mark * (Decimal(1) if name == core else state.betas.get(name) or Decimal(1))
        for name, mark in views.marks(state).items()
    }


def _plain_outcome(plan: Plan) -> str:
    return "done" if all(leg.remaining == 0 for leg in plan.legs) else "incomplete"


def _outcome(state: State, plan: Plan, progress: PairProgress) -> str:
    if progress.unwindings:
        plan.note(f"unwound after {progress.seconds} naked-leg seconds")
        return "unwound"
    if progress.completings:
        plan.note(f"completed after {progress.seconds} naked-leg seconds")
    elif progress.resumed:
        plan.note("nothing stands alone")
    else:
        return _plain_outcome(plan)
    return "done" if _reached(state, progress) else "incomplete"


def _reached(state: State, progress: PairProgress) -> bool:
    # True = every leg stands where the decision wanted it, but for a lot.
    held, pair = state.account.quantities(), progress.pair
    return all(
        abs(pair.start.get(name, ZERO) + planned - held.get(name, ZERO))
        <= state.instruments[name].lot_size
        for name, planned in pair.planned.items()
    )


def _given_up(state: State, plan: Plan, progress: PairProgress, why: str) -> Round:
    words = (
        f"a pair stands naked by {progress.naked:.2f} and could be neither completed nor unwound"
        f" {why}; the guard and the next cycle see to it"
    )
    plan.note(words)
    figures = {
        "decision_id": plan.decision_id,
        "naked_notional": str(progress.naked),
        "naked_leg_seconds": str(progress.seconds),
    }
    told = recording.incident(state, "pair.naked", "critical", words, figures)
    return Round(outcome="incomplete", records=(told,))
