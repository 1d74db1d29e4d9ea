"""Hedge sizes: correlation, volatility, offset and profit rules."""

from typing import Any

import pytest

from counterpoise.strategy import hedge
from counterpoise.strategy.candidates import Candidate
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.weights import minimum_variance
from strategy_world import CORE, ETH, PARAMETERS, SOL, XRP, grown, signals

BETAS = {CORE: 1.0, ETH: 1.0, SOL: 2.0, XRP: 0.5}


@pytest.mark.parametrize(
    ("rho", "expected"),
    [(-0.8, 1.0), (0.3, 1.0), (0.5, 0.75), (0.6, 0.625), (0.7, 0.5), (0.95, 0.5)],
)
def test_the_correlation_multiplier_is_linear_between(rho: float, expected: float) -> None:
    assert hedge.correlation_multiplier(rho, PARAMETERS) == pytest.approx(expected)


def rule(rho: float, memory: Memory) -> hedge.CorrelationRule:
    chosen = (Candidate(instrument_id=ETH, side=-1, leg_correlation=rho, score=0.0),)
    return hedge.correlation_rule(chosen, memory, PARAMETERS)


def test_the_correlation_rule_moves_only_in_steps() -> None:
    memory = Memory(correlation_multiplier={ETH: 0.75}, correlation_seen={ETH: 0.5})
    near = rule(0.54, memory)
    assert (near.multipliers, near.seen, near.reasons) == ({ETH: 0.75}, {ETH: 0.5}, ())
    cut = rule(0.7, memory)
    assert (cut.multipliers, cut.seen) == ({ETH: 0.5}, {ETH: 0.7})
    assert cut.reasons[0].code.value == "HEDGE_CORRELATION_CUT"
    back = rule(0.2, memory)
    assert back.multipliers == {ETH: 1.0}
    assert back.reasons[0].code.value == "HEDGE_CORRELATION_RESTORED"


def test_a_new_leg_starts_at_the_rule() -> None:
    assert rule(-0.8, Memory.first()).reasons == ()
    assert rule(0.8, Memory.first()).multipliers == {ETH: 0.5}


@pytest.mark.parametrize(
    ("ratio", "expected"), [(None, 1.0), (0.5, 1.0), (1.0, 1.0), (2.0, 1.5), (9.0, 1.75)]
)
def test_adverse_volatility_raises_the_hedge(ratio: float | None, expected: float) -> None:
    assert hedge.volatility_multiplier(ratio, PARAMETERS) == expected


def test_offset_is_beta_weighted_and_signed_by_the_core() -> None:
    assert hedge.offset({ETH: -0.5, SOL: -0.2}, BETAS, 1) == pytest.approx(0.9)
    assert hedge.offset({ETH: 0.5}, BETAS, -1) == pytest.approx(0.5)
    assert hedge.offset({ETH: 0.5}, BETAS, 1) == pytest.approx(-0.5)


def test_the_offset_is_limited_by_one_factor() -> None:
    limited = hedge.limit_offset({ETH: -1.0, SOL: -1.0}, BETAS, 1.0, 0.95)
    assert limited == {ETH: pytest.approx(-0.95 / 3), SOL: pytest.approx(-0.95 / 3)}
    assert hedge.limit_offset({ETH: -0.5}, BETAS, 1.0, 0.95) == {ETH: -0.5}
    assert hedge.limit_offset({ETH: 1.0}, BETAS, -1.0, 0.95) == {ETH: pytest.approx(0.95)}


def profit(profits: dict[str, float], memory: Memory | None = None, **changes: Any) -> Any:
    held = {CORE: 1.5, ETH: -0.6, SOL: -0.2}
    values: dict[str, Any] = {"stressed": (ETH, SOL), "held": held} | changes
    return hedge.profit_rule(
        values["held"], profits, BETAS, memory or grown(), values["stressed"], PARAMETERS
    )


def test_in_calm_markets_profit_runs() -> None:
    found = profit({ETH: 0.5, SOL: 0.5}, stressed=())
    assert (found.caps, found.core_cap, found.taken) == ({}, None, ())


def test_in_stress_a_leg_in_profit_is_not_increased() -> None:
    found = profit({ETH: 0.02, SOL: -0.01})
    assert (found.caps, found.core_cap, found.taken) == ({ETH: 0.6}, None, ())


def test_above_the_threshold_half_is_realised_and_the_core_cut_first() -> None:
    found = profit({ETH: 0.021, SOL: 0.03})
    assert found.caps == {ETH: 0.3, SOL: 0.1}
    # 0.3 x 1 of ETH and 0.1 x 2 of SOL
    assert found.core_cap == pytest.approx(1.5 - 0.3 - 0.2)
    assert (found.taken_now, found.taken) == ((ETH, SOL), (ETH, SOL))


def test_a_short_core_is_cut_likewise() -> None:
    found = profit({ETH: 0.03}, held={CORE: -1.0, ETH: 0.4}, stressed=(ETH,))
    assert found.core_cap == pytest.approx(0.8)


def test_after_a_profit_was_taken_leg_and_core_wait_for_the_end_of_stress() -> None:
    memory = grown(profit_taken=(ETH,))
    waiting = profit({ETH: -0.01, SOL: 0.0}, memory)
    assert (waiting.caps, waiting.core_cap, waiting.taken) == ({ETH: 0.6}, 1.5, (ETH,))
    assert waiting.taken_now == ()
    over = profit({ETH: -0.01, SOL: 0.0}, memory, stressed=())
    assert (over.core_cap, over.taken) == (None, ())


def test_a_leg_whose_profit_was_taken_is_not_opened_again_in_that_stress() -> None:
    memory = grown(profit_taken=(ETH,))
    gone = profit({}, memory, held={CORE: 0.8, SOL: -0.2})
    assert (gone.caps, gone.core_cap, gone.taken) == ({ETH: 0.0}, 0.8, (ETH,))
    assert hedge.apply_caps({ETH: -0.7, SOL: -0.1}, gone.caps, {CORE: 0.8, SOL: -0.2}) == {
        ETH: 0.0,
        SOL: -0.1,
    }
    over = profit({}, memory, held={CORE: 0.8, SOL: -0.2}, stressed=(SOL,))
    assert (over.caps, over.taken) == ({}, ())


def test_an_unknown_entry_is_said() -> None:
    found = profit({SOL: 0.0})
    assert [item.figures for item in found.reasons] == [{"leg": ETH, "rule": "profit"}]


def test_caps_hold_size_and_side() -> None:
    held = {ETH: -0.6, SOL: -0.2}
    capped = hedge.apply_caps({ETH: -0.9, SOL: 0.4, XRP: -0.5}, {ETH: 0.6, SOL: 0.2}, held)
    assert capped == {ETH: -0.6, SOL: 0.0, XRP: -0.5}


def test_legs_of_unknown_correlation_count_as_one() -> None:
    table = {name: dict(row) for name, row in signals().correlation.items()}
    del table[ETH][SOL], table[SOL][ETH]
    told = signals(correlation=table)
    weights, _ = minimum_variance((ETH, SOL), {ETH: -1, SOL: -1}, told, PARAMETERS)
    assert weights[ETH] == pytest.approx(0.5 / 0.6 * 0.8 / 2.3)
