"""Closes every position, reduce-only, on an operator's wish."""

from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain import identity
from counterpoise.domain.arithmetic import counted_in_money
from counterpoise.domain.orders import IntentSource, LegChange, LegRole, Side
from counterpoise.domain.records import DecisionMade
from counterpoise.engine import actions, recording, unshown, views, working
from counterpoise.engine.plan import make_plan
from counterpoise.engine.run import FLATTEN_GAP_NS
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause
from counterpoise.strategy.parameters import STRATEGY_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenInputs:
    """What is held, and what already works to close it."""

    core_instrument: str
    #: Signed base units.
    quantities: dict[str, Decimal]
    #: Base units that reductions at work, or about to be sent, may still take off.
    working: dict[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenOutputs:
    """What closes it."""

    changes: tuple[LegChange, ...]


@counted_in_money
def recompute(inputs: FlattenInputs) -> FlattenOutputs:
    """Return one reduction per position; a pure function of its argument."""
    changes = []
    for instrument_id in sorted(inputs.quantities):
        held = inputs.quantities[instrument_id]
        left = abs(held) - inputs.working.get(instrument_id, Decimal(0))
        if left <= 0:
            continue
        core = instrument_id == inputs.core_instrument
        changes.append(
            LegChange(
                instrument_id=instrument_id,
                leg=LegRole.CORE if core else LegRole.HEDGE,
                source=IntentSource.FLATTEN,
                side=Side.SELL if held > 0 else Side.BUY,
                quantity=left,
                reduce_only=True,
            )
        )
    return FlattenOutputs(changes=tuple(changes))


def is_flat(state: State) -> bool:
    """Tell whether nothing is held that this daemon can and may trade."""
    return not any(_is_ours(state, i) for i in state.account.quantities())


def increases(state: State) -> list[str]:
    """Return our orders at work that may still grow a position, whatever they wait for."""
    active = state.orders.active
    return [key for key in sorted(active) if not active[key].open_order.reduce_only]


def may_grow(state: State) -> bool:
    """Tell whether an increase is on its way, or filled and not shown yet.

    One that nobody could find is not waited for: it may never end.
    """
    at_work = any(not state.orders.active[key].unresolved for key in increases(state))
    return at_work or bool(unshown.may_fill(state))


def _is_ours(state: State, instrument_id: str) -> bool:
    return instrument_id in state.instruments and instrument_id not in state.run.unmanaged


def go_on(state: State) -> list[actions.Action]:
    """Try again while a flatten that was asked for is not done, also after a restart.

    It is not done while an increase may still fill: that would stand alone.
    """
    if Cause.FLATTENING not in state.causes or not state.account.complete:
        return []
    if not is_flat(state) or may_grow(state):
        return flatten(state, "not done yet")
    state.causes.discard(Cause.FLATTENING)
    done: list[actions.Action] = [recording.trading_state(state)]
    lost = increases(state)
    if lost:
        words = (
            f"the flatten ends with nothing held, but nobody knows what became of {', '.join(lost)}:"
            " what it may still fill is taken off by the cycle after, not at once"
        )
        done.append(recording.incident(state, "flatten.unsure", "error", words, {}))
    return done


def flatten(
    state: State,
    why: str,
    *,
    reason: str = "OPERATOR_FLATTEN",
    only: frozenset[str] | None = None,
    at_once: bool = False,
) -> list[actions.Action]:
    """Drop increases, then close everything that no reduction closes already.

    `only` = instruments to close; None = all of them. `at_once` = it is asked for the first time:
    it does not wait because another flatten was just sent.
    """
    if state.run.observe:
        return []
    done = working.drop_increases(state, "a flatten was asked for")
    late = at_once or state.now_ns - state.flatten_ns >= FLATTEN_GAP_NS
    if is_flat(state) or not late:
        return done
    inputs = FlattenInputs(
        core_instrument=state.strategy.core_instrument,
        # Only what can be priced and sized and is the daemon's to trade.
        quantities={
            i: quantity
            for i, quantity in state.account.quantities().items()
            if _is_ours(state, i) and (only is None or i in only)
        },
        working=_working(state),
    )
    outputs = recompute(inputs)
    if not outputs.changes:
        return done
    state.flatten_ns = state.now_ns
    state.sequence += 1
    decision_id = identity.decision_id(
        state.run.account_id, state.run.epoch, state.sequence, state.now_ns
    )
    summary = f"Flatten ({why}): closing {len(outputs.changes)} positions, reduce-only."
    state.last_summary = summary
    row = DecisionMade(
        decision_id=decision_id,
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        kind="flatten",
        slot_ns=state.now_ns,
        decided_ns=state.now_ns,
        trading_state=state.trading_state.value,
        action="traded",
        reasons=(reason,),
        summary=summary,
        strategy_version=STRATEGY_VERSION,
        equity=state.account.equity(views.marks(state)),
        leverage=state.leverage,
        leverage_max=state.leverage_max,
        inputs=state.encode(inputs),
        outputs=state.encode(outputs),
    )
    plan = make_plan(decision_id, IntentSource.FLATTEN, outputs.changes, state.now_ns)
    return [*done, actions.Write(record=row), *working.begin(state, plan)]


def _working(state: State) -> dict[str, Decimal]:
    found = unshown.reducing(state)
    for name, quantity in working.waiting(state).items():
        found[name] = found.get(name, Decimal(0)) + quantity
    return found
