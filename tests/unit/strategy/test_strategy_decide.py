"""decide: whole decisions, rule by rule."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import Decision, DecisionAction
from counterpoise.strategy.memory import Memory, Regime
from counterpoise.strategy.reasons import MEANINGS, ReasonCode
from strategy_world import (
    CORE,
    CYCLE_NS,
    ETH,
    MARKS,
    NOW_NS,
    PARAMETERS,
    SOL,
    XRP,
    account,
    codes,
    grown,
    inputs,
    instrument,
    market,
    market_view,
    parameters,
    signals,
)

#: A book that stands on its targets: 1.5 core, three equal standardised hedges.
ON_TARGET = {CORE: 1.5, ETH: -0.41379, SOL: -0.31034, XRP: -0.35468}


def changes(decision: Decision) -> list[tuple[str, str, bool]]:
    return [
        (change.instrument_id, change.side.value, change.reduce_only) for change in decision.changes
    ]


def step_names(decision: Decision) -> list[str]:
    return [step.rule for step in decision.waterfall]


def test_the_first_decision_enters_hedges_first() -> None:
    made = decide(inputs())
    assert made.action is DecisionAction.TRADED
    assert changes(made) == [
        (ETH, "sell", False),
        (SOL, "sell", False),
        (XRP, "sell", False),
        (CORE, "buy", False),
    ]
    assert made.targets[CORE].quantity == Decimal("0.625")
    # 0.375 x 0.5/0.6 x 0.8/2.9 x 1.2
    assert made.targets[ETH].notional_fraction == pytest.approx(-0.103448, rel=1e-5)
    assert made.memory.scale == 0.25
    assert made.memory.incumbents == (ETH, SOL, XRP)
    assert made.memory.core_fraction == 0.375
    assert made.memory.core_quantity_floor == 0
    assert codes(made)[-2:] == ["FIRST_SCALE", "BAND_LEG"]
    assert made.summary.startswith("Traded: gross 0.00 of equity held, 0.64 wanted")


def test_the_demo_enters_at_full_scale() -> None:
    made = decide(inputs(parameters=parameters(entry_scale=1.0)))
    assert made.targets[CORE].notional_fraction == pytest.approx(1.5)


def test_a_book_on_target_is_unchanged() -> None:
    made = decide(inputs(memory=grown(), account=account(legs=ON_TARGET)))
    assert made.action is DecisionAction.UNCHANGED
    assert codes(made) == ["BAND_NOT_REACHED"]
    assert (made.changes, made.would_have) == ((), ())
    assert made.memory.core_quantity_floor == Decimal("2.5")
    assert made.memory.core_fraction == 1.5


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"account": account(missing=("ACCOUNT_STALE",))}, "ACCOUNT_STALE"),
        ({"account": account(None)}, "EQUITY_UNKNOWN"),
        ({"account": account(0)}, "EQUITY_NOT_POSITIVE"),
        ({"market": market({CORE: market_view(CORE, mark=None)})}, "CORE_STALE"),
        ({"market": market(instruments={})}, "CORE_STALE"),
        ({"market": market({CORE: market_view(CORE, missing=("BOOK_STALE",))})}, "CORE_STALE"),
        (
            {"signals": signals(volatility_fast={}, volatility_medium={}, volatility_slow={})},
            "CORE_STALE",
        ),
        ({"account": account(quantities={"ADAUSDT": Decimal(1)})}, "HELD_MARK_MISSING"),
    ],
)
def test_missing_inputs_hold_and_keep_the_memory(changed: dict[str, Any], code: str) -> None:
    made = decide(inputs(memory=grown(), **changed))
    assert (made.action, codes(made)) == (DecisionAction.SKIPPED, [code])
    assert (made.changes, made.targets, made.memory) == ((), {}, grown())
    assert made.summary.startswith("Skipped: ")


def test_transfers_of_a_skipped_decision_are_counted_in_the_next() -> None:
    stale = account(missing=("ACCOUNT_STALE",), transfers=Decimal(50_000))
    skipped = decide(inputs(memory=grown(), account=stale))
    assert skipped.memory.transfers_pending == Decimal(50_000)
    made = decide(inputs(memory=skipped.memory, account=account(150_000)))
    assert made.memory.unit_nav == Decimal(1)
    assert made.memory.unit_count == Decimal(150_000)
    assert made.memory.transfers_pending == 0


def test_the_core_shrinks_for_volatility_stress_and_drawdown() -> None:
    volatility = {CORE: 0.8, ETH: 0.9, SOL: 1.0, XRP: 1.0}
    told = signals(volatility_medium=volatility, stress_ratio=2.0)
    lost = account(90_000, legs={CORE: 1.5})
    made = decide(inputs(signals=told, account=lost, memory=grown()))
    # 1.5 x 0.6/0.8 x 1.5/2 x (1 - 0.1/0.2)
    assert made.targets[CORE].notional_fraction == pytest.approx(1.5 * 0.75 * 0.75 * 0.5)
    assert {"VOLATILITY_ABOVE_TARGET", "STRESS_REDUCTION", "DRAWDOWN_REDUCTION"} <= set(codes(made))
    assert step_names(made)[:4] == ["base", "volatility", "stress", "drawdown"]
    assert made.memory.scale == pytest.approx(0.28125)


def test_the_scale_grows_slowly() -> None:
    made = decide(inputs(memory=grown(scale=0.5), account=account(legs={CORE: 0.75})))
    assert made.memory.scale == pytest.approx(0.52)
    assert "SCALE_GROWING" in codes(made)


def test_after_a_cut_the_scale_grows_from_what_is_held() -> None:
    memory = grown(core_quantity_floor=Decimal("2.5"))
    made = decide(inputs(memory=memory, account=account(legs={CORE: 0.75})))
    assert "CORE_WAS_CUT" in codes(made)
    assert made.memory.scale == pytest.approx(0.52)
    uncut = decide(inputs(memory=grown(), account=account(legs={CORE: 0.75})))
    assert uncut.memory.scale == 1.0


def test_rules_without_input_are_skipped_and_say_so() -> None:
    told = signals(stress_ratio=None)
    made = decide(inputs(signals=told, market=market(latency_ms_p99=None)))
    rules = {item.figures.get("rule") for item in made.reasons}
    assert {"regime.stress_ratio", "latency", "stress"} <= rules
    assert made.targets[CORE].notional_fraction == 0.375


def test_without_hedges_the_core_stands_under_its_own_limit() -> None:
    alone = parameters(hedge_candidates=(), entry_scale=1.0)
    made = decide(inputs(parameters=alone))
    assert made.targets[CORE].notional_fraction == pytest.approx(1.0)
    assert {"HEDGE_NONE", "NET_BETA_LIMITED"} <= set(codes(made))


def test_a_leg_of_the_wrong_sign_is_left_out() -> None:
    table = {name: dict(row) for name, row in signals().correlation.items()}
    table[SOL][CORE] = table[CORE][SOL] = -0.5
    made = decide(inputs(signals=signals(correlation=table)))
    assert SOL not in made.targets
    assert "HEDGE_WRONG_SIGN" in codes(made)


def test_adverse_volatility_asks_for_more_hedge_up_to_the_offset_limit() -> None:
    told = signals(stress_ratio=1.5)
    made = decide(inputs(signals=told, memory=grown(), account=account(legs=ON_TARGET)))
    assert {"HEDGE_VOLATILITY_RAISE", "HEDGE_OFFSET_LIMITED", "REGIME_RAISED"} <= set(codes(made))
    offset = -sum(
        leg.notional_fraction * (leg.beta or 0.0)
        for name, leg in made.targets.items()
        if name != CORE
    )
    assert offset == pytest.approx(0.95 * made.targets[CORE].notional_fraction)


def test_liquidation_distance_scales_all_legs() -> None:
    wild = {CORE: 0.5, ETH: 2.0, SOL: 2.0, XRP: 2.0}
    table = signals(volatility_covariance=wild)
    numbers = parameters(entry_scale=1.0, liquidation_distance_min=0.6)
    made = decide(inputs(signals=table, parameters=numbers))
    assert "LIQUIDATION_DISTANCE" in codes(made)
    assert "liquidation_distance" in step_names(made)


def test_the_soft_limit_scales_all_legs() -> None:
    made = decide(inputs(parameters=parameters(entry_scale=1.0, leverage_soft=2.0)))
    gross = sum(abs(leg.notional_fraction) for leg in made.targets.values())
    assert gross == pytest.approx(2.0)
    assert "LEVERAGE_SOFT" in codes(made)


def test_an_unknown_volatility_of_a_held_leg_skips_the_distance_rule() -> None:
    held = account(legs={CORE: 0.5, ETH: -0.1})
    told = signals(volatility_covariance={CORE: 0.5, SOL: 0.8, XRP: 0.7})
    made = decide(
        inputs(
            memory=grown(incumbents=(ETH,), incumbent_sides={ETH: -1}, scale=0.4),
            account=held,
            signals=told,
        )
    )
    assert any(item.figures.get("rule") == "liquidation_distance" for item in made.reasons)
    assert "HEDGE_STALE" in codes(made)
    assert made.memory.incumbents[-1] == ETH
    assert made.memory.incumbent_sides[ETH] == -1


def test_a_frozen_leg_shrinks_with_the_core_only() -> None:
    beta = {name: value for name, value in signals().beta.items() if name != ETH}
    volatility = dict.fromkeys(MARKS, 1.2)
    told = signals(beta=beta, volatility_medium=volatility)
    made = decide(inputs(memory=grown(), signals=told, account=account(legs=ON_TARGET)))
    assert made.targets[ETH].notional_fraction == pytest.approx(-0.41379, rel=1e-4)
    steps = {step.rule: step.after for step in made.waterfall}
    assert steps["frozen"][ETH] == pytest.approx(-0.41379 / 2, rel=1e-4)


# --- the trade band ---


def test_a_gap_of_net_beta_trades_all_legs() -> None:
    held = ON_TARGET | {ETH: -0.3, SOL: -0.21, XRP: -0.3}
    numbers = parameters(core_unhedged_max=1.5)
    made = decide(inputs(memory=grown(), account=account(legs=held), parameters=numbers))
    assert codes(made) == ["BAND_NET_BETA"]
    assert [name for name, *_ in changes(made)] == [ETH, SOL, XRP]


def test_a_fall_of_the_wanted_core_trades_at_once_and_drift_does_not() -> None:
    told = signals(volatility_medium={CORE: 0.62})
    fallen = decide(inputs(memory=grown(), signals=told, account=account(legs=ON_TARGET)))
    assert codes(fallen)[-1] == "DOWNSIZE"
    assert changes(fallen)[0] == (CORE, "sell", True)
    drifted = decide(inputs(memory=grown(), account=account(legs=ON_TARGET | {CORE: 1.56})))
    assert codes(drifted) == ["BAND_NOT_REACHED"]


def test_a_raised_regime_trades_inside_the_band() -> None:
    told = signals(stress_ratio=1.52)
    numbers = parameters(stress_hedge_gain=0.0, downsize_wait=0.5)
    case = inputs(memory=grown(), signals=told, parameters=numbers)
    made = decide(replace(case, account=account(legs=ON_TARGET)))
    assert codes(made)[-1] == "REGIME_DEMANDS"
    later = replace(case.memory, regime=Regime.ELEVATED)
    again = decide(replace(case, account=account(legs=ON_TARGET), memory=later))
    assert codes(again)[-1] == "BAND_NOT_REACHED"


@pytest.mark.parametrize(
    ("legs", "numbers", "limit"),
    [
        (ON_TARGET, {"leverage_soft": 2.5}, "leverage_soft"),
        (ON_TARGET, {"core_unhedged_max": 0.7}, "core_unhedged_max"),
        (ON_TARGET, {"liquidation_distance_min": 0.5}, "liquidation_distance"),
    ],
)
def test_a_held_book_beyond_a_limit_trades_inside_the_band(
    legs: dict[str, float], numbers: dict[str, float], limit: str
) -> None:
    wide = parameters(leg_band=3.0, net_beta_band=3.0, downsize_wait=3.0, **numbers)
    made = decide(inputs(memory=grown(), account=account(legs=legs), parameters=wide))
    assert made.reasons[-1].code is ReasonCode.LIMIT_DEMANDS
    assert made.reasons[-1].figures == {"limit": limit}
    assert all(change.reduce_only for change in made.changes)


def test_a_traded_band_with_nothing_worth_sending_is_unchanged() -> None:
    coarse = {
        name: market_view(name, instrument=instrument(name, quantity_min=Decimal(1_000_000)))
        for name in MARKS
    }
    made = decide(inputs(market=market(coarse)))
    assert made.action is DecisionAction.UNCHANGED
    assert codes(made)[-5:] == ["BELOW_MINIMUM"] * 4 + ["ON_TARGET"]


# --- legs that must go ---


def test_a_position_of_no_strategy_is_closed() -> None:
    numbers = parameters(hedge_candidates=(ETH, SOL))
    made = decide(
        inputs(parameters=numbers, account=account(legs={XRP: 0.05}), memory=grown(scale=0.0))
    )
    assert (XRP, "sell", True) in changes(made)
    assert made.targets[XRP].quantity == 0
    assert "FOREIGN_POSITION" in codes(made)


def test_a_core_on_the_wrong_side_is_closed_and_turned() -> None:
    made = decide(inputs(account=account(legs={CORE: -0.05})))
    assert changes(made)[0] == (CORE, "buy", True)
    assert changes(made)[-1] == (CORE, "buy", False)
    assert "LIMIT_DEMANDS" in codes(made)


def test_a_leg_closed_by_its_correlation_goes_inside_the_band() -> None:
    fast = {ETH: 0.92, SOL: 0.8, XRP: 0.8}
    told = signals(correlation_core_fast=fast, correlation_core_medium=fast)
    memory = grown(
        incumbents=(ETH, SOL),
        incumbent_sides={ETH: 1, SOL: -1},
        close_counts={ETH: 1},
    )
    held = account(legs={CORE: 1.5, ETH: 0.1, SOL: -0.6})
    made = decide(inputs(memory=memory, signals=told, account=held))
    assert "HEDGE_CLOSED" in codes(made)
    assert (ETH, "sell", True) in changes(made)
    assert made.memory.closed == {ETH: 1}


def test_half_of_a_profit_is_taken_with_the_core_cut_first() -> None:
    told = signals(stress_ratio=2.0)
    entries = {CORE: MARKS[CORE], ETH: Decimal(3300), SOL: MARKS[SOL], XRP: MARKS[XRP]}
    numbers = parameters(stress_ratio_start=2.0)
    held = account(legs=ON_TARGET, entry_prices=entries)
    made = decide(inputs(memory=grown(), signals=told, account=held, parameters=numbers))
    assert {"HEDGE_PROFIT_TAKEN", "LIMIT_DEMANDS"} <= set(codes(made))
    assert changes(made)[0] == (CORE, "sell", True)
    assert made.targets[ETH].notional_fraction == pytest.approx(-0.41379 / 2, rel=1e-4)
    assert made.memory.profit_taken == (ETH,)
    # The core pays with the beta-weighted half: 0.2069 x 0.96, or more.
    assert made.targets[CORE].notional_fraction <= 1.5 - 0.2069 * 0.96 + 1e-4
    assert made.memory.scale == pytest.approx(made.targets[CORE].notional_fraction / 1.5)
    net = sum(leg.notional_fraction * (leg.beta or 0.0) for leg in made.targets.values())
    before = sum(leg.held_fraction * (leg.beta or 0.0) for leg in made.targets.values())
    assert abs(net) <= abs(before) + 1e-9


def test_the_core_pays_for_every_offset_that_goes_with_a_profit() -> None:
    # ETH's profit is taken; SOL shrinks too, because a book of one leg needs less of it.
    told = signals(stress_ratio=2.0)
    entries = {CORE: MARKS[CORE], ETH: Decimal(3300), SOL: MARKS[SOL]}
    numbers = parameters(stress_ratio_start=2.0, hedge_candidates=(ETH,), core_unhedged_max=1.8)
    held = account(legs={CORE: 1.5, ETH: -0.4, SOL: -0.5}, entry_prices=entries)
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: -1})
    made = decide(inputs(memory=memory, signals=told, account=held, parameters=numbers))
    steps = {step.rule: step for step in made.waterfall}
    # Held net beta 1.5 - 0.4 x 0.96 - 0.5 x 1.28 = 0.476; ETH's half is left: 0.2 x 0.96.
    assert steps["profit_core"].after[CORE] == pytest.approx(0.476 + 0.192, rel=1e-4)
    assert made.memory.scale == pytest.approx((0.476 + 0.192) / 1.5, rel=1e-4)


def test_a_profit_beyond_a_perfect_hedge_leaves_the_core_it_offsets() -> None:
    told = signals(stress_ratio=2.0)
    entries = {CORE: MARKS[CORE], ETH: Decimal(3300)}
    numbers = parameters(stress_ratio_start=2.0, hedge_candidates=(ETH,))
    held = account(legs={CORE: 0.96, ETH: -1.0}, entry_prices=entries)
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: -1})
    made = decide(inputs(memory=memory, signals=told, account=held, parameters=numbers))
    offset = -made.targets[ETH].notional_fraction * 0.96
    assert offset <= 0.95 * made.targets[CORE].notional_fraction + 1e-9


def test_after_a_profit_a_core_of_nothing_has_no_hedge() -> None:
    memory = grown(profit_taken=(ETH,), regime=Regime.STRESSED)
    held = account(legs={ETH: -0.3}, entry_prices={})
    told = signals(stress_ratio=2.0)
    made = decide(inputs(memory=memory, signals=told, account=held))
    assert {leg.notional_fraction for leg in made.targets.values()} == {0.0}
    assert changes(made) == [(ETH, "buy", True)]


def test_a_hedge_the_venue_took_after_its_profit_stays_away_until_the_stress_is_over() -> None:
    # Venues deleverage the winning side first: what is left of the hedge is gone.
    numbers = parameters(hedge_candidates=(ETH,), stress_ratio_start=2.0)
    memory = grown(
        profit_taken=(ETH,), regime=Regime.STRESSED, incumbents=(ETH,), incumbent_sides={ETH: -1}
    )
    held = account(legs={CORE: 0.9}, entry_prices={CORE: MARKS[CORE]})
    told = signals(stress_ratio=2.0)
    made = decide(inputs(memory=memory, signals=told, account=held, parameters=numbers))
    assert made.targets[ETH].notional_fraction == 0.0
    assert ETH not in {name for name, _, _ in changes(made)}
    assert made.targets[CORE].notional_fraction <= 0.9
    said = [item.text for item in made.reasons if item.code is ReasonCode.HEDGE_PROFIT_HELD]
    assert said == [f"{ETH} is gone, its profit was taken: not opened again in this stress."]
    # Without the profit taken the same book has its hedge.
    fresh = decide(
        inputs(
            memory=grown(regime=Regime.STRESSED, incumbents=(ETH,), incumbent_sides={ETH: -1}),
            signals=told,
            account=held,
            parameters=numbers,
        )
    )
    assert fresh.targets[ETH].notional_fraction < 0.0


def test_a_hedge_in_profit_is_not_increased_in_stress() -> None:
    told = signals(stress_ratio=2.0)
    entries = {CORE: MARKS[CORE], ETH: Decimal(3010), SOL: MARKS[SOL], XRP: MARKS[XRP]}
    held = account(legs={CORE: 1.5, ETH: -0.05}, entry_prices=entries)
    made = decide(inputs(memory=grown(), signals=told, account=held))
    assert "HEDGE_PROFIT_HELD" in codes(made)
    assert made.targets[ETH].notional_fraction == pytest.approx(-0.05, rel=1e-4)


# --- what may go out ---


def test_halted_blocks_everything() -> None:
    made = decide(inputs(trading_state=TradingState.HALTED))
    assert (made.action, made.changes) == (DecisionAction.BLOCKED, ())
    assert [change.instrument_id for change in made.would_have] == [ETH, SOL, XRP, CORE]
    quiet = decide(
        inputs(trading_state=TradingState.HALTED, memory=grown(), account=account(legs=ON_TARGET))
    )
    assert (quiet.action, quiet.would_have) == (DecisionAction.BLOCKED, ())


def test_reducing_blocks_an_entry_and_grows_no_scale() -> None:
    memory = grown(scale=0.5)
    made = decide(
        inputs(
            trading_state=TradingState.REDUCING,
            memory=memory,
            account=account(legs={CORE: 0.1}),
        )
    )
    assert (made.action, made.changes) == (DecisionAction.BLOCKED, ())
    assert {"TRADING_REDUCING", "INCREASES_SUPPRESSED"} <= set(codes(made))
    assert CORE in {change.instrument_id for change in made.would_have}
    assert made.memory.scale == 0.5
    assert made.memory.core_fraction == 1.5


def test_reducing_lets_a_smaller_book_through() -> None:
    told = signals(volatility_medium=dict.fromkeys(MARKS, 1.2))
    made = decide(
        inputs(
            trading_state=TradingState.REDUCING,
            memory=grown(),
            signals=told,
            account=account(legs=ON_TARGET),
        )
    )
    assert made.action is DecisionAction.TRADED
    assert [name for name, *_ in changes(made)] == [CORE, ETH, SOL, XRP]
    assert all(change.reduce_only for change in made.changes)
    assert made.would_have == ()


def test_reducing_sends_the_part_that_lowers_risk() -> None:
    told = signals(volatility_medium={CORE: 0.72})
    held = {CORE: 1.5, ETH: -1.0, SOL: -0.2}
    made = decide(
        inputs(
            trading_state=TradingState.REDUCING,
            memory=grown(),
            signals=told,
            account=account(legs=held),
        )
    )
    assert made.action is DecisionAction.TRADED
    assert all(change.reduce_only for change in made.changes)
    assert XRP in {change.instrument_id for change in made.would_have}
    assert "permission" in step_names(made)


def test_reducing_may_close_a_foreign_leg_while_no_core_is_held() -> None:
    made = decide(
        inputs(
            trading_state=TradingState.REDUCING,
            parameters=parameters(hedge_candidates=(ETH,)),
            account=account(legs={SOL: 0.3}),
        )
    )
    assert changes(made) == [(SOL, "sell", True)]
    assert made.memory.core_fraction == 0.0


@pytest.mark.parametrize(
    ("views", "changed", "told", "code"),
    [
        ({}, {"latency_ms_p99": 201.0}, {}, "LATENCY_HIGH"),
        ({ETH: market_view(ETH, missing=("MARK_STALE",))}, {}, {}, "HEDGE_STALE"),
        ({}, {}, {"core_move_sigmas": 6.5}, "CASCADE_HOLD"),
    ],
)
def test_nothing_increases(
    views: dict[str, Any], changed: dict[str, Any], told: dict[str, Any], code: str
) -> None:
    held = {CORE: 0.6, ETH: -0.1}
    made = decide(
        inputs(
            memory=grown(),
            market=market(views, **changed),
            signals=signals(**told),
            account=account(legs=held),
        )
    )
    assert code in codes(made)
    assert made.action is DecisionAction.BLOCKED
    assert made.would_have


def test_after_a_cascade_nothing_increases_for_two_cycles() -> None:
    held = {CORE: 0.6, ETH: -0.1}
    told = signals(core_move_sigmas=6.5)
    first = decide(inputs(memory=grown(), signals=told, account=account(legs=held)))
    memory, found = first.memory, []
    for cycle in (1, 2):
        made = decide(
            inputs(
                memory=memory,
                account=account(legs=held),
                now_ns=NOW_NS + cycle * CYCLE_NS,
            )
        )
        memory = made.memory
        found.append("CASCADE_HOLD" in codes(made))
    assert found == [True, False]


def test_a_high_latency_is_first_a_warning() -> None:
    made = decide(inputs(market=market(latency_ms_p99=150.0)))
    assert "LATENCY_WARNING" in codes(made)
    assert made.action is DecisionAction.TRADED


def test_a_short_core_is_the_mirror_image() -> None:
    short = decide(inputs(parameters=parameters(core_side="short")))
    long = decide(inputs())
    for name, leg in long.targets.items():
        assert short.targets[name].notional_fraction == -leg.notional_fraction


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ReasonCode)
    assert Memory.first().regime is Regime.CALM
    assert PARAMETERS.core_instrument == CORE
