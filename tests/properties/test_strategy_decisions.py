"""Whatever the market and the account, a decision keeps its limits and can be replayed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from counterpoise.domain.account import TradingState
from counterpoise.domain.orders import LegRole
from counterpoise.strategy import changes
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import Decision, DecisionAction, DecisionInputs
from counterpoise.strategy.memory import LEVELS, Memory
from counterpoise.strategy.numbers import net_beta
from strategy_world import (
    CORE,
    CYCLE_NS,
    ETH,
    MARKS,
    NOW_NS,
    SOL,
    XRP,
    account,
    encoded,
    grown,
    inputs,
    instrument,
    market,
    market_view,
    parameters,
    signals,
)

HEDGES = (ETH, SOL, XRP)
EPSILON = 1e-9

unit = st.floats(-1.0, 1.0).map(lambda value: round(value, 4))
fraction = st.floats(0.0, 1.0).map(lambda value: round(value, 4))
volatility = st.floats(0.05, 3.0).map(lambda value: round(value, 4))


@st.composite
def told(draw: st.DrawFn) -> Any:
    every = (CORE, *HEDGES)
    rho = {name: draw(unit) for name in HEDGES}
    mutual = draw(fraction)
    table: dict[str, dict[str, float]] = {}
    for row in every:
        table[row] = {
            column: 1.0
            if row == column
            else rho.get(row if column == CORE else column, 0.0)
            if CORE in (row, column)
            else mutual
            for column in every
        }
    sigma = {name: draw(volatility) for name in every}
    known = draw(st.sets(st.sampled_from(HEDGES)))
    return signals(
        volatility_fast={name: draw(volatility) for name in every},
        volatility_medium=dict(sigma),
        volatility_slow=dict(sigma),
        volatility_covariance=dict(sigma),
        stress_ratio=draw(st.none() | st.floats(0.2, 5.0).map(lambda value: round(value, 3))),
        correlation=table,
        correlation_core_fast={name: draw(unit) for name in sorted(known)},
        correlation_core_medium=rho,
        beta={CORE: 1.0} | {name: rho[name] * sigma[name] / sigma[CORE] for name in HEDGES},
        correlation_mean_fast=draw(st.none() | fraction),
        volatility_fast_rising=draw(st.none() | st.booleans()),
        core_move_sigmas=draw(st.none() | st.floats(0.0, 10.0).map(lambda value: round(value, 3))),
    )


@st.composite
def remembered(draw: st.DrawFn) -> Memory:
    if draw(st.booleans()):
        return Memory.first()
    return grown(
        scale=draw(fraction),
        scale_ns=NOW_NS - draw(st.integers(0, 8)) * CYCLE_NS,
        core_quantity_floor=Decimal(draw(st.integers(0, 30))) / 10,
        core_fraction=draw(st.none() | fraction),
        regime=draw(st.sampled_from(LEVELS)),
        incumbent_sides={name: draw(st.sampled_from((-1, 1))) for name in HEDGES},
        close_counts=dict.fromkeys(sorted(draw(st.sets(st.sampled_from(HEDGES)))), 1),
        profit_taken=tuple(sorted(draw(st.sets(st.sampled_from(HEDGES))))),
        cycles_since_cascade=draw(st.none() | st.integers(0, 4)),
        nav_high_water=Decimal(draw(st.integers(90, 150))) / 100,
    )


@st.composite
def cases(draw: st.DrawFn) -> DecisionInputs:
    legs = {name: draw(unit) for name in sorted(draw(st.sets(st.sampled_from((CORE, *HEDGES)))))}
    legs = {name: leg * (1.8 if name == CORE else 0.8) for name, leg in legs.items()}
    held = account(draw(st.integers(2_000, 200_000)), legs=legs)
    entries = {
        name: MARKS[name] * Decimal(draw(st.integers(70, 130))) / 100 for name in sorted(legs)
    }
    lot = {name: draw(st.sampled_from((Decimal("0.0001"), Decimal("0.01")))) for name in MARKS}
    views = {
        name: market_view(
            name,
            instrument=instrument(name, lot_size=lot[name]),
            missing=draw(st.sampled_from(((), (), (), ("MARK_STALE",)))) if name != CORE else (),
            depth_fraction=draw(st.sampled_from((None, 1.0, 1.0, 0.45, 0.2))),
        )
        for name in MARKS
    }
    return inputs(
        market=market(views, latency_ms_p99=draw(st.sampled_from((None, 20.0, 20.0, 300.0)))),
        account=replace(held, entry_prices=entries),
        signals=draw(told()),
        memory=draw(remembered()),
        parameters=parameters(core_side=draw(st.sampled_from(("long", "short")))),
        trading_state=draw(
            st.sampled_from((TradingState.ACTIVE, TradingState.ACTIVE, *TradingState))
        ),
    )


def wanted_legs(decision: Decision) -> dict[str, float]:
    return {name: leg.notional_fraction for name, leg in decision.targets.items()}


@settings(max_examples=120, deadline=None)
@given(cases())
def test_a_decision_is_a_function_of_what_its_row_stores(case: DecisionInputs) -> None:
    first = decide(case)
    stored = msgspec.json.decode(encoded(case), type=DecisionInputs)
    again = decide(stored)
    assert again == first
    assert encoded(again) == encoded(first)
    assert msgspec.json.decode(encoded(first), type=Decision) == first
    assert first.reasons


@settings(max_examples=120, deadline=None)
@given(cases())
def test_targets_keep_the_soft_limit_and_the_offset_limit(case: DecisionInputs) -> None:
    decision = decide(case)
    assume(not any(step.rule in ("permission", "frozen") for step in decision.waterfall))
    legs = wanted_legs(decision)
    assert sum(abs(leg) for leg in legs.values()) <= case.parameters.leverage_soft + EPSILON
    betas = case.signals.beta
    core = legs.get(CORE, 0.0)
    hedges = {name: leg for name, leg in legs.items() if name != CORE}
    offset = -case.parameters.side * net_beta(hedges, betas)
    assert offset <= case.parameters.offset_max * abs(core) + EPSILON
    worth = case.account.equity
    assert worth is not None
    gross = sum(abs(leg.quantity) * MARKS[name] for name, leg in decision.targets.items())
    assert gross <= Decimal(repr(case.parameters.leverage_soft)) * worth * (1 + Decimal("1e-9"))


@settings(max_examples=120, deadline=None)
@given(cases())
def test_what_goes_out_without_leave_to_grow_lowers_risk_as_a_set(case: DecisionInputs) -> None:
    state = TradingState.REDUCING
    decision = decide(replace(case, trading_state=state))
    if decision.action is not DecisionAction.TRADED:
        assert decision.changes == ()
        return
    worth = case.account.equity
    assert worth is not None
    held = dict(case.account.quantities)
    after = dict(held)
    for change in decision.changes:
        assert change.reduce_only
        after[change.instrument_id] += change.quantity * change.side.sign
    betas = {CORE: 1.0} | case.signals.beta
    before_gross = sum(abs(held[name]) * MARKS[name] for name in held)
    after_gross = sum(abs(after[name]) * MARKS[name] for name in after)
    assert after_gross < before_gross
    before_net = abs(sum(float(held[name] * MARKS[name]) * betas[name] for name in held))
    after_net = abs(sum(float(after[name] * MARKS[name]) * betas[name] for name in after))
    rounding = case.parameters.net_beta_rounding * float(worth)
    assert after_net <= before_net + rounding + 1e-6


@settings(max_examples=120, deadline=None)
@given(cases())
def test_changes_lead_towards_the_target_and_in_order(case: DecisionInputs) -> None:
    decision = decide(case)
    places = []
    left = dict(case.account.quantities)
    for change in decision.changes:
        core = change.leg is LegRole.CORE
        places.append((0, not core) if change.reduce_only else (1, core))
        held = left.get(change.instrument_id, Decimal(0))
        after = held + change.quantity * change.side.sign
        lot = case.market.instruments[change.instrument_id].instrument.lot_size
        target = decision.targets[change.instrument_id].quantity
        if change.reduce_only:
            assert abs(after) < abs(held)
            assert after * held >= 0
        else:
            assert abs(after) <= abs(target) + (lot if held % lot else 0)
            assert change.quantity % lot == 0
        left[change.instrument_id] = after
    assert places == sorted(places)


@settings(max_examples=120, deadline=None)
@given(cases(), st.integers(1, 90))
def test_a_loss_never_raises_the_core_per_equity(case: DecisionInputs, loss: int) -> None:
    # The same moment with less equity: no core was cut and this is not the first decision.
    assume(case.memory.scale is not None)
    memory = replace(case.memory, core_quantity_floor=Decimal(0), profit_taken=())
    worth = case.account.equity
    assert worth is not None
    entries = {name: MARKS[name] for name in case.account.entry_prices}
    before = replace(case, memory=memory, account=replace(case.account, entry_prices=entries))
    poorer = replace(before.account, equity=worth * (100 - loss) / 100)
    rich, poor = decide(before), decide(replace(before, account=poorer))
    assert poor.memory.scale is not None
    assert rich.memory.scale is not None
    assert poor.memory.scale <= rich.memory.scale
    # Decisions that were not made are not made up for.
    elapsed = min(max(case.now_ns - (memory.scale_ns or 0), 0) / CYCLE_NS, 1.0)
    allowed = (memory.scale or 0.0) + case.parameters.scale_step * elapsed
    for decision in (rich, poor):
        core = abs(decision.targets[CORE].notional_fraction)
        limit = case.parameters.base * allowed
        permitted = any(step.rule == "permission" for step in decision.waterfall)
        assert core <= limit + EPSILON or permitted


@settings(max_examples=200, deadline=None)
@given(
    st.decimals(-50, 50, places=6),
    st.decimals(-50, 50, places=6),
    st.sampled_from((Decimal("0.0001"), Decimal("0.01"), Decimal(1))),
)
def test_rounding_never_enlarges_an_increase(held: Decimal, wanted: Decimal, lot: Decimal) -> None:
    held = changes.quantize_toward_zero(held, lot)
    gap = changes.LegGap(
        instrument=instrument(CORE, lot_size=lot, quantity_min=lot, notional_min=None),
        role=LegRole.CORE,
        held=held,
        wanted=wanted,
        mark=MARKS[CORE],
    )
    made, _ = changes.leg_changes(gap)
    after = changes.after_changes(held, made)
    assert abs(after) <= max(abs(wanted), abs(held))
    if abs(wanted) < abs(held) or held * wanted < 0:
        assert abs(after) <= abs(wanted)
    if wanted == 0:
        assert after == 0
