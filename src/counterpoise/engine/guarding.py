"""Between cycles: looks at leverage after every mark, fill and balance, and reduces at once."""

from dataclasses import dataclass, replace
from decimal import Decimal

from counterpoise.domain import identity
from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.domain.orders import IntentSource
from counterpoise.domain.records import DecisionMade
from counterpoise.engine import actions, recording, unshown, views, working
from counterpoise.engine.plan import make_plan
from counterpoise.engine.run import DOUBTED_NS_MAX, GUARD_GAP_NS, GUARD_GAP_NS_MAX
from counterpoise.engine.state import State
from counterpoise.risk import guard, leverage
from counterpoise.risk.view import RiskView
from counterpoise.strategy.parameters import STRATEGY_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardInputs:
    """Everything a guard decision was given."""

    risk: RiskView
    parameters: guard.GuardParameters
    #: Base units per instrument that reductions at work, or about to be sent, may still take off
    #: what is shown.
    working: dict[str, Decimal]
    #: True = a hedge leg vanished: only the core is judged.
    leg_vanished: bool
    #: Instruments whose position the venue denied a moment ago: nothing is sent there yet, and what
    #: is held there still counts.
    doubted: tuple[str, ...] = ()


@counted_in_money
def recompute(inputs: GuardInputs) -> guard.GuardVerdict:
    """Evaluate; a pure function of its argument."""
    judge = guard.unhedged_cut if inputs.leg_vanished else guard.evaluate
    verdict = judge(inputs.risk, inputs.parameters, inputs.working)
    sent = tuple(c for c in verdict.changes if c.instrument_id not in inputs.doubted)
    return replace(verdict, changes=sent)


def watch(state: State) -> list[actions.Action]:
    """Measure leverage now and act if a trigger is crossed.

    Leverage is looked at each time; net beta and liquidation distance, which cost more to
    compute, at most every `GUARD_GAP_NS`.
    """
    asked = unshown.look(state)
    urgent = measure(state)
    looked = state.now_ns - state.guard_looked_ns < GUARD_GAP_NS
    acted = state.now_ns - state.guard_ns < _gap_ns(state)
    if state.run.observe or acted or (looked and not urgent):
        return asked
    state.guard_looked_ns = state.now_ns
    done = _judge(state, leg_vanished=True) if state.leg_vanished else []
    return asked + (done or _judge(state, leg_vanished=False))


def _gap_ns(state: State) -> int:
    # Doubles for each decision in a row that filled nothing, so that a refusing venue is asked
    # less and less often, and falls back with the first fill.
    return min(GUARD_GAP_NS << min(state.guard_idle, 10), GUARD_GAP_NS_MAX)


def leg_vanished(state: State) -> list[actions.Action]:
    """A hedge shrank without an order of ours (ADL, liquidation): cut the core at once.

    A decision under way grows nothing more: what it was sized for is no longer held, and to buy
    back what the venue took is for the next cycle to decide.
    """
    measure(state)
    state.leg_vanished = True
    done = working.drop_increases(state, "the venue took a hedge away")
    return done if state.run.observe else done + _judge(state, leg_vanished=True)


def _judge(state: State, *, leg_vanished: bool) -> list[actions.Action]:
    inputs = _inputs(state, leg_vanished=leg_vanished)
    verdict = recompute(inputs)
    if leg_vanished and verdict.reason is guard.GuardReason.WITHIN_LIMITS:
        # Until then every later look asks again: an order may be refused, equity be unknown.
        state.leg_vanished = False
    if not verdict.triggered or not verdict.changes:
        return []
    # What older decisions send at this moment is at work before the rest is sized.
    done = working.drop_increases(state, "the guard acts")
    inputs = _inputs(state, leg_vanished=leg_vanished)
    verdict = recompute(inputs)
    if not verdict.changes:
        return done
    if state.account.filled_ns < state.guard_ns:
        state.guard_idle += 1
    else:
        state.guard_idle = 0
    state.guard_ns = state.now_ns
    return done + _act(state, inputs, verdict)


def _inputs(state: State, *, leg_vanished: bool) -> GuardInputs:
    # A position the venue denied is read again first: until then, for a moment at most, a
    # reduction of it would only be refused again. The other legs are judged as ever, and what
    # waits there does not count as done. What waits for a resting order to end is sent for sure.
    doubted = tuple(
        name
        for name, doubted_ns in sorted(state.doubted.items())
        if state.now_ns - doubted_ns < DOUBTED_NS_MAX
    )
    at_work = unshown.reducing(state)
    for name, quantity in working.waiting(state).items():
        if name not in doubted:
            at_work[name] = at_work.get(name, Decimal(0)) + quantity
    return GuardInputs(
        risk=views.risk_view(state, state.market.view(state.now_ns)),
        parameters=state.guard,
        working=at_work,
        leg_vanished=leg_vanished,
        doubted=doubted,
    )


def measure(state: State) -> bool:
    """Recompute leverage and its maxima; True = at or above the guard's trigger.

    Equity <= 0 with a position is infinite leverage; unknown equity measures nothing.
    """
    marks = views.marks(state)
    equity = state.account.equity(marks)
    gross = leverage.gross_exposure(state.account.quantities(), marks)
    state.leverage = leverage.leverage(gross, equity)
    state.leverage_infinite = leverage.is_infinite(gross, equity)
    if state.leverage is None:
        return state.leverage_infinite
    state.leverage_max = max(state.leverage, state.leverage_max or Decimal(0))
    state.leverage_max_run = max(state.leverage, state.leverage_max_run or Decimal(0))
    return state.leverage >= state.guard.leverage_trigger


def _act(state: State, inputs: GuardInputs, verdict: guard.GuardVerdict) -> list[actions.Action]:
    state.sequence += 1
    decision_id = identity.decision_id(
        state.run.account_id, state.run.epoch, state.sequence, state.now_ns
    )
    figure = "infinite" if state.leverage is None else f"{state.leverage:.3f}"
    summary = (
        f"Guard ({verdict.reason.value}) at leverage {figure}: reducing "
        f"{', '.join(change.instrument_id for change in verdict.changes)}."
    )
    state.last_summary = summary
    done: list[actions.Action] = [
        actions.Write(
            record=DecisionMade(
                decision_id=decision_id,
                run_id=state.run.run_id,
                account_id=state.run.account_id,
                kind="guard",
                slot_ns=state.now_ns,
                decided_ns=state.now_ns,
                trading_state=state.trading_state.value,
                action="traded",
                reasons=(verdict.reason.value,),
                summary=summary,
                strategy_version=STRATEGY_VERSION,
                equity=inputs.risk.equity,
                leverage=state.leverage,
                leverage_max=state.leverage_max,
                inputs=state.encode(inputs),
                outputs=state.encode(verdict),
            )
        )
    ]
    done += recording.equity(state, "guard")
    plan = make_plan(decision_id, IntentSource.GUARD, verdict.changes, state.now_ns)
    return done + working.begin(state, plan)
