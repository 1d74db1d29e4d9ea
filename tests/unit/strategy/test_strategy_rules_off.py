"""Every rule can be switched off by its name, and then it does and says nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.strategy import hedge, scale
from counterpoise.strategy.candidates import entry_refused
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.memory import Regime
from counterpoise.strategy.parameters import RULE_NAMES
from strategy_world import (
    CORE,
    CYCLE_NS,
    ETH,
    MARKS,
    NOW_NS,
    SOL,
    XRP,
    account,
    codes,
    grown,
    inputs,
    market,
    market_view,
    parameters,
    signals,
)

VIOLENT = {CORE: 1.2, ETH: 1.4, SOL: 1.6, XRP: 1.5}
TOGETHER = dict.fromkeys((ETH, SOL, XRP), -0.95)
PROFIT = account(legs={CORE: 1.0, ETH: -0.5}, entry_prices={CORE: MARKS[CORE], ETH: MARKS[ETH] * 2})


#: rule -> the inputs in which it speaks, the reason code it gives.
SPEAKS: dict[str, tuple[dict[str, Any], str]] = {
    "regime_stress": ({"signals": signals(stress_ratio=1.3)}, "REGIME_RAISED"),
    "regime_correlation": (
        {"signals": signals(correlation_mean_fast=0.9, volatility_fast_rising=True)},
        "REGIME_RAISED",
    ),
    "regime_move": ({"signals": signals(core_move_sigmas=7.0)}, "CASCADE_HOLD"),
    "regime_depth": (
        {"market": market({CORE: market_view(CORE, depth_fraction=0.2)})},
        "CASCADE_HOLD",
    ),
    "regime_spread": (
        {"market": market({CORE: market_view(CORE, spread_ratio=25.0)})},
        "CASCADE_HOLD",
    ),
    "regime_liquidations": ({"market": market(liquidations_quote=6e6)}, "CASCADE_HOLD"),
    "volatility": ({"signals": signals(volatility_medium=VIOLENT)}, "VOLATILITY_ABOVE_TARGET"),
    "stress": ({"signals": signals(stress_ratio=2.0)}, "STRESS_REDUCTION"),
    "drawdown": ({"memory": grown(nav_high_water=Decimal("1.1"))}, "DRAWDOWN_REDUCTION"),
    "slow_growth": ({"memory": grown(scale=0.5)}, "SCALE_GROWING"),
    "correlation_close": (
        {
            "memory": grown(close_counts={ETH: 1}),
            "account": account(legs={CORE: 1.5, ETH: -0.3}),
            "signals": signals(correlation_core_fast=TOGETHER, correlation_core_medium=TOGETHER),
        },
        "HEDGE_CLOSED",
    ),
    "correlation_cut": (
        {
            "memory": grown(correlation_seen={}, correlation_multiplier={}),
            "account": account(legs={CORE: 1.5}),
            "signals": signals(correlation_core_fast=dict.fromkeys((ETH, SOL, XRP), -0.6)),
        },
        "HEDGE_CORRELATION_CUT",
    ),
    "volatility_raise": ({"signals": signals(stress_ratio=1.1)}, "HEDGE_VOLATILITY_RAISE"),
    "profit": (
        {"memory": grown(regime=Regime.STRESSED), "account": PROFIT},
        "HEDGE_PROFIT_TAKEN",
    ),
    "offset_limit": ({"parameters": parameters(hedge_ratio=3.0)}, "HEDGE_OFFSET_LIMITED"),
    "unhedged_limit": (
        {"parameters": parameters(hedge_candidates=()), "memory": grown()},
        "NET_BETA_LIMITED",
    ),
    "adl_credit": (
        {"memory": grown(), "account": account(legs={CORE: 1.5, ETH: -0.4}, adl_ranks={ETH: 5})},
        "HEDGE_UNCREDITED",
    ),
    "liquidation_distance": (
        {"memory": grown(), "parameters": parameters(liquidation_distance_min=0.6)},
        "LIQUIDATION_DISTANCE",
    ),
    "leverage_soft": (
        {"memory": grown(), "parameters": parameters(leverage_soft=0.8)},
        "LEVERAGE_SOFT",
    ),
    "trade_band": (
        {"memory": grown(), "account": account(legs={CORE: 1.45, ETH: -0.41, SOL: -0.31})},
        "BAND_LEG",
    ),
    "downsizing": (
        {
            "memory": grown(core_fraction=1.5),
            "account": account(legs={CORE: 1.5, ETH: -0.41379, SOL: -0.31034, XRP: -0.35468}),
            "signals": signals(volatility_medium={CORE: 0.63, ETH: 0.6, SOL: 0.8, XRP: 0.7}),
        },
        "DOWNSIZE",
    ),
    "regime_demand": (
        {
            "memory": grown(core_fraction=None),
            "account": account(legs={CORE: 1.5, ETH: -0.41379, SOL: -0.31034, XRP: -0.35468}),
            "signals": signals(
                stress_ratio=1.2,
                volatility_medium={CORE: 0.64, ETH: 0.6, SOL: 0.8, XRP: 0.7},
            ),
        },
        "REGIME_DEMANDS",
    ),
    "latency": ({"market": market(latency_ms_p99=500.0)}, "LATENCY_HIGH"),
    "cascade_hold": ({"memory": grown(cycles_since_cascade=0)}, "CASCADE_HOLD"),
    "hedge_data": (
        {
            "memory": grown(),
            "account": account(legs={CORE: 1.4, ETH: -0.3}),
            "market": market({ETH: market_view(ETH, missing=("MARK_STALE",))}),
        },
        "HEDGE_STALE",
    ),
}


def without(case: DecisionInputs, rule: str) -> DecisionInputs:
    return replace(case, parameters=replace(case.parameters, rules_off=(rule,)))


def test_every_rule_is_tried() -> None:
    assert {*SPEAKS, "incumbency"} == set(RULE_NAMES)


@pytest.mark.parametrize("rule", [rule for rule in SPEAKS if rule != "trade_band"])
def test_a_rule_that_is_off_says_nothing(rule: str) -> None:
    changes, code = SPEAKS[rule]
    case = inputs(**changes)
    assert code in codes(decide(case))
    assert code not in codes(decide(without(case, rule)))


def test_without_the_trade_band_every_gap_trades() -> None:
    case = inputs(**SPEAKS["trade_band"][0])
    near = replace(case, account=account(legs={CORE: 1.45, ETH: -0.41, SOL: -0.31, XRP: -0.35}))
    assert codes(decide(near))[-1] == "BAND_NOT_REACHED"
    assert "BAND_LEG" in codes(decide(without(near, "trade_band")))


def test_without_incumbency_the_better_one_enters_at_once() -> None:
    better = signals(correlation_core_fast={ETH: 0.8, SOL: 0.8, XRP: 0.9})
    better = replace(better, correlation_core_medium={ETH: 0.8, SOL: 0.8, XRP: 0.9})
    memory = grown(incumbents=(ETH, SOL), incumbent_sides={ETH: -1, SOL: -1})
    case = inputs(signals=better, memory=memory, parameters=parameters(hedge_legs=2))
    assert "HEDGE_REPLACED" not in codes(decide(case))
    (replaced,) = [
        item
        for item in decide(without(case, "incumbency")).reasons
        if item.code.value == "HEDGE_REPLACED"
    ]
    assert replaced.figures["by"] == XRP
    assert replaced.figures["by_score"] > replaced.figures["score"]


def test_unknown_rules_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^rules_off='luck': allowed is any of regime_stress, "):
        parameters(rules_off=("volatility", "luck"))


def test_the_hard_rules_are_none_of_them() -> None:
    everything = parameters(rules_off=RULE_NAMES, entry_scale=1.0)
    made = decide(inputs(parameters=everything, trading_state=TradingState.REDUCING))
    assert made.changes == ()
    assert scale.volatility_scale(9.0, everything) == 1.0
    assert hedge.volatility_multiplier(3.0, everything) == 1.0


def test_slow_growth_off_still_waits_where_nothing_may_grow() -> None:
    free = parameters(rules_off=("slow_growth",))
    before = scale.ScaleBefore(scale=0.4, scale_ns=NOW_NS - CYCLE_NS, held_scale=0.3)
    assert scale.next_scale(0.9, before, NOW_NS, free, may_grow=True) == 0.9
    assert scale.next_scale(0.9, before, NOW_NS, free, may_grow=False) == 0.4
    assert scale.next_scale(0.2, before, NOW_NS, free, may_grow=False) == 0.2


@pytest.mark.parametrize(("rank", "counts"), [(None, True), (3, True), (4, False), (5, False)])
def test_a_hedge_near_the_front_of_the_adl_queue_counts_nothing(
    *, rank: int | None, counts: bool
) -> None:
    ranks = {} if rank is None else {ETH: rank}
    one = parameters(hedge_candidates=(ETH,))
    told = account(legs={CORE: 1.2, ETH: -1.0}, adl_ranks=ranks)
    memory = grown(incumbents=(ETH,), incumbent_sides={ETH: -1})
    made = decide(inputs(parameters=one, account=told, memory=memory))
    assert ("HEDGE_UNCREDITED" in codes(made)) is not counts
    core = made.targets[CORE].notional_fraction
    limit = one.core_unhedged_max
    # Nothing counted: the core alone stands at the unhedged limit.
    assert core == pytest.approx(limit) if not counts else core > limit + 0.1


def test_a_leg_may_grow_again_after_the_stress() -> None:
    memory = grown(profit_taken=(ETH,), regime=Regime.CALM)
    held = account(legs={CORE: 1.2, ETH: -0.2})
    stressed = decide(inputs(memory=replace(memory, regime=Regime.STRESSED), account=held))
    assert "HEDGE_REENTRY" not in codes(stressed)
    assert stressed.memory.profit_taken == (ETH,)
    assert abs(stressed.targets[ETH].notional_fraction) <= 0.2 + 1e-4
    calm = decide(inputs(memory=memory, account=held))
    assert "HEDGE_REENTRY" in codes(calm)
    assert calm.memory.profit_taken == ()
    assert abs(calm.targets[ETH].notional_fraction) > 0.3
    assert calm.targets[CORE].notional_fraction > stressed.targets[CORE].notional_fraction


@pytest.mark.parametrize(
    ("volume", "refused"),
    [(None, "24 h volume below 1000.0"), (999.0, "24 h volume below 1000.0"), (1000.0, "")],
)
def test_a_candidate_needs_volume_where_that_is_asked_for(
    volume: float | None, refused: str
) -> None:
    asked = parameters(volume_quote_min=1000.0)
    told = market({ETH: market_view(ETH, volume_quote=volume)})
    assert entry_refused(ETH, told, signals(), asked) == refused
    assert entry_refused(ETH, told, signals(), parameters()) == ""
